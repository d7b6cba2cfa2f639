import { type Aggregates, type Plan, planAggregates } from "../aggregates/plan.js";
import { Frame } from "../state/frame.js";
import type { Key } from "../state/keys.js";
import { Undo } from "../state/undo.js";
import type { HopPane, Slide } from "./hop.js";
import { OrderedSlots } from "./ordered-slots.js";

/** Of a key: start of the first pane of the old block that holds it and is in the window; NONE when there is none. */
const FRONT = 0;
/** Of a key: panes of the new block that hold it. */
const BACK = 1;
/** Of a key in a pane of the old block: start of the next pane that holds it, or NONE. */
const FOLLOWING = 0;
const NONE = Number.POSITIVE_INFINITY;

/**
 * Two stacks for aggregates that can only be merged, flipped at fixed places: time is cut into blocks of the window's size. A window
 * is the end of one block (the front stack: what each pane and all later ones of its block hold, per key) and the beginning
 * of the next (the back stack: one running row per key). Fixed places make the result a function of the panes alone, to the
 * last bit, wherever a snapshot is taken.
 *
 * Cost: two merges a pane and key, one more a row said.
 * Source: van Herk, "A fast algorithm for local minimum and maximum filters", 1992; Gil and Werman, 1993.
 */
export class BlockSlide<V> implements Slide<V> {
  readonly #sizeMs: number;
  readonly #offsetMs: number;
  readonly #plan: Plan<V, unknown>;
  readonly #frontPlan: Plan<V, unknown>;
  readonly #undo = new Undo();
  readonly #order = new OrderedSlots();
  readonly #scratch: Frame<V>;
  #back: Frame<V>;
  /** The old block's panes in the window, each with what it and all later ones hold. */
  #front = new Map<number, Frame<V>>();
  #frontStarts: number[] = [];
  /** The new block's panes taken in, ascending. */
  #taken: HopPane<V>[] = [];
  #blockMs = Number.NEGATIVE_INFINITY;

  constructor(aggregates: Aggregates<V>, { sizeMs, offsetMs }: { readonly sizeMs: number; readonly offsetMs: number }) {
    this.#sizeMs = sizeMs;
    this.#offsetMs = offsetMs;
    this.#plan = planAggregates<V>(aggregates, 2);
    this.#frontPlan = planAggregates<V>(aggregates, 1);
    this.#back = new Frame(this.#plan, this.#undo);
    this.#scratch = new Frame(this.#plan, this.#undo);
    this.#scratch.open("");
  }

  moveTo(startMs: number, endMs: number, panes: readonly HopPane<V>[]): void {
    this.#evict(startMs);
    if (this.#taken.length > 0 && this.#blockMs < startMs) this.#flip(startMs);
    this.#order.settle(this.#back.table.keys);
    // After a spoiling, panes of the old block come again; they are taken in and flipped as they were.
    const reachedMs =
      this.#taken[this.#taken.length - 1]?.startMs ??
      this.#frontStarts[this.#frontStarts.length - 1] ??
      Number.NEGATIVE_INFINITY;
    for (const pane of panes) {
      if (pane.startMs < startMs || pane.startMs >= endMs || pane.startMs <= reachedMs) continue;
      const blockMs = Math.floor((pane.startMs - this.#offsetMs) / this.#sizeMs) * this.#sizeMs + this.#offsetMs;
      if (blockMs !== this.#blockMs && this.#taken.length > 0) this.#flip(startMs);
      this.#blockMs = blockMs;
      this.#take(pane);
    }
    if (this.#taken.length > 0 && this.#blockMs < startMs) this.#flip(startMs);
    this.#order.settle(this.#back.table.keys);
  }

  #take(pane: HopPane<V>): void {
    this.#taken.push(pane);
    const { table } = pane.frame;
    const back = this.#back;
    const { stride, extraAt } = this.#plan;
    for (let from = 0; from < table.keys.length; from++) {
      const key = table.keys[from];
      if (key === undefined) continue;
      this.#undo.begin();
      const slot = back.openHashed(key, table.hashes[from] as number);
      const at = slot * stride + extraAt;
      if (back.table.fresh) {
        back.rows[at + FRONT] = NONE;
        this.#order.add(slot);
      }
      merge(back, slot, pane.frame, from);
      back.rows[at + BACK] = (back.rows[at + BACK] as number) + 1;
    }
  }

  /** The new block becomes the old one: from its last pane to its first, each pane is merged with what follows it. */
  #flip(startMs: number): void {
    const back = this.#back;
    const { stride, extraAt } = this.#plan;
    for (let i = this.#taken.length - 1; i >= 0; i--) {
      const pane = this.#taken[i] as HopPane<V>;
      if (pane.startMs < startMs) break;
      const front = new Frame<V>(this.#frontPlan, this.#undo);
      const { table } = pane.frame;
      for (let from = 0; from < table.keys.length; from++) {
        const key = table.keys[from];
        if (key === undefined) continue;
        this.#undo.begin();
        const hash = table.hashes[from] as number;
        const at = back.table.findHashed(key, hash) * stride + extraAt + FRONT;
        const following = back.rows[at] as number;
        const slot = front.openHashed(key, hash);
        merge(front, slot, pane.frame, from);
        if (following !== NONE) {
          const later = this.#front.get(following) as Frame<V>;
          merge(front, slot, later, later.table.findHashed(key, hash));
        }
        front.rows[slot * this.#frontPlan.stride + this.#frontPlan.extraAt + FOLLOWING] = following;
        back.rows[at] = pane.startMs;
      }
      this.#front.set(pane.startMs, front);
    }
    this.#frontStarts = [...this.#front.keys()].sort((a, b) => a - b);
    this.#taken = [];
    for (let slot = 0; slot < back.table.keys.length; slot++) {
      if (back.table.keys[slot] === undefined) continue;
      back.reset(slot);
      back.rows[slot * stride + extraAt + BACK] = 0;
      this.#removeIfEmpty(slot);
    }
  }

  #removeIfEmpty(slot: number): void {
    const at = slot * this.#plan.stride + this.#plan.extraAt;
    if (this.#back.rows[at + FRONT] !== NONE || this.#back.rows[at + BACK] !== 0) return;
    this.#back.remove(slot);
    this.#order.noteRemoved();
  }

  #evict(startMs: number): void {
    while (this.#frontStarts.length > 0 && (this.#frontStarts[0] as number) < startMs) {
      const leaving = this.#frontStarts.shift() as number;
      const { table, rows } = this.#front.get(leaving) as Frame<V>;
      for (let from = 0; from < table.keys.length; from++) {
        const key = table.keys[from];
        if (key === undefined) continue;
        const slot = this.#back.table.findHashed(key, table.hashes[from] as number);
        const following = rows[from * this.#frontPlan.stride + this.#frontPlan.extraAt + FOLLOWING] as number;
        this.#back.rows[slot * this.#plan.stride + this.#plan.extraAt + FRONT] = following;
        this.#removeIfEmpty(slot);
      }
      this.#front.delete(leaving);
    }
  }

  slots(): Int32Array {
    return this.#order.slots;
  }

  keyAt(slot: number): Key {
    return this.#back.table.keys[slot] as Key;
  }

  result(slot: number, startMs: number, endMs: number): unknown {
    const back = this.#back;
    const key = this.keyAt(slot);
    const front = back.rows[slot * this.#plan.stride + this.#plan.extraAt + FRONT] as number;
    if (front === NONE) return back.result(slot, key, startMs, endMs, "final", 0);
    const whole = this.#scratch;
    const stack = this.#front.get(front) as Frame<V>;
    const from = stack.table.findHashed(key, back.table.hashes[slot] as number);
    if (this.#plan.cells.length === 0) {
      const { extraAt } = this.#plan;
      const at = from * this.#frontPlan.stride;
      for (let i = 0; i < extraAt; i++) whole.rows[i] = stack.rows[at + i] as number;
    } else {
      whole.reset(0);
      merge(whole, 0, stack, from);
    }
    merge(whole, 0, back, slot);
    return whole.result(0, key, startMs, endMs, "final", 0);
  }

  spoil(): void {
    this.#back = new Frame(this.#plan, this.#undo);
    this.#front = new Map();
    this.#frontStarts = [];
    this.#taken = [];
    this.#blockMs = Number.NEGATIVE_INFINITY;
    this.#order.clear();
  }

  get keys(): number {
    return this.#back.table.size;
  }

  get bytes(): number {
    let bytes = this.#back.bytes;
    for (const frame of this.#front.values()) bytes += frame.bytes;
    return bytes;
  }
}

/** Rows of two plans of the same aggregates differ in their extras only, which come last. */
function merge<V>(into: Frame<V>, slot: number, from: Frame<V>, fromSlot: number): void {
  into.plan.mergeParts(into.rows, slot * into.plan.stride, from.rows, fromSlot * from.plan.stride);
  for (let i = 0; i < into.plan.cells.length; i++)
    into.plan.cells[i]?.merge?.(into.cells[i]?.[slot], from.cells[i]?.[fromSlot]);
}

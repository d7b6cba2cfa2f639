import { type Aggregates, type Plan, planAggregates } from "../aggregates/plan.js";
import { Frame } from "../state/frame.js";
import type { Key } from "../state/keys.js";
import { STEP_SLOTS, type Steps } from "../state/steps.js";
import { Undo } from "../state/undo.js";
import type { HopPane, Slide } from "./hop.js";
import { OrderedSlots } from "./ordered-slots.js";

/** Extra of a key's row: number of the first old pane in the window that holds it + 1 (0 when there is none), and its slot there. */
const FRONT = 0;
const FRONT_SLOT = 1;
/** Panes of the new block that hold it. */
const BACK = 2;
const EXTRAS = 3;

/** A pane of the new block, and where its slots are in the running rows: looked up once, for a slot stays while its key is held. */
interface Taken<V> {
  readonly pane: HopPane<V>;
  /** By slot of the pane; -1 of free ones. */
  readonly slots: Int32Array;
}

/** A pane of the old block by its own slots: what it and all later panes hold, and where the next pane with the key is. No look-ups. */
interface FrontPane<V> extends Taken<V> {
  readonly rows: Float64Array;
  readonly cells: readonly unknown[][];
  /** Number + 1 and slot there; 0 when no later pane has the key. */
  readonly following: Int32Array;
  readonly followingSlots: Int32Array;
}

/**
 * Two stacks for aggregates that can only be merged, flipped at fixed places: time is cut into blocks of the window's size. A window
 * is the end of one block (the front stack: what each pane and all later ones of its block hold, per key) and the beginning
 * of the next (the back stack: one running row per key). Fixed places make the result a function of the panes alone, to the
 * last bit, wherever a snapshot is taken.
 *
 * Cost: two merges and one look-up a pane and key, one merge more a row said.
 * Source: van Herk, "A fast algorithm for local minimum and maximum filters", 1992; Gil and Werman, 1993.
 */
export class BlockSlide<V> implements Slide<V> {
  readonly #sizeMs: number;
  readonly #offsetMs: number;
  readonly #plan: Plan<V, unknown>;
  readonly #undo = new Undo();
  readonly #order = new OrderedSlots();
  readonly #scratch: Frame<V>;
  #back: Frame<V>;
  /** The old block's panes, ascending; those that left the window are undefined. */
  #front: (FrontPane<V> | undefined)[] = [];
  #frontFrom = 0;
  /** The new block's panes taken in, ascending. */
  #taken: Taken<V>[] = [];
  #blockMs = Number.NEGATIVE_INFINITY;

  constructor(aggregates: Aggregates<V>, { sizeMs, offsetMs }: { readonly sizeMs: number; readonly offsetMs: number }) {
    this.#sizeMs = sizeMs;
    this.#offsetMs = offsetMs;
    this.#plan = planAggregates<V>(aggregates, EXTRAS);
    this.#back = new Frame(this.#plan, this.#undo);
    this.#scratch = new Frame(this.#plan, this.#undo);
    this.#scratch.open("");
  }

  *moveTo(startMs: number, endMs: number, panes: readonly HopPane<V>[]): Steps {
    yield* this.#evict(startMs);
    yield* this.#order.settle(this.#back.table);
    // After a spoiling, panes of the old block come again; they are taken in and flipped as they were.
    const reachedMs =
      this.#taken[this.#taken.length - 1]?.pane.startMs ??
      this.#front[this.#front.length - 1]?.pane.startMs ??
      Number.NEGATIVE_INFINITY;
    for (const pane of panes) {
      if (pane.startMs < startMs || pane.startMs >= endMs || pane.startMs <= reachedMs) continue;
      const blockMs = Math.floor((pane.startMs - this.#offsetMs) / this.#sizeMs) * this.#sizeMs + this.#offsetMs;
      if (blockMs !== this.#blockMs && this.#taken.length > 0) yield* this.#flip(startMs);
      this.#blockMs = blockMs;
      yield* this.#take(pane);
    }
    // Not before all of its panes are in: a block is flipped once. Where a slide does not divide the size, a window ends within it.
    if (this.#taken.length > 0 && this.#blockMs < startMs) yield* this.#flip(startMs);
    yield* this.#order.settle(this.#back.table);
  }

  *#take(pane: HopPane<V>): Steps {
    const { table } = pane.frame;
    const back = this.#back;
    const { stride, extraAt } = this.#plan;
    const slots = new Int32Array(table.length).fill(-1);
    for (let from = 0; from < slots.length; from++) {
      if (from % STEP_SLOTS === STEP_SLOTS - 1) yield;
      if (!table.has(from)) continue;
      let slot = back.table.findOf(table, from);
      if (slot < 0) {
        this.#undo.begin();
        slot = back.openOther(pane.frame, from);
        this.#order.add(slot);
      }
      slots[from] = slot;
      merge(this.#plan, back, slot, pane.frame, from, pane.frame.plan.stride);
      const at = slot * stride + extraAt + BACK;
      back.rows[at] = (back.rows[at] as number) + 1;
    }
    this.#taken.push({ pane, slots });
  }

  /** The new block becomes the old one (of which no pane is in the window any more): from its last pane to its first, each with what follows. */
  *#flip(startMs: number): Steps {
    const back = this.#back;
    const { stride, extraAt } = this.#plan;
    this.#front = new Array<FrontPane<V> | undefined>(this.#taken.length).fill(undefined);
    this.#frontFrom = this.#taken.length;
    for (let i = this.#taken.length - 1; i >= 0; i--) {
      const taken = this.#taken[i] as Taken<V>;
      if (taken.pane.startMs < startMs) break;
      this.#front[i] = yield* this.#stacked(taken);
      this.#frontFrom = i;
      for (let from = 0; from < taken.slots.length; from++) {
        if (from % STEP_SLOTS === STEP_SLOTS - 1) yield;
        const slot = taken.slots[from] as number;
        if (slot < 0) continue;
        back.rows[slot * stride + extraAt + FRONT] = i + 1;
        back.rows[slot * stride + extraAt + FRONT_SLOT] = from;
      }
    }
    this.#taken = [];
    for (let slot = 0; slot < back.table.length; slot++) {
      if (slot % STEP_SLOTS === STEP_SLOTS - 1) yield;
      if (!back.table.has(slot)) continue;
      back.reset(slot);
      back.rows[slot * stride + extraAt + BACK] = 0;
      this.#removeIfEmpty(slot);
    }
    yield* this.#order.settle(back.table);
  }

  *#stacked({ pane, slots }: Taken<V>): Steps<FrontPane<V>> {
    const plan = this.#plan;
    const paneStride = pane.frame.plan.stride;
    const width = plan.extraAt;
    const { length } = slots;
    const rows = new Float64Array(length * width);
    const cells = plan.cells.map(() => new Array<unknown>(length));
    const following = new Int32Array(length);
    const followingSlots = new Int32Array(length);
    const stacked: FrontPane<V> = { pane, slots, rows, cells, following, followingSlots };
    for (let from = 0; from < length; from++) {
      if (from % STEP_SLOTS === STEP_SLOTS - 1) yield;
      const slot = slots[from] as number;
      if (slot < 0) continue;
      plan.init(rows, from * width);
      for (let i = 0; i < cells.length; i++) (cells[i] as unknown[])[from] = plan.cells[i]?.create();
      merge(plan, stacked, from, pane.frame, from, paneStride, width);
      const at = slot * plan.stride + width;
      const next = this.#back.rows[at + FRONT] as number;
      if (next === 0) continue;
      const nextSlot = this.#back.rows[at + FRONT_SLOT] as number;
      following[from] = next;
      followingSlots[from] = nextSlot;
      merge(plan, stacked, from, this.#front[next - 1] as FrontPane<V>, nextSlot, width, width);
    }
    return stacked;
  }

  #removeIfEmpty(slot: number): void {
    const at = slot * this.#plan.stride + this.#plan.extraAt;
    if (this.#back.rows[at + FRONT] !== 0 || this.#back.rows[at + BACK] !== 0) return;
    this.#back.remove(slot);
    this.#order.noteRemoved();
  }

  *#evict(startMs: number): Steps {
    const { rows } = this.#back;
    const { stride, extraAt } = this.#plan;
    for (; this.#frontFrom < this.#front.length; this.#frontFrom++) {
      const leaving = this.#front[this.#frontFrom] as FrontPane<V>;
      if (leaving.pane.startMs >= startMs) return;
      for (let from = 0; from < leaving.slots.length; from++) {
        if (from % STEP_SLOTS === STEP_SLOTS - 1) yield;
        const slot = leaving.slots[from] as number;
        if (slot < 0) continue;
        const at = slot * stride + extraAt;
        rows[at + FRONT] = leaving.following[from] as number;
        rows[at + FRONT_SLOT] = leaving.followingSlots[from] as number;
        this.#removeIfEmpty(slot);
      }
      this.#front[this.#frontFrom] = undefined;
    }
    this.#front = [];
    this.#frontFrom = 0;
  }

  slots(): Int32Array {
    return this.#order.slots;
  }

  keyAt(slot: number): Key {
    return this.#back.table.keyAt(slot) as Key;
  }

  result(slot: number, startMs: number, endMs: number): unknown {
    const back = this.#back;
    const plan = this.#plan;
    const key = this.keyAt(slot);
    const at = slot * plan.stride + plan.extraAt;
    const front = back.rows[at + FRONT] as number;
    if (front === 0) return back.result(slot, key, startMs, endMs, "final", 0);
    const whole = this.#scratch;
    const stack = this.#front[front - 1] as FrontPane<V>;
    const from = back.rows[at + FRONT_SLOT] as number;
    if (plan.cells.length === 0) {
      const width = plan.extraAt;
      for (let i = 0; i < width; i++) whole.rows[i] = stack.rows[from * width + i] as number;
    } else {
      whole.reset(0);
      merge(plan, whole, 0, stack, from, plan.extraAt);
    }
    merge(plan, whole, 0, back, slot, plan.stride);
    return whole.result(0, key, startMs, endMs, "final", 0);
  }

  spoil(): void {
    this.#back = new Frame(this.#plan, this.#undo);
    this.#front = [];
    this.#frontFrom = 0;
    this.#taken = [];
    this.#blockMs = Number.NEGATIVE_INFINITY;
    this.#order.clear();
  }

  get keys(): number {
    return this.#back.table.size;
  }

  get bytes(): number {
    let bytes = this.#back.bytes;
    for (const pane of this.#front) if (pane !== undefined) bytes += pane.rows.byteLength + pane.slots.byteLength * 3;
    return bytes;
  }
}

interface Rows {
  readonly rows: Float64Array;
  readonly cells: readonly unknown[][];
}

/** Rows of plans of the same aggregates differ in their extras only, which come last. */
function merge<V>(
  plan: Plan<V, unknown>,
  into: Rows,
  slot: number,
  from: Rows,
  fromSlot: number,
  fromStride: number,
  stride = plan.stride,
): void {
  plan.mergeParts(into.rows, slot * stride, from.rows, fromSlot * fromStride);
  for (let i = 0; i < plan.cells.length; i++) plan.cells[i]?.merge?.(into.cells[i]?.[slot], from.cells[i]?.[fromSlot]);
}

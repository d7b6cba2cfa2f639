import type { Cell } from "../aggregates/aggregate.js";
import { type Aggregates, type Plan, planAggregates } from "../aggregates/plan.js";
import { Frame } from "../state/frame.js";
import { grown } from "../state/keys.js";
import { STEP_SLOTS, type Steps } from "../state/steps.js";
import { Undo } from "../state/undo.js";
import type { Held } from "./firing.js";
import { firstFrom, type HopPane, type Slide } from "./hop.js";
import { OrderedSlots } from "./ordered-slots.js";

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
 * Cost: two merges and one look-up a pane and key, and two more where a pane with the key comes or goes.
 * Source: van Herk, "A fast algorithm for local minimum and maximum filters", 1992; Gil and Werman, 1993.
 */
export class BlockSlide<V> implements Slide<V> {
  readonly #sizeMs: number;
  readonly #offsetMs: number;
  readonly #plan: Plan<V, unknown>;
  readonly #undo = new Undo();
  readonly #order = new OrderedSlots();
  #back: Frame<V>;
  /** By slot of the back: what the window holds of the key. */
  #wholeRows = new Float64Array(0);
  #wholeCells: unknown[][];
  /** By slot of the back: number of the first old pane in the window that holds the key + 1 (0 when there is none), and its slot there. */
  #fronts = new Int32Array(0);
  #frontSlots = new Int32Array(0);
  /** By slot of the back: 1 when a pane of the new block holds the key. */
  #inBack = new Uint8Array(0);
  /** Slots whose stacks have changed since their row was put together, and the same as marks. */
  #toPut: number[] = [];
  #stirred = new Uint8Array(0);
  /** The old block's panes, ascending; those that left the window are undefined. */
  #front: (FrontPane<V> | undefined)[] = [];
  #frontFrom = 0;
  /** The new block's panes taken in, ascending. */
  #taken: Taken<V>[] = [];
  #blockMs = Number.NEGATIVE_INFINITY;

  constructor(aggregates: Aggregates<V>, { sizeMs, offsetMs }: { readonly sizeMs: number; readonly offsetMs: number }) {
    this.#sizeMs = sizeMs;
    this.#offsetMs = offsetMs;
    this.#plan = planAggregates<V>(aggregates);
    this.#back = new Frame(this.#plan, this.#undo);
    this.#wholeCells = this.#plan.cells.map(() => []);
  }

  *moveTo(startMs: number, endMs: number, panes: readonly HopPane<V>[]): Steps {
    yield* this.#evict(startMs);
    yield* this.#order.settle(this.#back.table);
    // After a spoiling, panes of the old block come again; they are taken in and flipped as they were.
    const reachedMs =
      this.#taken[this.#taken.length - 1]?.pane.startMs ??
      this.#front[this.#front.length - 1]?.pane.startMs ??
      Number.NEGATIVE_INFINITY;
    for (let i = firstFrom(panes, startMs, reachedMs); i < panes.length; i++) {
      const pane = panes[i] as HopPane<V>;
      if (pane.startMs >= endMs) break;
      const blockMs = Math.floor((pane.startMs - this.#offsetMs) / this.#sizeMs) * this.#sizeMs + this.#offsetMs;
      if (blockMs !== this.#blockMs && this.#taken.length > 0) yield* this.#flip(startMs);
      this.#blockMs = blockMs;
      yield* this.#take(pane);
    }
    // Not before all of its panes are in: a block is flipped once. Where a slide does not divide the size, a window ends within it.
    if (this.#taken.length > 0 && this.#blockMs < startMs) yield* this.#flip(startMs);
    yield* this.#order.settle(this.#back.table);
    yield* this.#putTogether();
  }

  *#take(pane: HopPane<V>): Steps {
    const { table } = pane.frame;
    const back = this.#back;
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
      this.#stir(slot);
      back.mergeFrom(slot, pane.frame, from);
      this.#inBack[slot] = 1;
    }
    this.#taken.push({ pane, slots });
  }

  /** The new block becomes the old one (of which no pane is in the window any more): from its last pane to its first, each with what follows. */
  *#flip(startMs: number): Steps {
    const back = this.#back;
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
        this.#fronts[slot] = i + 1;
        this.#frontSlots[slot] = from;
      }
    }
    this.#taken = [];
    for (let slot = 0; slot < back.table.length; slot++) {
      if (slot % STEP_SLOTS === STEP_SLOTS - 1) yield;
      if (!back.table.has(slot)) continue;
      back.reset(slot);
      this.#inBack[slot] = 0;
      this.#stir(slot);
      this.#removeIfEmpty(slot);
    }
    yield* this.#order.settle(back.table);
  }

  *#stacked({ pane, slots }: Taken<V>): Steps<FrontPane<V>> {
    const plan = this.#plan;
    const { stride } = plan;
    const { length } = slots;
    const rows = new Float64Array(length * stride);
    const cells = plan.cells.map(() => new Array<unknown>(length));
    const following = new Int32Array(length);
    const followingSlots = new Int32Array(length);
    const stacked: FrontPane<V> = { pane, slots, rows, cells, following, followingSlots };
    for (let from = 0; from < length; from++) {
      if (from % STEP_SLOTS === STEP_SLOTS - 1) yield;
      const slot = slots[from] as number;
      if (slot < 0) continue;
      plan.init(rows, from * stride);
      for (let i = 0; i < cells.length; i++)
        (cells[i] as unknown[])[from] = (plan.cells[i] as Cell<V, unknown>).create();
      merge(plan, stacked, from, pane.frame, from);
      const next = this.#fronts[slot] as number;
      if (next === 0) continue;
      const nextSlot = this.#frontSlots[slot] as number;
      following[from] = next;
      followingSlots[from] = nextSlot;
      merge(plan, stacked, from, this.#front[next - 1] as FrontPane<V>, nextSlot);
    }
    return stacked;
  }

  #removeIfEmpty(slot: number): void {
    if (this.#fronts[slot] !== 0 || this.#inBack[slot] !== 0) return;
    this.#back.remove(slot);
    this.#order.noteRemoved();
  }

  *#evict(startMs: number): Steps {
    for (; this.#frontFrom < this.#front.length; this.#frontFrom++) {
      const leaving = this.#front[this.#frontFrom] as FrontPane<V>;
      if (leaving.pane.startMs >= startMs) return;
      for (let from = 0; from < leaving.slots.length; from++) {
        if (from % STEP_SLOTS === STEP_SLOTS - 1) yield;
        const slot = leaving.slots[from] as number;
        if (slot < 0) continue;
        this.#fronts[slot] = leaving.following[from] as number;
        this.#frontSlots[slot] = leaving.followingSlots[from] as number;
        this.#stir(slot);
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

  held(): Held {
    return {
      rows: this.#wholeRows,
      cells: this.#wholeCells,
      stride: this.#plan.stride,
      keyOf: this.#back.table.keyOf,
    };
  }

  /** The stacks of a key have changed: its row must be put together anew. */
  #stir(slot: number): void {
    if (slot >= this.#stirred.length) this.#growMarks(slot);
    if (this.#stirred[slot] === 1) return;
    this.#stirred[slot] = 1;
    this.#toPut.push(slot);
  }

  #growMarks(slot: number): void {
    const room = Math.max(64, slot * 2);
    this.#stirred = grown(this.#stirred, room);
    this.#inBack = grown(this.#inBack, room);
    this.#fronts = grown(this.#fronts, room);
    this.#frontSlots = grown(this.#frontSlots, room);
  }

  /** Front and back as one row, of the keys whose stacks have changed: where a slide brings few of the keys, most stay as they are. */
  *#putTogether(): Steps {
    const plan = this.#plan;
    const { rows, table } = this.#back;
    const { stride } = plan;
    if (this.#wholeRows.length < table.length * stride) this.#wholeRows = grown(this.#wholeRows, rows.length);
    const whole = this.#wholeRows;
    for (let n = 0; n < this.#toPut.length; n++) {
      if (n % STEP_SLOTS === STEP_SLOTS - 1) yield;
      const slot = this.#toPut[n] as number;
      this.#stirred[slot] = 0;
      const at = slot * stride;
      const front = this.#fronts[slot] as number;
      if (!table.has(slot) || front === 0) {
        for (let i = at; i < at + stride; i++) whole[i] = rows[i] as number;
        for (let i = 0; i < plan.cells.length; i++) this.#cells(i)[slot] = (this.#back.cells[i] as unknown[])[slot];
        continue;
      }
      const stack = this.#front[front - 1] as FrontPane<V>;
      const from = this.#frontSlots[slot] as number;
      for (let i = 0; i < stride; i++) whole[at + i] = stack.rows[from * stride + i] as number;
      plan.mergeParts(whole, at, rows, at);
      for (let i = 0; i < plan.cells.length; i++)
        this.#cells(i)[slot] = this.#bothOf(i, (stack.cells[i] as unknown[])[from], slot);
    }
    this.#toPut.length = 0;
  }

  #cells(i: number): unknown[] {
    return this.#wholeCells[i] as unknown[];
  }

  #bothOf(i: number, front: unknown, slot: number): unknown {
    const cell = this.#plan.cells[i] as Cell<V, unknown>;
    const both = cell.create();
    cell.merge?.(both, front);
    cell.merge?.(both, (this.#back.cells[i] as unknown[])[slot]);
    return both;
  }

  spoil(): void {
    this.#back = new Frame(this.#plan, this.#undo);
    this.#front = [];
    this.#frontFrom = 0;
    this.#taken = [];
    this.#blockMs = Number.NEGATIVE_INFINITY;
    this.#order.clear();
    this.#toPut = [];
    this.#stirred.fill(0);
    this.#inBack.fill(0);
    this.#fronts.fill(0);
    this.#wholeCells = this.#plan.cells.map(() => []);
  }

  get keys(): number {
    return this.#back.table.size;
  }

  get bytes(): number {
    let bytes =
      this.#back.bytes + this.#wholeRows.byteLength + this.#fronts.byteLength * 2 + this.#stirred.byteLength * 2;
    for (const pane of this.#front) if (pane !== undefined) bytes += pane.rows.byteLength + pane.slots.byteLength * 3;
    return bytes;
  }
}

interface Rows {
  readonly rows: Float64Array;
  readonly cells: readonly unknown[][];
}

/** All of plans of the same aggregates. */
function merge<V>(plan: Plan<V, unknown>, into: Rows, slot: number, from: Rows, fromSlot: number): void {
  plan.mergeParts(into.rows, slot * plan.stride, from.rows, fromSlot * plan.stride);
  for (let i = 0; i < plan.cells.length; i++)
    (plan.cells[i] as Cell<V, unknown>).merge?.(
      (into.cells[i] as unknown[])[slot],
      (from.cells[i] as unknown[])[fromSlot],
    );
}

import { type Aggregates, type Plan, planAggregates } from "../aggregates/plan.js";
import { Frame } from "../state/frame.js";
import { STEP_SLOTS, type Steps } from "../state/steps.js";
import { Undo } from "../state/undo.js";
import type { Held } from "./firing.js";
import { firstFrom, type HopPane, type Slide } from "./hop.js";
import { OrderedSlots } from "./ordered-slots.js";

/** For aggregates that can be taken away exactly: one row a key, to which panes are added and from which they are subtracted. */
export class SubtractSlide<V> implements Slide<V> {
  readonly #plan: Plan<V, unknown>;
  readonly #undo = new Undo();
  readonly #order = new OrderedSlots();
  #frame: Frame<V>;
  /** Panes in the window at hand, ascending. */
  #held: HopPane<V>[] = [];

  constructor(aggregates: Aggregates<V>) {
    this.#plan = planAggregates<V>(aggregates, 1); // how many panes hold the key
    this.#frame = new Frame(this.#plan, this.#undo);
  }

  *moveTo(startMs: number, endMs: number, panes: readonly HopPane<V>[]): Steps {
    while (this.#held.length > 0 && (this.#held[0] as HopPane<V>).startMs < startMs)
      yield* this.#subtract((this.#held.shift() as HopPane<V>).frame);
    yield* this.#order.settle(this.#frame.table);
    const reachedMs = this.#held[this.#held.length - 1]?.startMs ?? Number.NEGATIVE_INFINITY;
    for (let i = firstFrom(panes, startMs, reachedMs); i < panes.length; i++) {
      const pane = panes[i] as HopPane<V>;
      if (pane.startMs >= endMs) break;
      this.#held.push(pane);
      yield* this.#add(pane.frame);
    }
    yield* this.#order.settle(this.#frame.table);
  }

  *#add(pane: Frame<V>): Steps {
    const { table } = pane;
    const frame = this.#frame;
    const { stride, extraAt } = this.#plan;
    for (let from = 0; from < table.length; from++) {
      if (from % STEP_SLOTS === STEP_SLOTS - 1) yield;
      if (!table.has(from)) continue;
      this.#undo.begin();
      const slot = frame.openOther(pane, from);
      if (frame.table.fresh) this.#order.add(slot);
      this.#merge(slot, pane, from);
      const at = slot * stride + extraAt;
      frame.rows[at] = (frame.rows[at] as number) + 1;
    }
  }

  #merge(slot: number, pane: Frame<V>, from: number): void {
    const frame = this.#frame;
    frame.plan.mergeParts(frame.rows, slot * this.#plan.stride, pane.rows, from * pane.plan.stride);
    frame.plan.cells.forEach((cell, i) =>
      cell.merge?.((frame.cells[i] as unknown[])[slot], (pane.cells[i] as unknown[])[from]),
    );
  }

  *#subtract(pane: Frame<V>): Steps {
    const { table } = pane;
    const frame = this.#frame;
    const { stride, extraAt } = this.#plan;
    for (let from = 0; from < table.length; from++) {
      if (from % STEP_SLOTS === STEP_SLOTS - 1) yield;
      if (!table.has(from)) continue;
      const slot = frame.table.findOf(table, from);
      const at = slot * stride + extraAt;
      const left = (frame.rows[at] as number) - 1;
      frame.rows[at] = left;
      if (left === 0) {
        frame.remove(slot);
        this.#order.noteRemoved();
        continue;
      }
      frame.plan.subtractParts(frame.rows, slot * stride, pane.rows, from * pane.plan.stride);
      frame.plan.cells.forEach((cell, i) =>
        cell.subtract?.((frame.cells[i] as unknown[])[slot], (pane.cells[i] as unknown[])[from]),
      );
    }
  }

  slots(): Int32Array {
    return this.#order.slots;
  }

  held(): Held {
    const { rows, cells, table } = this.#frame;
    return { rows, cells, stride: this.#plan.stride, keyOf: table.keyOf };
  }

  /** The sums hold what the panes held; what changed since cannot be subtracted. */
  spoil(): void {
    this.#held = [];
    this.#order.clear();
    this.#frame = new Frame(this.#plan, this.#undo);
  }

  get keys(): number {
    return this.#frame.table.size;
  }

  get bytes(): number {
    return this.#frame.bytes;
  }
}

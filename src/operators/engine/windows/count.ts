import type { Plan } from "../aggregates/plan.js";
import type { ByteReader, ByteWriter } from "../state/bytes.js";
import { Frame } from "../state/frame.js";
import type { Key } from "../state/keys.js";
import type { Steps } from "../state/steps.js";
import type { Undoable } from "../state/undo.js";
import type { HeldPart, Operator, OperatorMetrics, Push, Runtime } from "../topology/runtime.js";

/** Events so far, first and last time. */
export const COUNT_EXTRA = 3;

/**
 * Folds every `size` events of a key, in the order of the log, from the first's time to just after the last's.
 *
 * Out: with the event that completes it. Late: never, time has no part in it. State: one row a key with an open window.
 */
export class CountWindow<V> implements Operator, Undoable {
  readonly id: number;
  readonly name: string;
  readonly #runtime: Runtime;
  readonly #size: number;
  readonly #plan: Plan<V, unknown>;
  readonly #next: Push<unknown>;
  #frame: Frame<V>;

  constructor(id: number, name: string, runtime: Runtime, size: number, plan: Plan<V, unknown>, next: Push<unknown>) {
    this.id = id;
    this.name = name;
    this.#runtime = runtime;
    this.#size = size;
    this.#plan = plan;
    this.#next = next;
    this.#frame = new Frame(plan, runtime.undo);
  }

  readonly push = (value: V): void => {
    const { now, undo } = this.#runtime;
    const { key, timeMs } = now;
    const frame = this.#frame;
    const slot = frame.open(key);
    const at = slot * this.#plan.stride + this.#plan.extraAt;
    const seen = (frame.rows[at] as number) + 1;
    frame.rows[at] = seen;
    frame.rows[at + 1] = seen === 1 ? timeMs : Math.min(frame.rows[at + 1] as number, timeMs);
    frame.rows[at + 2] = seen === 1 ? timeMs : Math.max(frame.rows[at + 2] as number, timeMs);
    frame.add(slot, value, timeMs);
    if (seen < this.#size) return;
    const row = frame.result(slot, key, frame.rows[at + 1] as number, (frame.rows[at + 2] as number) + 1, "final", 0);
    const cells = frame.cells.map((cell) => cell[slot]);
    const rows = frame.rows.slice(slot * this.#plan.stride, (slot + 1) * this.#plan.stride);
    undo.note(this, slot, undo.keep({ key, rows, cells }));
    frame.remove(slot);
    this.#next(row);
  };

  undo(_slot: number, kept: number): void {
    const { key, rows, cells } = this.#runtime.undo.kept(kept) as { key: string; rows: Float64Array; cells: unknown[] };
    const frame = this.#frame;
    const slot = frame.table.slotOf(key); // freed last, so the same slot comes back
    frame.rows.set(rows, slot * this.#plan.stride);
    cells.forEach((cell, i) => {
      (frame.cells[i] as unknown[])[slot] = cell;
    });
  }

  nextMs(): number {
    return Number.POSITIVE_INFINITY;
  }

  advance(): void {}

  save(writer: ByteWriter): void {
    this.#frame.save(writer);
  }

  saveInSteps(writer: ByteWriter): Steps {
    return this.#frame.saveInSteps(writer);
  }

  load(reader: ByteReader): void {
    this.#frame = new Frame(this.#plan, this.#runtime.undo);
    this.#frame.load(reader);
  }

  held(key: Key): readonly HeldPart[] {
    const slot = this.#frame.table.find(key);
    if (slot < 0) return [];
    const at = slot * this.#plan.stride + this.#plan.extraAt;
    const { rows } = this.#frame;
    return [this.#frame.heldAt(slot, key, rows[at + 1] as number, (rows[at + 2] as number) + 1)];
  }

  heldKeys(): Iterable<Key> {
    return this.#frame.table.held();
  }

  metrics(): OperatorMetrics {
    return { name: this.name, keys: this.#frame.table.size, bytes: this.#frame.bytes };
  }
}

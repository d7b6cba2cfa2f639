import type { ByteReader, ByteWriter } from "../state/bytes.js";
import { KeyTable } from "../state/key-table.js";
import { type Key, readKey } from "../state/keys.js";
import { SlotCut } from "../state/slot-cut.js";
import { atOnce, type Steps } from "../state/steps.js";
import type { Undoable } from "../state/undo.js";
import { readValue, writeValue } from "../state/values.js";
import type { HeldPart, Operator, OperatorMetrics, Push, Runtime } from "../topology/runtime.js";

/** A window and a key, for the function that combines a pair. */
export interface JoinWindow<K> {
  readonly key: K;
  readonly startMs: number;
  readonly endMs: number;
}

export interface WindowJoinOptions<L, R, O, K> {
  /** Size of the tumbling window, aligned to the Unix epoch, ms. */
  readonly sizeMs: number;
  readonly combine: (left: L, right: R, window: JoinWindow<K>) => O;
}

type Row = readonly [timeMs: number, value: unknown];

interface Pane {
  readonly table: KeyTable;
  readonly rows: readonly [Row[][], Row[][]];
  /** While a save is under way. */
  cut?: SlotCut<readonly (readonly Row[])[]> | undefined;
}

/**
 * Pairs values of two streams with the same key in the same tumbling window.
 *
 * Out:   every pair of a key once the watermark reaches the window's end, by key, then by the left's and the right's (time, arrival).
 * Late:  its window has ended: to the late stream. State: the values of open windows.
 */
export class WindowJoin<L, R, O, K extends Key> implements Operator, Undoable {
  readonly id: number;
  readonly name: string;
  readonly #runtime: Runtime;
  readonly #options: WindowJoinOptions<L, R, O, K>;
  readonly #next: Push<O>;
  readonly #panes = new Map<number, Pane>();
  #watermarkMs = Number.NEGATIVE_INFINITY;
  #nextMs = Number.POSITIVE_INFINITY;

  constructor(id: number, name: string, runtime: Runtime, options: WindowJoinOptions<L, R, O, K>, next: Push<never>) {
    this.id = id;
    this.name = name;
    this.#runtime = runtime;
    this.#options = options;
    this.#next = next as Push<O>;
  }

  readonly left = (value: L): void => this.#take(0, value);
  readonly right = (value: R): void => this.#take(1, value);

  #take(side: 0 | 1, value: unknown): void {
    const { now, undo } = this.#runtime;
    const { sizeMs } = this.#options;
    const startMs = Math.floor(now.timeMs / sizeMs) * sizeMs;
    if (startMs + sizeMs <= this.#watermarkMs) {
      this.#runtime.late(this.name, value, this.#watermarkMs - startMs - sizeMs);
      return;
    }
    let pane = this.#panes.get(startMs);
    if (pane === undefined) {
      pane = { table: new KeyTable(), rows: [[], []] };
      this.#panes.set(startMs, pane);
      this.#nextMs = Math.min(this.#nextMs, startMs + sizeMs);
    }
    const slot = pane.table.slotOf(now.key);
    pane.cut?.preserve(slot, pane.table.fresh);
    if (pane.table.fresh) {
      pane.rows[0][slot] = [];
      pane.rows[1][slot] = [];
    }
    (pane.rows[side][slot] as Row[]).push([now.timeMs, value]);
    undo.note(this, startMs, slot * 2 + side);
  }

  /** Takes the last value off again, and the key and the window that held nothing else. */
  undo(startMs: number, code: number): void {
    const { table, rows } = this.#panes.get(startMs) as Pane;
    const slot = code >> 1;
    const [lefts, rights] = [rows[0][slot] as Row[], rows[1][slot] as Row[]];
    (code % 2 === 0 ? lefts : rights).pop();
    if (lefts.length + rights.length === 0) table.remove(slot);
    if (table.size === 0) this.#panes.delete(startMs);
  }

  nextMs(): number {
    return this.#nextMs;
  }

  advance(toMs: number): void {
    atOnce(this.advanceInSteps(toMs));
  }

  *advanceInSteps(toMs: number): Steps {
    if (toMs > this.#watermarkMs) this.#watermarkMs = toMs;
    const { sizeMs } = this.#options;
    const due = [...this.#panes.keys()].filter((startMs) => startMs + sizeMs <= toMs).sort((a, b) => a - b);
    for (const startMs of due) {
      yield* this.#fire(startMs, this.#panes.get(startMs) as Pane);
      this.#panes.delete(startMs);
    }
    this.#nextMs = Number.POSITIVE_INFINITY;
    for (const startMs of this.#panes.keys()) this.#nextMs = Math.min(this.#nextMs, startMs + sizeMs);
  }

  *#fire(startMs: number, { table, rows }: Pane): Steps {
    const { sizeMs, combine } = this.#options;
    const endMs = startMs + sizeMs;
    for (const slot of yield* table.sortedInSteps()) {
      if (this.#runtime.isStepOver()) yield;
      const key = table.keyAt(slot) as K;
      const [lefts, rights] = [inTime(rows[0][slot] as Row[]), inTime(rows[1][slot] as Row[])];
      const window = { key, startMs, endMs };
      for (const [, left] of lefts) {
        for (const [, right] of rights) {
          this.#runtime.fire<R>((value) => this.#next(combine(left as L, value, window)), right as R, key, endMs - 1);
          if (this.#runtime.isStepOver()) yield;
        }
      }
    }
  }

  save(writer: ByteWriter): void {
    writer.f64(this.#watermarkMs);
    writer.uint(this.#panes.size);
    for (const [startMs, { table, rows }] of [...this.#panes].sort(([a], [b]) => a - b)) {
      writer.f64(startMs);
      writer.uint(table.size);
      for (const slot of table.sortedSlots()) {
        table.writeKeyAt(writer, slot);
        writeValue(writer, rows[0][slot]);
        writeValue(writer, rows[1][slot]);
      }
    }
  }

  *saveInSteps(writer: ByteWriter): Steps {
    const panes = [...this.#panes].sort(([a], [b]) => a - b);
    for (const [, pane] of panes) {
      const { table, rows } = pane;
      pane.cut = new SlotCut(table, (slot, keep) =>
        rows.map((side) => (keep ? (side[slot] as Row[]).slice() : (side[slot] as Row[]))),
      );
    }
    writer.f64(this.#watermarkMs);
    writer.uint(panes.length);
    yield;
    for (const [startMs, pane] of panes) {
      writer.f64(startMs);
      yield* (pane.cut as NonNullable<Pane["cut"]>).steps(writer, (sides) => {
        for (const rows of sides) writeValue(writer, rows);
      });
      pane.cut = undefined;
    }
  }

  load(reader: ByteReader): void {
    this.#panes.clear();
    this.#nextMs = Number.POSITIVE_INFINITY;
    this.#watermarkMs = reader.f64();
    for (let left = reader.uint(); left > 0; left--) {
      const startMs = reader.f64();
      const pane: Pane = { table: new KeyTable(), rows: [[], []] };
      for (let keys = reader.uint(); keys > 0; keys--) {
        const slot = pane.table.slotOf(readKey(reader));
        pane.rows[0][slot] = readValue(reader) as Row[];
        pane.rows[1][slot] = readValue(reader) as Row[];
      }
      this.#panes.set(startMs, pane);
      this.#nextMs = Math.min(this.#nextMs, startMs + this.#options.sizeMs);
    }
  }

  held(key: Key): readonly HeldPart[] {
    const panes = [...this.#panes].sort(([a], [b]) => a - b);
    return panes.flatMap(([startMs, { table, rows }]) => {
      const slot = table.find(key);
      const endMs = startMs + this.#options.sizeMs;
      return slot < 0 ? [] : [{ startMs, endMs, value: { left: rows[0][slot], right: rows[1][slot] } }];
    });
  }

  *heldKeys(): Generator<Key> {
    for (const { table } of this.#panes.values()) yield* table.held();
  }

  metrics(): OperatorMetrics {
    let keys = 0;
    let bytes = 0;
    for (const { table } of this.#panes.values()) {
      keys += table.size;
      bytes += table.bytes;
    }
    return { name: this.name, keys, bytes };
  }
}

/** By time; equal times as they came. */
function inTime(rows: readonly Row[]): readonly Row[] {
  return [...rows].sort(([a], [b]) => a - b);
}

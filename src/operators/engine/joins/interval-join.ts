import type { ByteReader, ByteWriter } from "../state/bytes.js";
import { popInKeyOrder } from "../state/due.js";
import { KeyTable } from "../state/key-table.js";
import { type Key, readKey } from "../state/keys.js";
import { SlotCut } from "../state/slot-cut.js";
import { atOnce, type Steps } from "../state/steps.js";
import { TimerHeap } from "../state/timers.js";
import type { Undoable } from "../state/undo.js";
import { readValue, writeValue } from "../state/values.js";
import type { HeldPart, Operator, OperatorMetrics, Push, Runtime } from "../topology/runtime.js";

export interface IntervalJoinOptions<L, R, O> {
  /** A right value matches when its time lies in [left − beforeMs, left + afterMs]. Both may be Infinity. */
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly combine: (left: L, right: R) => O;
  /** What to say of a left value that found no right one, once none can come any more. @default nothing */
  readonly unmatched?: (left: L) => O;
  /** How far behind the watermark a value may still come, ms; what is later goes to the late stream. @default 0 */
  readonly latenessMs?: number;
  /** Forgets values this long after their time, by watermark, ms, whatever the interval. @default no limit */
  readonly ttlMs?: number;
}

interface Row {
  readonly timeMs: number;
  readonly value: unknown;
  matched: boolean;
}

const LEFT = 0;
const RIGHT = 1;
const NO_ROWS: readonly Row[] = [];

/**
 * Pairs values of two streams with the same key whose times lie within an interval of each other.
 *
 * Out:   each pair once, as soon as both are there, at the later of both times; partners by (time, arrival).
 * State: every value until no partner can come any more (watermark beyond its reach), or `ttlMs`.
 * Cost:  O(partners kept for the key) a value.
 */
export class IntervalJoin<L, R, O> implements Operator, Undoable {
  readonly id: number;
  readonly name: string;
  readonly #runtime: Runtime;
  readonly #options: IntervalJoinOptions<L, R, O>;
  readonly #next: Push<O>;
  readonly #table = new KeyTable();
  readonly #rows: [(readonly Row[])[], (readonly Row[])[]] = [[], []];
  readonly #heap = new TimerHeap();
  readonly #keepMs: readonly [number, number];
  readonly #latenessMs: number;
  #watermarkMs = Number.NEGATIVE_INFINITY;
  /** While a save is under way. */
  #cut: SlotCut<readonly (readonly Row[])[]> | undefined;

  constructor(id: number, name: string, runtime: Runtime, options: IntervalJoinOptions<L, R, O>, next: Push<never>) {
    this.id = id;
    this.name = name;
    this.#runtime = runtime;
    this.#options = options;
    this.#next = next as Push<O>;
    const { beforeMs, afterMs, latenessMs = 0, ttlMs = Number.POSITIVE_INFINITY } = options;
    this.#latenessMs = latenessMs;
    this.#keepMs = [
      Math.min(Math.max(afterMs, 0) + latenessMs, ttlMs),
      Math.min(Math.max(beforeMs, 0) + latenessMs, ttlMs),
    ];
  }

  readonly left = (value: L): void => this.#take(LEFT, value);
  readonly right = (value: R): void => this.#take(RIGHT, value);

  #take(side: 0 | 1, value: unknown): void {
    const { now, undo } = this.#runtime;
    const { timeMs, key } = now;
    // What never expires can never come too late.
    if (timeMs + this.#latenessMs < this.#watermarkMs && this.#keepMs[side] !== Number.POSITIVE_INFINITY) {
      this.#runtime.late(this.name, value, this.#watermarkMs - timeMs);
      return;
    }
    const slot = this.#table.slotOf(key);
    this.#cut?.preserve(slot, this.#table.fresh);
    if (this.#table.fresh) {
      this.#rows[LEFT][slot] = NO_ROWS;
      this.#rows[RIGHT][slot] = NO_ROWS;
      undo.note(this, slot, -1);
    }
    const row: Row = { timeMs, value, matched: false };
    this.#insert(side, slot, row);
    const dueMs = timeMs + this.#keepMs[side] + 1; // one past: a partner exactly at the end may still come
    if (dueMs !== Number.POSITIVE_INFINITY) this.#heap.push(dueMs, slot);
    const partners = this.#rows[side === LEFT ? RIGHT : LEFT][slot] as readonly Row[];
    for (const partner of partners) this.#pair(side === LEFT ? row : partner, side === LEFT ? partner : row);
  }

  #pair(left: Row, right: Row): void {
    const { beforeMs, afterMs, combine, unmatched } = this.#options;
    const apartMs = right.timeMs - left.timeMs;
    if (apartMs < -beforeMs || apartMs > afterMs) return;
    const { now, undo } = this.#runtime;
    if (unmatched !== undefined && !left.matched) {
      undo.note(this, undo.keep(left), -2);
      left.matched = true;
    }
    const before = now.timeMs;
    now.timeMs = Math.max(left.timeMs, right.timeMs);
    this.#runtime.step = this.id;
    this.#next(combine(left.value as L, right.value as R));
    now.timeMs = before;
  }

  /** Lists that may be under iteration are never shifted: in place only at the end, which the undo takes off again. */
  #insert(side: 0 | 1, slot: number, row: Row): void {
    const { undo } = this.#runtime;
    const rows = this.#rows[side][slot] as Row[];
    const newest = rows[rows.length - 1];
    if (newest !== undefined && newest.timeMs <= row.timeMs) {
      rows.push(row);
      undo.note(this, slot, -3 - side);
      return;
    }
    undo.note(this, slot, undo.keep({ side, rows }));
    let at = rows.length;
    while (at > 0 && (rows[at - 1] as Row).timeMs > row.timeMs) at--;
    this.#rows[side][slot] = [...rows.slice(0, at), row, ...rows.slice(at)];
  }

  undo(a: number, b: number): void {
    if (b === -1) {
      this.#table.remove(a);
    } else if (b === -2) {
      (this.#runtime.undo.kept(a) as Row).matched = false;
    } else if (b < -2) {
      (this.#rows[(-3 - b) as 0 | 1][a] as Row[]).pop();
    } else {
      const { side, rows } = this.#runtime.undo.kept(b) as { side: 0 | 1; rows: readonly Row[] };
      this.#rows[side][a] = rows;
    }
  }

  nextMs(): number {
    return this.#heap.nextMs;
  }

  advance(toMs: number): void {
    atOnce(this.advanceInSteps(toMs));
  }

  *advanceInSteps(toMs: number): Steps {
    if (toMs > this.#watermarkMs) this.#watermarkMs = toMs;
    while (this.#heap.nextMs <= toMs) yield* this.#expire(this.#heap.nextMs, this.#heap.pop());
  }

  *#expire(dueMs: number, first: number): Steps {
    for (const slot of yield* popInKeyOrder(this.#heap, this.#table, dueMs, first)) {
      if (this.#runtime.isStepOver()) yield;
      const key = this.#table.keyAt(slot) as Key;
      this.#cut?.preserve(slot, false);
      const [lefts, rights] = [this.#rows[LEFT][slot] as readonly Row[], this.#rows[RIGHT][slot] as readonly Row[]];
      const leaving = lefts.filter(({ timeMs }) => timeMs + this.#keepMs[LEFT] < dueMs);
      this.#rows[LEFT][slot] = lefts.filter(({ timeMs }) => timeMs + this.#keepMs[LEFT] >= dueMs);
      this.#rows[RIGHT][slot] = rights.filter(({ timeMs }) => timeMs + this.#keepMs[RIGHT] >= dueMs);
      const { unmatched } = this.#options;
      for (const { matched, value, timeMs } of leaving) {
        if (unmatched === undefined || matched) continue;
        this.#runtime.fire<L>((left) => this.#next(unmatched(left)), value as L, key, timeMs);
      }
      if ((this.#rows[LEFT][slot] as readonly Row[]).length + (this.#rows[RIGHT][slot] as readonly Row[]).length === 0)
        this.#table.remove(slot);
    }
  }

  save(writer: ByteWriter): void {
    writer.f64(this.#watermarkMs);
    writer.uint(this.#table.size);
    for (const slot of this.#table.sortedSlots()) {
      this.#table.writeKeyAt(writer, slot);
      for (const side of this.#rows) writeValue(writer, side[slot]);
    }
  }

  *saveInSteps(writer: ByteWriter): Steps {
    const { unmatched } = this.#options;
    const copied = (rows: readonly Row[]): readonly Row[] =>
      unmatched === undefined ? rows.slice() : rows.map((row) => ({ ...row }));
    this.#cut = new SlotCut(this.#table, (slot, keep) =>
      this.#rows.map((side) => (keep ? copied(side[slot] as readonly Row[]) : (side[slot] as readonly Row[]))),
    );
    writer.f64(this.#watermarkMs);
    yield;
    yield* this.#cut.steps(writer, (sides) => {
      for (const rows of sides) writeValue(writer, rows);
    });
    this.#cut = undefined;
  }

  load(reader: ByteReader): void {
    this.#table.clear();
    this.#heap.clear();
    this.#watermarkMs = reader.f64();
    for (let left = reader.uint(); left > 0; left--) {
      const slot = this.#table.slotOf(readKey(reader));
      for (const side of [LEFT, RIGHT] as const) {
        const rows = readValue(reader) as Row[];
        this.#rows[side][slot] = rows.length === 0 ? NO_ROWS : rows;
        if (this.#keepMs[side] === Number.POSITIVE_INFINITY) continue;
        for (const { timeMs } of rows) this.#heap.push(timeMs + this.#keepMs[side] + 1, slot);
      }
    }
  }

  held(key: Key): readonly HeldPart[] {
    const slot = this.#table.find(key);
    return slot < 0 ? [] : [{ value: { left: this.#rows[LEFT][slot], right: this.#rows[RIGHT][slot] } }];
  }

  heldKeys(): Iterable<Key> {
    return this.#table.held();
  }

  metrics(): OperatorMetrics {
    let rows = 0;
    for (const side of this.#rows) for (const list of side) rows += list.length;
    return { name: this.name, keys: this.#table.size, bytes: this.#table.bytes + rows * 48 };
  }
}

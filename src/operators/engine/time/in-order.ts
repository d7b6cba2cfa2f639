import type { ByteReader, ByteWriter } from "../state/bytes.js";
import { atOnce, type Steps } from "../state/steps.js";
import type { Undoable } from "../state/undo.js";
import { readValue, writeValue } from "../state/values.js";
import type { Operator, OperatorMetrics, Push, Runtime } from "../topology/runtime.js";

/** Values sorted, merged or written in one step. */
const STEP = 512;

interface Held<V> {
  readonly timeMs: number;
  readonly order: string;
  readonly value: V;
}

/**
 * Holds values until the watermark has passed them, then hands them on in event time, whatever order they came in.
 *
 * Order: by time, then by `orderOf`, which must come from the value's content alone; of two equal in both, the first to come is first.
 * Late:  behind the watermark on arrival: to the late stream.
 * State: the values between the watermark and the newest; the bound is the sources' disorder times their rate.
 * Cost:  O(n log n) for n values at a watermark, in steps; so is a save.
 */
export class InOrder<V> implements Operator, Undoable {
  readonly id: number;
  readonly name: string;
  readonly #runtime: Runtime;
  readonly #orderOf: (value: V) => string;
  readonly #next: Push<V>;
  /** The first `#sorted` in order, the others as they came. */
  #held: Held<V>[] = [];
  #sorted = 0;
  #earliestMs = Number.POSITIVE_INFINITY;
  #passedMs = Number.NEGATIVE_INFINITY;

  constructor(id: number, name: string, runtime: Runtime, orderOf: (value: V) => string, next: Push<V>) {
    this.id = id;
    this.name = name;
    this.#runtime = runtime;
    this.#orderOf = orderOf;
    this.#next = next;
  }

  readonly push = (value: V): void => {
    const { now, undo } = this.#runtime;
    const { timeMs } = now;
    if (timeMs < this.#passedMs) {
      this.#runtime.late(this.name, value, this.#passedMs - timeMs);
      return;
    }
    this.#held.push({ timeMs, order: this.#orderOf(value), value });
    if (timeMs < this.#earliestMs) this.#earliestMs = timeMs;
    undo.note(this, 0, 0);
  };

  undo(): void {
    this.#held.pop(); // sorting happens at watermarks only, so the newest is the last; an earliest time too early costs a look
  }

  nextMs(): number {
    return this.#earliestMs + 1; // a value at the watermark may still have company
  }

  advance(toMs: number): void {
    atOnce(this.advanceInSteps(toMs));
  }

  *advanceInSteps(toMs: number): Steps {
    if (toMs > this.#passedMs) this.#passedMs = toMs;
    if (this.#earliestMs >= toMs) return;
    const held = yield* inOrder(this.#held, this.#sorted);
    const upTo = firstAt(held, toMs);
    this.#held = held.slice(upTo);
    this.#sorted = this.#held.length;
    this.#earliestMs = held[upTo]?.timeMs ?? Number.POSITIVE_INFINITY;
    for (let i = 0; i < upTo; i++) {
      const { timeMs, value } = held[i] as Held<V>;
      this.#runtime.fire(this.#next, value, "", timeMs);
      if (this.#runtime.isStepOver()) yield;
    }
  }

  save(writer: ByteWriter): void {
    atOnce(this.saveInSteps(writer));
  }

  /** Values do not change, so a list of them is all that must be kept of this moment. */
  *saveInSteps(writer: ByteWriter): Steps {
    const [passedMs, held, sorted] = [this.#passedMs, this.#held.slice(), this.#sorted];
    yield;
    writer.f64(passedMs);
    writer.uint(held.length);
    let written = 0;
    for (const { timeMs, order, value } of yield* inOrder(held, sorted)) {
      writer.f64(timeMs);
      writer.text(order);
      writeValue(writer, value);
      if (++written % STEP === 0) yield;
    }
  }

  load(reader: ByteReader): void {
    this.#passedMs = reader.f64();
    this.#held = [];
    for (let left = reader.uint(); left > 0; left--) {
      this.#held.push({ timeMs: reader.f64(), order: reader.text(), value: readValue(reader) as V });
    }
    this.#sorted = this.#held.length;
    this.#earliestMs = this.#held[0]?.timeMs ?? Number.POSITIVE_INFINITY;
  }

  metrics(): OperatorMetrics {
    return { name: this.name, keys: this.#held.length, bytes: this.#held.length * 64 };
  }
}

/** Those that came since are sorted run by run; runs are merged two by two, and all with those sorted before. Stable. */
function* inOrder<V>(held: readonly Held<V>[], sorted: number): Steps<readonly Held<V>[]> {
  let runs: (readonly Held<V>[])[] = [];
  for (let from = sorted; from < held.length; from += STEP) {
    runs.push(held.slice(from, from + STEP).sort(byTimeAndOrder));
    if (from + STEP < held.length) yield;
  }
  while (runs.length > 1) {
    const merged: (readonly Held<V>[])[] = [];
    for (let i = 0; i < runs.length; i += 2)
      merged.push(yield* merge(runs[i] as readonly Held<V>[], runs[i + 1] ?? []));
    runs = merged;
  }
  return yield* merge(held.slice(0, sorted), runs[0] ?? []);
}

function* merge<V>(first: readonly Held<V>[], second: readonly Held<V>[]): Steps<readonly Held<V>[]> {
  if (first.length === 0) return second;
  if (second.length === 0) return first;
  const merged: Held<V>[] = [];
  for (let i = 0, j = 0; i < first.length || j < second.length; ) {
    const [a, b] = [first[i], second[j]];
    if (b === undefined || (a !== undefined && byTimeAndOrder(a, b) <= 0)) {
      merged.push(a as Held<V>);
      i++;
    } else {
      merged.push(b);
      j++;
    }
    if (merged.length % STEP === 0) yield;
  }
  return merged;
}

/** Place of the first value at or after `timeMs`. */
function firstAt(held: readonly Held<unknown>[], timeMs: number): number {
  let [from, to] = [0, held.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((held[middle] as Held<unknown>).timeMs < timeMs) from = middle + 1;
    else to = middle;
  }
  return from;
}

function byTimeAndOrder(a: Held<unknown>, b: Held<unknown>): number {
  return a.timeMs - b.timeMs || (a.order < b.order ? -1 : a.order > b.order ? 1 : 0);
}

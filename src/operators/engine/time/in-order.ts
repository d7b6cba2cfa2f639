import type { ByteReader, ByteWriter } from "../state/bytes.js";
import type { Undoable } from "../state/undo.js";
import { readValue, writeValue } from "../state/values.js";
import type { Operator, OperatorMetrics, Push, Runtime } from "../topology/runtime.js";

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
 * Cost:  O(n log n) for n values at a watermark.
 */
export class InOrder<V> implements Operator, Undoable {
  readonly id: number;
  readonly name: string;
  readonly #runtime: Runtime;
  readonly #orderOf: (value: V) => string;
  readonly #next: Push<V>;
  readonly #held: Held<V>[] = [];
  #sorted = true;
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
    this.#sorted = false;
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
    if (toMs > this.#passedMs) this.#passedMs = toMs;
    if (this.#earliestMs >= toMs) return;
    const held = this.#inOrder();
    const upTo = held.findIndex(({ timeMs }) => timeMs >= toMs);
    const ready = held.splice(0, upTo < 0 ? held.length : upTo);
    this.#earliestMs = held[0]?.timeMs ?? Number.POSITIVE_INFINITY;
    for (const { timeMs, value } of ready) this.#runtime.fire(this.#next, value, "", timeMs);
  }

  #inOrder(): Held<V>[] {
    if (!this.#sorted) this.#held.sort(byTimeAndOrder);
    this.#sorted = true;
    return this.#held;
  }

  save(writer: ByteWriter): void {
    writer.f64(this.#passedMs);
    const held = this.#inOrder();
    writer.uint(held.length);
    for (const { timeMs, order, value } of held) {
      writer.f64(timeMs);
      writer.text(order);
      writeValue(writer, value);
    }
  }

  load(reader: ByteReader): void {
    this.#passedMs = reader.f64();
    this.#held.length = 0;
    for (let left = reader.uint(); left > 0; left--) {
      this.#held.push({ timeMs: reader.f64(), order: reader.text(), value: readValue(reader) as V });
    }
    this.#sorted = true;
    this.#earliestMs = this.#held[0]?.timeMs ?? Number.POSITIVE_INFINITY;
  }

  metrics(): OperatorMetrics {
    return { name: this.name, keys: this.#held.length, bytes: this.#held.length * 64 };
  }
}

function byTimeAndOrder(a: Held<unknown>, b: Held<unknown>): number {
  return a.timeMs - b.timeMs || (a.order < b.order ? -1 : a.order > b.order ? 1 : 0);
}

import type { ByteReader, ByteWriter } from "../state/bytes.js";
import { readValue, writeValue } from "../state/values.js";
import { type At, type Operator, type OperatorMetrics, type Push, Refusal, type Runtime } from "../topology/runtime.js";

/**
 * An operator written by hand with state of its own, as a step of a topology: detectors, ledgers, planners. What it changes cannot be
 * taken back, so it must not throw, and what follows it should not either: a throw of its own stops the task.
 */
export interface Embedded<V, O> {
  take(value: V, at: At, emit: (value: O) => void): void;
  /** Event time has passed `watermarkMs`. */
  advance(watermarkMs: number, emit: (value: O) => void): void;
  /** Plain data, lists in a canonical order. */
  save(): unknown;
  load(saved: unknown): void;
}

/** Runs an embedded operator. Values from `advance` carry the time of the watermark less one ms. */
export class EmbeddedStep<V, O> implements Operator {
  readonly id: number;
  readonly name: string;
  readonly #runtime: Runtime;
  readonly #inner: Embedded<V, O>;
  readonly #next: Push<O>;

  constructor(id: number, name: string, runtime: Runtime, inner: Embedded<V, O>, next: Push<never>) {
    this.id = id;
    this.name = name;
    this.#runtime = runtime;
    this.#inner = inner;
    this.#next = next as Push<O>;
  }

  readonly push = (value: V): void => {
    this.#runtime.step = this.id;
    const said: O[] = [];
    try {
      this.#inner.take(value, this.#runtime.now, (item) => said.push(item));
    } catch (error) {
      throw new Refusal(error);
    }
    for (const item of said) this.#next(item);
  };

  nextMs(): number {
    return Number.POSITIVE_INFINITY;
  }

  advance(toMs: number): void {
    this.#inner.advance(toMs, (item) => this.#runtime.fire(this.#next, item, this.#runtime.now.key, toMs - 1));
  }

  save(writer: ByteWriter): void {
    writeValue(writer, this.#inner.save());
  }

  load(reader: ByteReader): void {
    this.#inner.load(readValue(reader));
  }

  metrics(): OperatorMetrics {
    return { name: this.name, keys: 0, bytes: 0 };
  }
}

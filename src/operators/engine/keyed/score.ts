import type { ByteReader, ByteWriter } from "../state/bytes.js";
import { compareKeys, type Key, longestUnused, readKey, writeKey } from "../state/keys.js";
import { readValue, writeValue } from "../state/values.js";
import type { Operator, OperatorMetrics, Push, Runtime } from "../topology/runtime.js";

/** A model that scores a value before it learns from it. `learnOne` must not throw: it cannot be taken back. */
export interface ScoreModel<V, S> {
  /** Undefined during warm-up. Changes nothing: a model that has learned nothing yet is asked for every new key. */
  scoreOne(value: V): S | undefined;
  learnOne(value: V): void;
  /** Plain data. */
  save(): unknown;
  load(saved: unknown): void;
}

export interface ScoreOptions<V, S, W> {
  readonly model: () => ScoreModel<V, S>;
  /** @default "key" */
  readonly per?: "key" | "all";
  /** Models kept at once: one more, and that of the key longest without an event (then the smallest) is forgotten. @default no bound */
  readonly maxKeys?: number;
  readonly combine: (value: V, score: S | undefined) => W;
}

interface Entry<V, S> {
  readonly model: ScoreModel<V, S>;
  /** Of the latest event. */
  timeMs: number;
}

/**
 * Scores with one model a key, or one for all. State: the models.
 *
 * Learning waits until everything behind this step has succeeded, so a value that becomes a dead letter has taught nothing. Values of
 * one event and key are therefore all scored before the first is learned.
 */
export class ScoreStep<V, S, W> implements Operator {
  readonly id: number;
  readonly name: string;
  readonly #create: () => ScoreModel<V, S>;
  readonly #maxKeys: number;
  readonly #models = new Map<Key, Entry<V, S>>();
  readonly push: Push<V>;

  constructor(id: number, name: string, runtime: Runtime, options: ScoreOptions<V, S, W>, next: Push<never>) {
    this.id = id;
    this.name = name;
    this.#create = options.model;
    this.#maxKeys = options.maxKeys ?? Number.POSITIVE_INFINITY;
    const perKey = options.per !== "all";
    const fresh = options.model(); // also refuses wrong options now, not at the first event
    this.push = (value) => {
      runtime.step = id;
      const key = perKey ? runtime.now.key : "";
      const { timeMs } = runtime.now;
      const score = (this.#models.get(key)?.model ?? fresh).scoreOne(value);
      runtime.undo.afterwards(() => this.#learn(key, timeMs, value));
      (next as Push<W>)(options.combine(value, score));
    };
  }

  #learn(key: Key, timeMs: number, value: V): void {
    let entry = this.#models.get(key);
    if (entry === undefined) {
      if (this.#models.size >= this.#maxKeys) this.#models.delete(this.#longestUnused());
      entry = { model: this.#create(), timeMs };
      this.#models.set(key, entry);
    } else if (timeMs > entry.timeMs) {
      entry.timeMs = timeMs;
    }
    entry.model.learnOne(value);
  }

  #longestUnused(): Key {
    return longestUnused([...this.#models].map(([key, { timeMs }]) => [key, timeMs] as const)) as Key;
  }

  nextMs(): number {
    return Number.POSITIVE_INFINITY;
  }

  advance(): void {}

  save(writer: ByteWriter): void {
    writer.uint(this.#models.size);
    for (const [key, { model, timeMs }] of [...this.#models].sort(([a], [b]) => compareKeys(a, b))) {
      writeKey(writer, key);
      writer.f64(timeMs);
      writeValue(writer, model.save());
    }
  }

  load(reader: ByteReader): void {
    this.#models.clear();
    for (let left = reader.uint(); left > 0; left--) {
      const key = readKey(reader);
      const entry = { timeMs: reader.f64(), model: this.#create() };
      entry.model.load(readValue(reader));
      this.#models.set(key, entry);
    }
  }

  metrics(): OperatorMetrics {
    return { name: this.name, keys: this.#models.size, bytes: 0 };
  }
}

import type { ByteReader, ByteWriter } from "../state/bytes.js";
import { compareKeys, type Key, readKey, writeKey } from "../state/keys.js";
import { readValue, writeValue } from "../state/values.js";
import type { Operator, OperatorMetrics, Push, Runtime } from "../topology/runtime.js";

/** A model that scores a value before it learns from it. `learnOne` must not throw: it cannot be taken back. */
export interface ScoreModel<V, S> {
  /** Undefined during warm-up. Changes nothing. */
  scoreOne(value: V): S | undefined;
  learnOne(value: V): void;
  /** Plain data. */
  save(): unknown;
  load(saved: unknown): void;
}

/**
 * Scores with one model a key, or one for all. State: the models.
 *
 * Learning waits until everything behind this step has succeeded, so a value that becomes a dead letter has taught nothing.
 */
export class ScoreStep<V, S, W> implements Operator {
  readonly id: number;
  readonly name: string;
  readonly #create: () => ScoreModel<V, S>;
  readonly #models = new Map<Key, ScoreModel<V, S>>();
  readonly push: Push<V>;

  constructor(
    id: number,
    name: string,
    runtime: Runtime,
    options: {
      readonly model: () => ScoreModel<V, S>;
      readonly per?: "key" | "all";
      readonly combine: (value: V, score: S | undefined) => W;
    },
    next: Push<never>,
  ) {
    this.id = id;
    this.name = name;
    this.#create = options.model;
    const perKey = options.per !== "all";
    this.push = (value) => {
      runtime.step = id;
      const key = perKey ? runtime.now.key : "";
      const model = this.#models.get(key);
      const score = model?.scoreOne(value) ?? (model === undefined ? options.model().scoreOne(value) : undefined);
      runtime.undo.afterwards(() => this.#modelOf(key).learnOne(value));
      (next as Push<W>)(options.combine(value, score));
    };
  }

  #modelOf(key: Key): ScoreModel<V, S> {
    let model = this.#models.get(key);
    if (model === undefined) {
      model = this.#create();
      this.#models.set(key, model);
    }
    return model;
  }

  nextMs(): number {
    return Number.POSITIVE_INFINITY;
  }

  advance(): void {}

  save(writer: ByteWriter): void {
    writer.uint(this.#models.size);
    for (const [key, model] of [...this.#models].sort(([a], [b]) => compareKeys(a, b))) {
      writeKey(writer, key);
      writeValue(writer, model.save());
    }
  }

  load(reader: ByteReader): void {
    this.#models.clear();
    for (let left = reader.uint(); left > 0; left--) {
      const key = readKey(reader);
      const model = this.#create();
      model.load(readValue(reader));
      this.#models.set(key, model);
    }
  }

  metrics(): OperatorMetrics {
    return { name: this.name, keys: this.#models.size, bytes: 0 };
  }
}

import { type ByteReader, ByteWriter } from "../state/bytes.js";
import { type Key, KeyTable, readKey, writeKey } from "../state/keys.js";
import { SlotCut } from "../state/slot-cut.js";
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
  readonly #table = new KeyTable();
  readonly #models: ScoreModel<V, S>[] = [];
  /** While a save is under way: models as they were, as saved. */
  #cut: SlotCut<Uint8Array | undefined> | undefined;
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
      const slot = this.#table.find(key);
      const model = slot < 0 ? undefined : this.#models[slot];
      const score = model?.scoreOne(value) ?? (model === undefined ? options.model().scoreOne(value) : undefined);
      runtime.undo.afterwards(() => this.#modelOf(key).learnOne(value));
      (next as Push<W>)(options.combine(value, score));
    };
  }

  #modelOf(key: Key): ScoreModel<V, S> {
    const slot = this.#table.slotOf(key);
    this.#cut?.preserve(slot, this.#table.fresh);
    if (this.#table.fresh) this.#models[slot] = this.#create();
    return this.#models[slot] as ScoreModel<V, S>;
  }

  nextMs(): number {
    return Number.POSITIVE_INFINITY;
  }

  advance(): void {}

  save(writer: ByteWriter): void {
    writer.uint(this.#table.size);
    for (const slot of this.#table.sortedSlots()) {
      writeKey(writer, this.#table.keys[slot] as Key);
      this.#writeModel(writer, slot);
    }
  }

  *saveInSteps(writer: ByteWriter): Generator<void> {
    this.#cut = new SlotCut(this.#table, (slot, keep) => {
      if (!keep) return undefined;
      const kept = new ByteWriter(1_024);
      this.#writeModel(kept, slot);
      return kept.finish();
    });
    yield;
    yield* this.#cut.steps(writer, (kept, slot) => {
      if (kept === undefined) this.#writeModel(writer, slot);
      else writer.raw(kept);
    });
    this.#cut = undefined;
  }

  #writeModel(writer: ByteWriter, slot: number): void {
    writer.selfContained = true; // a save in steps writes a model apart before it learns
    writeValue(writer, (this.#models[slot] as ScoreModel<V, S>).save());
    writer.selfContained = false;
  }

  load(reader: ByteReader): void {
    this.#table.clear();
    for (let left = reader.uint(); left > 0; left--) {
      const slot = this.#table.slotOf(readKey(reader));
      const model = this.#create();
      model.load(readValue(reader));
      this.#models[slot] = model;
    }
  }

  metrics(): OperatorMetrics {
    return { name: this.name, keys: this.#table.size, bytes: this.#table.bytes };
  }
}

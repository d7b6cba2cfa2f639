import { type ByteReader, ByteWriter } from "../state/bytes.js";
import { KeyTable } from "../state/key-table.js";
import { type Key, readKey } from "../state/keys.js";
import { LongestUnused } from "../state/longest-unused.js";
import { SlotCut } from "../state/slot-cut.js";
import type { Steps } from "../state/steps.js";
import { readValue, writeValue } from "../state/values.js";
import type { HeldPart, Operator, OperatorMetrics, Push, Runtime } from "../topology/runtime.js";

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
  readonly key: Key;
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
  readonly #table = new KeyTable();
  /** By slot; undefined where the slot is free. */
  readonly #entries: (Entry<V, S> | undefined)[] = [];
  readonly #longestUnused = new LongestUnused();
  /** While a save is under way: models as they were, as saved. */
  #cut: SlotCut<Uint8Array | undefined> | undefined;
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
      const slot = this.#table.find(key);
      const score = (slot < 0 ? fresh : (this.#entries[slot] as Entry<V, S>).model).scoreOne(value);
      runtime.undo.afterwards(() => this.#learn(key, timeMs, value));
      (next as Push<W>)(options.combine(value, score));
    };
  }

  #learn(key: Key, timeMs: number, value: V): void {
    let slot = this.#table.find(key);
    if (slot < 0) {
      if (this.#table.size >= this.#maxKeys) this.#forgetOne();
      slot = this.#table.slotOf(key);
      this.#cut?.preserve(slot, true);
      this.#entries[slot] = { key, model: this.#create(), timeMs };
      this.#longestUnused.add(key, timeMs);
    } else {
      this.#cut?.preserve(slot, false);
    }
    const entry = this.#entries[slot] as Entry<V, S>;
    if (timeMs > entry.timeMs) entry.timeMs = timeMs;
    entry.model.learnOne(value);
  }

  #forgetOne(): void {
    const slot = this.#longestUnused.take(this.#table, (slot) => this.#entries[slot]?.timeMs);
    this.#cut?.preserve(slot, false);
    this.#table.remove(slot);
    this.#entries[slot] = undefined;
  }

  nextMs(): number {
    return Number.POSITIVE_INFINITY;
  }

  advance(): void {}

  save(writer: ByteWriter): void {
    writer.uint(this.#table.size);
    for (const slot of this.#table.sortedSlots()) {
      this.#table.writeKeyAt(writer, slot);
      this.#write(writer, slot);
    }
  }

  *saveInSteps(writer: ByteWriter): Steps {
    this.#cut = new SlotCut(this.#table, (slot, keep) => {
      if (!keep) return undefined;
      const kept = new ByteWriter(1_024);
      this.#write(kept, slot);
      return kept.finish();
    });
    yield;
    yield* this.#cut.steps(writer, (kept, slot) => {
      if (kept === undefined) this.#write(writer, slot);
      else writer.raw(kept);
    });
    this.#cut = undefined;
  }

  #write(writer: ByteWriter, slot: number): void {
    const { timeMs, model } = this.#entries[slot] as Entry<V, S>;
    writer.f64(timeMs);
    writer.selfContained = true; // a save in steps writes a model apart before it learns
    writeValue(writer, model.save());
    writer.selfContained = false;
  }

  load(reader: ByteReader): void {
    this.#table.clear();
    this.#entries.length = 0;
    this.#longestUnused.clear();
    for (let left = reader.uint(); left > 0; left--) {
      const key = readKey(reader);
      const entry = { key, timeMs: reader.f64(), model: this.#create() };
      entry.model.load(readValue(reader));
      this.#entries[this.#table.slotOf(key)] = entry;
    }
  }

  held(key: Key): readonly HeldPart[] {
    const entry = this.#entries[this.#table.find(key)];
    return entry === undefined ? [] : [{ value: { model: entry.model.save(), atMs: entry.timeMs } }];
  }

  heldKeys(): Iterable<Key> {
    return this.#table.held();
  }

  metrics(): OperatorMetrics {
    return { name: this.name, keys: this.#table.size, bytes: this.#table.bytes };
  }
}

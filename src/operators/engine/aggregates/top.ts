import { MillraceError } from "../../../core/index.js";
import type { ByteReader, ByteWriter } from "../state/bytes.js";
import { compareKeys, type Key, readKey, writeKey } from "../state/keys.js";
import type { Undo, Undoable } from "../state/undo.js";
import { type Aggregate, type Cell, celled, picked } from "./aggregate.js";

/** One of the most frequent keys: `count` is at most `error` too high and never too low. */
export interface TopEntry {
  readonly key: Key;
  readonly count: number;
  readonly error: number;
}

interface Counter {
  count: number;
  error: number;
}

/** Space-saving: a fixed number of counters; a new key takes over the smallest one, and its count as possible error. */
export class TopSketch implements Undoable {
  readonly #capacity: number;
  readonly counters = new Map<Key, Counter>();
  #undo: Undo | undefined;
  /** Keys that had the least count when last looked for, in key order, next at the end: finding it again is O(1) mostly. */
  #least: Key[] = [];
  #leastCount = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  add(key: Key, undo: Undo): void {
    this.#undo = undo;
    const found = this.counters.get(key);
    if (found !== undefined) {
      found.count++;
      undo.note(this, undo.keep(key), -1);
      return;
    }
    if (this.counters.size < this.#capacity) {
      this.counters.set(key, { count: 1, error: 0 });
      this.#least = [];
      undo.note(this, undo.keep(key), -2);
      return;
    }
    const least = this.#takeLeast();
    const { count, error } = this.counters.get(least) as Counter;
    this.counters.delete(least);
    this.counters.set(key, { count: count + 1, error: count });
    undo.note(this, undo.keep([key, least, error]), -3);
  }

  undo(index: number, what: number): void {
    this.#least = [];
    if (what === -3) {
      const [key, least, error] = (this.#undo as Undo).kept(index) as [Key, Key, number];
      const { count } = this.counters.get(key) as Counter;
      this.counters.delete(key);
      this.counters.set(least, { count: count - 1, error });
      return;
    }
    const key = (this.#undo as Undo).kept(index) as Key;
    if (what === -2) this.counters.delete(key);
    else (this.counters.get(key) as Counter).count--;
  }

  /** The key with the least count; of equals the largest key. A function of the counters alone, whatever is remembered. */
  #takeLeast(): Key {
    for (;;) {
      const candidate = this.#least.pop();
      if (candidate === undefined) this.#findLeast();
      else if (this.counters.get(candidate)?.count === this.#leastCount) return candidate;
    }
  }

  #findLeast(): void {
    this.#leastCount = Number.POSITIVE_INFINITY;
    for (const { count } of this.counters.values()) if (count < this.#leastCount) this.#leastCount = count;
    this.#least = [...this.counters.keys()].filter((key) => this.counters.get(key)?.count === this.#leastCount);
    this.#least.sort(compareKeys);
  }

  /** Counts add up; a key that one side may have forgotten gets that side's least count as count and error. */
  merge(from: TopSketch): void {
    const ourFloor = this.#floor();
    const theirFloor = from.#floor();
    const merged = new Map<Key, Counter>();
    for (const [key, { count, error }] of this.counters) {
      const other = from.counters.get(key);
      const add = other ?? { count: theirFloor, error: theirFloor };
      merged.set(key, { count: count + add.count, error: error + add.error });
    }
    for (const [key, { count, error }] of from.counters) {
      if (!merged.has(key)) merged.set(key, { count: count + ourFloor, error: error + ourFloor });
    }
    this.counters.clear();
    this.#least = [];
    for (const { key, count, error } of ranked(merged).slice(0, this.#capacity))
      this.counters.set(key, { count, error });
  }

  #floor(): number {
    if (this.counters.size < this.#capacity) return 0;
    let least = Number.POSITIVE_INFINITY;
    for (const { count } of this.counters.values()) if (count < least) least = count;
    return least;
  }

  top(k: number): readonly TopEntry[] {
    return ranked(this.counters).slice(0, k);
  }

  save(writer: ByteWriter): void {
    writer.uint(this.counters.size);
    for (const [key, { count, error }] of [...this.counters].sort(([a], [b]) => compareKeys(a, b))) {
      writeKey(writer, key);
      writer.uint(count);
      writer.uint(error);
    }
  }

  load(reader: ByteReader): void {
    for (let left = reader.uint(); left > 0; left--) {
      const key = readKey(reader);
      this.counters.set(key, { count: reader.uint(), error: reader.uint() });
    }
  }
}

function ranked(counters: ReadonlyMap<Key, Counter>): TopEntry[] {
  const entries = [...counters].map(([key, { count, error }]) => ({ key, count, error }));
  return entries.sort((a, b) => b.count - a.count || compareKeys(a.key, b.key));
}

export interface TopOptions {
  readonly k: number;
  /** Counters kept: the error bound is events / capacity. @default 10 k */
  readonly capacity?: number;
}

/**
 * The `k` most frequent values of a key, by count, then by key.
 *
 * Error: a count is at most `error` <= events / capacity too high, never too low; a key with more events than that is never missed.
 *        Exact while there are no more keys than counters. (Merged sketches: the bounds of both add.)
 * State: `capacity` counters.
 * Source: Metwally, Agrawal, El Abbadi, "Efficient computation of frequent and top-k elements in data streams", 2005.
 */
export function top<F extends string>(
  field: F,
  options: TopOptions,
): Aggregate<Readonly<Partial<Record<F, Key | null>>>, readonly TopEntry[]>;
export function top<V>(
  of: (value: V) => Key | null | undefined,
  options: TopOptions,
): Aggregate<V, readonly TopEntry[]>;
export function top<V>(
  field: string | ((value: V) => Key | null | undefined),
  { k, capacity = 10 * k }: TopOptions,
): Aggregate<V, readonly TopEntry[]> {
  if (!(Number.isSafeInteger(k) && k > 0 && capacity >= k)) {
    throw new MillraceError(
      "MR_OPTION_INVALID",
      `top needs a positive k and a capacity of at least k, got ${k} and ${capacity}`,
    );
  }
  const { of } = picked<V, Key | null | undefined>(field);
  const cell: Cell<V, TopSketch> = {
    create: () => new TopSketch(capacity),
    add: (sketch, value, _timeMs, undo) => {
      const key = of(value);
      if (key !== null && key !== undefined) sketch.add(key, undo);
    },
    merge: (sketch, from) => sketch.merge(from),
    save: (writer, sketch) => sketch.save(writer),
    load: (reader) => {
      const sketch = new TopSketch(capacity);
      sketch.load(reader);
      return sketch;
    },
  };
  return celled("top", cell, (sketch) => sketch.top(k));
}

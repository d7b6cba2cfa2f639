import type { ByteReader, ByteWriter } from "./bytes.js";

/** What state is filed under. NaN is refused where keys are made. */
export type Key = string | number;

const bits = new Float64Array(1);
const words = new Int32Array(bits.buffer);

/** Order of keys everywhere: numbers before text, numbers by size, text by UTF-16 code units. */
export function compareKeys(a: Key, b: Key): number {
  if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0;
  return typeof a === "number" ? -1 : 1;
}

/** 32 bits, well mixed; O(length). */
export function hashKey(key: Key): number {
  let hash: number;
  if (typeof key === "string") {
    hash = key.length;
    for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  } else if ((key | 0) === key) {
    hash = key | 0;
  } else {
    bits[0] = key;
    hash = (words[0] as number) ^ Math.imul(words[1] as number, 0x9e3779b1);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

export function writeKey(writer: ByteWriter, key: Key): void {
  if (typeof key === "string") {
    writer.u8(1);
    writer.text(key);
  } else {
    writer.u8(0);
    writer.f64(key);
  }
}

export function readKey(reader: ByteReader): Key {
  return reader.u8() === 1 ? reader.text() : reader.f64();
}

/** The key with the earliest time, of equals the smallest: which one to forget where keys are bounded. Undefined of none. */
export function longestUnused(entries: Iterable<readonly [key: Key, timeMs: number]>): Key | undefined {
  let chosen: Key | undefined;
  let chosenMs = Number.POSITIVE_INFINITY;
  for (const [key, timeMs] of entries) {
    if (timeMs > chosenMs || (timeMs === chosenMs && chosen !== undefined && compareKeys(key, chosen) > 0)) continue;
    chosen = key;
    chosenMs = timeMs;
  }
  return chosen;
}

/**
 * Gives each key a small integer, its slot, so that state can live in arrays indexed by it.
 *
 * Slots: dense, re-used after `remove`; they depend on history and must show in no output and no saved byte.
 * Cost:  O(key length) a look-up. Bytes a key: 8 (reference) + 4 (hash) + 5 to 11 (index), and the key itself.
 */
export class KeyTable {
  /** By slot; undefined where the slot is free. */
  readonly keys: (Key | undefined)[] = [];
  /** Hash by slot. */
  hashes: Int32Array<ArrayBuffer>;
  size = 0;
  /** Set by `slotOf`: whether the key was new. */
  fresh = false;
  #index: Int32Array<ArrayBuffer>;
  #mask: number;
  #free: number[] = [];
  /** The slots in key order as of the latest `sortedSlots`, and those filled since: the next time only these are sorted. */
  #order: Int32Array | undefined;
  #filled: number[] = [];
  /** Whether a key went since then. */
  #removed = false;

  /** Room for `capacity` keys before anything must grow. */
  constructor(capacity = 16) {
    this.hashes = new Int32Array(Math.max(16, capacity));
    let places = 32;
    while (places * 2 < capacity * 3) places *= 2;
    this.#index = new Int32Array(places);
    this.#mask = places - 1;
  }

  /** -1 when the key is not there. */
  find(key: Key): number {
    return this.findHashed(key, hashKey(key));
  }

  findHashed(key: Key, hash: number): number {
    const index = this.#index;
    const mask = this.#mask;
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const slot = (index[i] as number) - 1;
      if (slot < 0) return -1;
      if (this.hashes[slot] === hash && this.keys[slot] === key) return slot;
    }
  }

  /** The key's slot, a new one when there is none (`fresh` tells). */
  slotOf(key: Key): number {
    return this.slotOfHashed(key, hashKey(key));
  }

  slotOfHashed(key: Key, hash: number): number {
    const index = this.#index;
    const mask = this.#mask;
    let i = hash & mask;
    for (; ; i = (i + 1) & mask) {
      const slot = (index[i] as number) - 1;
      if (slot < 0) break;
      if (this.hashes[slot] === hash && this.keys[slot] === key) {
        this.fresh = false;
        return slot;
      }
    }
    this.fresh = true;
    return this.#insert(key, hash, i);
  }

  #insert(key: Key, hash: number, at: number): number {
    const slot = this.#free.length > 0 ? (this.#free.pop() as number) : this.keys.length;
    if (slot === this.keys.length) {
      this.keys.push(key);
      if (slot >= this.hashes.length) this.hashes = grow(this.hashes);
    } else {
      this.keys[slot] = key;
    }
    this.hashes[slot] = hash;
    this.#index[at] = slot + 1;
    this.size++;
    if (this.#order !== undefined) this.#filled.push(slot);
    // Full to two thirds: longer chains cost more than the memory saved.
    if (this.size * 3 > this.#index.length * 2) this.#rehash();
    return slot;
  }

  #rehash(): void {
    const index = new Int32Array(this.#index.length * 2);
    const mask = index.length - 1;
    for (let slot = 0; slot < this.keys.length; slot++) {
      if (this.keys[slot] === undefined) continue;
      let i = (this.hashes[slot] as number) & mask;
      while (index[i] !== 0) i = (i + 1) & mask;
      index[i] = slot + 1;
    }
    this.#index = index;
    this.#mask = mask;
  }

  /** Frees a slot in use. Later entries of its chain move up, so there are no tombstones. */
  remove(slot: number): void {
    const index = this.#index;
    const mask = this.#mask;
    let hole = (this.hashes[slot] as number) & mask;
    while (index[hole] !== slot + 1) hole = (hole + 1) & mask;
    for (let i = (hole + 1) & mask; index[i] !== 0; i = (i + 1) & mask) {
      const home = (this.hashes[(index[i] as number) - 1] as number) & mask;
      if (((i - home) & mask) < ((i - hole) & mask)) continue;
      index[hole] = index[i] as number;
      hole = i;
    }
    index[hole] = 0;
    this.keys[slot] = undefined;
    this.#free.push(slot);
    this.#removed = true;
    this.size--;
  }

  clear(): void {
    this.keys.length = 0;
    this.#free = [];
    this.size = 0;
    this.#index = new Int32Array(32);
    this.#mask = 31;
    this.hashes = new Int32Array(16);
    this.#order = undefined;
    this.#filled = [];
  }

  /** Slots in use, in key order; not to be changed. O(n log n) the first time, then O(n + m log m) with m new keys. */
  sortedSlots(): Int32Array {
    const order = this.#order;
    const filled = this.#filled;
    if (order === undefined || filled.length * 2 > this.size) {
      const slots = new Int32Array(this.size);
      let n = 0;
      for (let slot = 0; slot < this.keys.length; slot++) if (this.keys[slot] !== undefined) slots[n++] = slot;
      this.#order = this.#sort(slots);
    } else if (filled.length > 0 || order.length !== this.size) {
      this.#order = this.#merged(order, filled);
    }
    if (filled.length > 0) this.#filled = [];
    this.#removed = false;
    return this.#order as Int32Array;
  }

  #sort(slots: Int32Array): Int32Array {
    return slots.length < FEW ? sortSlots(slots, this.keys) : this.#sortMany(slots);
  }

  /** A slot may have been filled more than once, or be in the old order with another key. */
  #merged(order: Int32Array, filled: readonly number[]): Int32Array {
    const { keys } = this;
    if (!this.#removed) return mergeSlots(order, this.#sort(Int32Array.from(filled)), keys);
    const isNew = new Uint8Array(keys.length);
    const live: number[] = [];
    for (const slot of filled) {
      if (keys[slot] === undefined || isNew[slot] === 1) continue;
      isNew[slot] = 1;
      live.push(slot);
    }
    const added = this.#sort(Int32Array.from(live));
    const old = order.filter((slot) => keys[slot] !== undefined && isNew[slot] === 0);
    return mergeSlots(old, added, keys);
  }

  /** Sorts the keys themselves, natively, and looks their slots up: a third of the time of sorting slots by comparison. */
  #sortMany(slots: Int32Array): Int32Array {
    const kind = typeof this.keys[slots[0] as number];
    for (let i = 0; i < slots.length; i++)
      if (typeof this.keys[slots[i] as number] !== kind) return sortSlots(slots, this.keys);
    if (kind === "number") {
      const keys = Float64Array.from(slots, (slot) => this.keys[slot] as number).sort();
      for (let i = 0; i < keys.length; i++) slots[i] = this.find(keys[i] as number);
    } else {
      const keys = Array.from(slots, (slot) => this.keys[slot] as string).sort();
      for (let i = 0; i < keys.length; i++) slots[i] = this.find(keys[i] as string);
    }
    return slots;
  }

  /** The keys, in no order. */
  *held(): Generator<Key> {
    for (const key of this.keys) if (key !== undefined) yield key;
  }

  /** Bytes of the table without the keys themselves. */
  get bytes(): number {
    return this.hashes.byteLength + this.#index.byteLength + this.keys.length * 8;
  }
}

const FEW = 64;
const SLOTS = 0x20_0000;
const KEYS = 0x8000_0000;

/** Sorts in place by the keys the slots stand for. Integer keys are packed with their slot into one double and sorted natively. */
export function sortSlots(slots: Int32Array, keys: readonly (Key | undefined)[]): Int32Array {
  let numeric = true;
  let packable = true;
  for (let i = 0; i < slots.length && numeric; i++) {
    const key = keys[slots[i] as number];
    if (typeof key !== "number") numeric = false;
    else if (!(Number.isInteger(key) && key >= 0 && key < KEYS && (slots[i] as number) < SLOTS)) packable = false;
  }
  if (!numeric) return slots.sort((a, b) => compareKeys(keys[a] as Key, keys[b] as Key));
  if (!packable) return slots.sort((a, b) => (keys[a] as number) - (keys[b] as number));
  const packed = new Float64Array(slots.length);
  for (let i = 0; i < slots.length; i++)
    packed[i] = (keys[slots[i] as number] as number) * SLOTS + (slots[i] as number);
  packed.sort();
  for (let i = 0; i < slots.length; i++) slots[i] = (packed[i] as number) % SLOTS;
  return slots;
}

/** Two lists of slots in key order as one. */
export function mergeSlots(
  old: Int32Array,
  added: Int32Array,
  keys: readonly (Key | undefined)[],
): Int32Array<ArrayBuffer> {
  const merged = new Int32Array(old.length + added.length);
  // New keys are often the largest: what comes before the first of them stays as it is.
  let i = added.length === 0 ? old.length : countBelow(keys[added[0] as number] as Key, old, keys);
  let j = 0;
  merged.set(old.subarray(0, i));
  for (let n = i; n < merged.length; n++) {
    const takeOld =
      j >= added.length ||
      (i < old.length && compareKeys(keys[old[i] as number] as Key, keys[added[j] as number] as Key) < 0);
    merged[n] = (takeOld ? old[i++] : added[j++]) as number;
  }
  return merged;
}

/** How many of the slots in key order stand before `key`. */
function countBelow(key: Key, slots: Int32Array, keys: readonly (Key | undefined)[]): number {
  let [from, to] = [0, slots.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (compareKeys(keys[slots[middle] as number] as Key, key) < 0) from = middle + 1;
    else to = middle;
  }
  return from;
}

export function grow(array: Int32Array): Int32Array<ArrayBuffer> {
  const grown = new Int32Array(array.length * 2);
  grown.set(array);
  return grown;
}

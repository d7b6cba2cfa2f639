import type { ByteWriter } from "./bytes.js";
import { mergeInSteps, sortInSteps } from "./key-order.js";
import { grown, hashKey, type Key } from "./keys.js";
import { sortByPrefix } from "./prefix-sort.js";
import { atOnce, type Steps } from "./steps.js";
import { TextArena } from "./texts.js";

/** Kinds of slots; from TEXT on: a text, whose form is the rest. */
const FREE = 0;
const NUMBER = 1;
const TEXT = 2;
const NONE = -1;
/** Slots looked at in one step. */
const STEP = 16_384;

/** The keys of some neighbouring slots as they were at one moment: readable for as long as the table keeps texts. */
export interface KeysImage {
  readonly kinds: Int32Array;
  readonly values: Float64Array;
}

const NO_KEYS: KeysImage = { kinds: new Int32Array(0), values: new Float64Array(0) };

/** What was known of the order before a look. */
interface Former {
  readonly order: Int32Array | undefined;
  readonly filled: readonly number[];
  readonly removed: boolean;
}

/**
 * Gives each key a small integer, its slot, so that state can live in arrays indexed by it.
 *
 * Slots: dense, re-used after `remove`, the latest first; they depend on history and must show in no output and no saved byte.
 * Cost:  O(key length) a look-up. Bytes a key: 12 (what it is) + 4 (hash) + 6 to 12 (index), and a text's characters: no object.
 */
export class KeyTable {
  /** Slots given so far, free ones too. */
  length = 0;
  size = 0;
  /** Set by `slotOf`: whether the key was new. */
  fresh = false;
  #hashes: Int32Array<ArrayBuffer>;
  #kinds: Int32Array<ArrayBuffer>;
  /** The number itself, the place of the text, or of a free slot the next free one. */
  #values: Float64Array<ArrayBuffer>;
  #texts = new TextArena();
  #index: Int32Array<ArrayBuffer>;
  #mask: number;
  #free = NONE;
  /** The slots in key order as of the latest look, and those filled since: the next time only these are sorted. */
  #order: Int32Array | undefined;
  #filled: number[] = [];
  /** Whether a key went since then. */
  #removed = false;
  /** The latest look. Before the first it is not worth noting what is filled. */
  #look: Former | undefined;

  /** Room for `capacity` keys before anything must grow. */
  constructor(capacity = 16) {
    const room = Math.max(16, capacity);
    this.#hashes = new Int32Array(room);
    this.#kinds = new Int32Array(room);
    this.#values = new Float64Array(room);
    let places = 32;
    while (places * 2 < capacity * 3) places *= 2;
    this.#index = new Int32Array(places);
    this.#mask = places - 1;
  }

  has(slot: number): boolean {
    return slot < this.length && this.#kinds[slot] !== FREE;
  }

  /** Undefined where the slot is free. A text is made anew each time. */
  keyAt(slot: number): Key | undefined {
    return this.#key(this.#kinds[slot] as number, this.#values[slot] as number);
  }

  /** `keyAt` as a function by itself. */
  readonly keyOf = (slot: number): Key | undefined => this.keyAt(slot);

  #key(kind: number, value: number): Key | undefined {
    if (kind >= TEXT) return this.#texts.get(value, kind - TEXT);
    return kind === NUMBER ? value : undefined;
  }

  /** What the key of a slot is: with `valueOf` all that `writeKey` needs, for as long as the table keeps texts. */
  kindOf(slot: number): number {
    return this.#kinds[slot] as number;
  }

  valueOf(slot: number): number {
    return this.#values[slot] as number;
  }

  /** Of a text as it is kept; 0 of a number. */
  firstByte(kind: number, value: number): number {
    return kind >= TEXT ? this.#texts.firstByte(value) : 0;
  }

  /** Writes a key as the function `writeKey` does. */
  writeKey(writer: ByteWriter, kind: number, value: number): void {
    writer.u8(kind === NUMBER ? 0 : 1);
    if (kind === NUMBER) writer.f64(value);
    else this.#texts.write(writer, value, kind - TEXT);
  }

  /** Writes the key of a slot in use. */
  writeKeyAt(writer: ByteWriter, slot: number): void {
    this.writeKey(writer, this.#kinds[slot] as number, this.#values[slot] as number);
  }

  /** Whether the slot's key is this number. */
  isNumber(slot: number, key: number): boolean {
    return this.#values[slot] === key && this.#kinds[slot] === NUMBER;
  }

  #is(slot: number, key: Key): boolean {
    if (typeof key === "number") return this.isNumber(slot, key);
    const kind = this.#kinds[slot] as number;
    return kind >= TEXT && this.#texts.equals(this.#values[slot] as number, kind - TEXT, key);
  }

  /** -1 when the key is not there. */
  find(key: Key): number {
    const hash = hashKey(key);
    const index = this.#index;
    const mask = this.#mask;
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const slot = (index[i] as number) - 1;
      if (slot < 0) return -1;
      if (this.#hashes[slot] === hash && this.#is(slot, key)) return slot;
    }
  }

  /** Finds the key another table has in a slot. */
  findOf(other: KeyTable, otherSlot: number): number {
    const at = this.#placeOf(other, otherSlot);
    return (this.#index[at] as number) - 1;
  }

  /** Place in the index of another table's key: its own, or the free one where it belongs. */
  #placeOf(other: KeyTable, otherSlot: number): number {
    const index = this.#index;
    const mask = this.#mask;
    const hash = other.#hashes[otherSlot] as number;
    const kind = other.#kinds[otherSlot] as number;
    const value = other.#values[otherSlot] as number;
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const slot = (index[i] as number) - 1;
      if (slot < 0) return i;
      if (this.#hashes[slot] !== hash || this.#kinds[slot] !== kind) continue;
      const own = this.#values[slot] as number;
      if (kind < TEXT ? own === value : this.#texts.equalsOther(own, kind - TEXT, other.#texts, value)) return i;
    }
  }

  /** The slot of the key another table has in a slot. */
  slotOfOther(other: KeyTable, otherSlot: number): number {
    const at = this.#placeOf(other, otherSlot);
    const slot = (this.#index[at] as number) - 1;
    this.fresh = slot < 0;
    if (slot >= 0) return slot;
    return this.#insert(other.keyAt(otherSlot) as Key, other.#hashes[otherSlot] as number, at);
  }

  /** The key's slot, a new one when there is none (`fresh` tells). */
  slotOf(key: Key): number {
    const hash = hashKey(key);
    const index = this.#index;
    const mask = this.#mask;
    let i = hash & mask;
    for (; ; i = (i + 1) & mask) {
      const slot = (index[i] as number) - 1;
      if (slot < 0) break;
      if (this.#hashes[slot] === hash && this.#is(slot, key)) {
        this.fresh = false;
        return slot;
      }
    }
    this.fresh = true;
    return this.#insert(key, hash, i);
  }

  #insert(key: Key, hash: number, at: number): number {
    let slot = this.#free;
    if (slot === NONE) {
      slot = this.length++;
      if (slot >= this.#hashes.length) this.#grow();
    } else {
      this.#free = this.#values[slot] as number;
    }
    if (typeof key === "number") {
      this.#kinds[slot] = NUMBER;
      this.#values[slot] = key;
    } else {
      this.#values[slot] = this.#texts.put(key);
      this.#kinds[slot] = TEXT + this.#texts.form;
    }
    this.#hashes[slot] = hash;
    this.#index[at] = slot + 1;
    this.size++;
    if (this.#look !== undefined) this.#filled.push(slot);
    // Full to two thirds: longer chains cost more than the memory saved.
    if (this.size * 3 > this.#index.length * 2) this.#rehash();
    return slot;
  }

  #grow(): void {
    this.#hashes = grown(this.#hashes);
    this.#kinds = grown(this.#kinds);
    this.#values = grown(this.#values);
  }

  #rehash(): void {
    const index = new Int32Array(this.#index.length * 2);
    const mask = index.length - 1;
    for (let slot = 0; slot < this.length; slot++) {
      if (this.#kinds[slot] === FREE) continue;
      let i = (this.#hashes[slot] as number) & mask;
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
    let hole = (this.#hashes[slot] as number) & mask;
    while (index[hole] !== slot + 1) hole = (hole + 1) & mask;
    for (let i = (hole + 1) & mask; index[i] !== 0; i = (i + 1) & mask) {
      const home = (this.#hashes[(index[i] as number) - 1] as number) & mask;
      if (((i - home) & mask) < ((i - hole) & mask)) continue;
      index[hole] = index[i] as number;
      hole = i;
    }
    index[hole] = 0;
    const kind = this.#kinds[slot] as number;
    if (kind >= TEXT) this.#texts.free(this.#values[slot] as number, kind - TEXT);
    this.#kinds[slot] = FREE;
    this.#values[slot] = this.#free;
    this.#free = slot;
    this.#removed = true;
    this.size--;
  }

  clear(): void {
    this.#index = new Int32Array(32);
    this.#mask = 31;
    this.#hashes = new Int32Array(16);
    this.#kinds = new Int32Array(16);
    this.#values = new Float64Array(16);
    this.#texts = new TextArena();
    this.reuse();
  }

  /** As `clear`, with the room kept for keys to come. No image may be read any more. */
  reuse(): void {
    this.#kinds.fill(FREE, 0, this.length);
    this.length = 0;
    this.size = 0;
    this.#free = NONE;
    this.#index.fill(0);
    this.#texts.clear();
    this.#order = undefined;
    this.#filled = [];
    this.#look = undefined;
  }

  /** While true, images taken can be read although their keys are removed. */
  keepTexts(kept: boolean): void {
    this.#texts.keep(kept);
  }

  imageOf(from: number, to: number): KeysImage {
    return { kinds: this.#kinds.slice(from, to), values: this.#values.slice(from, to) };
  }

  /** Key number `i` of an image of this table; undefined of a slot that was free. */
  keyIn({ kinds, values }: KeysImage, i: number): Key | undefined {
    return this.#key(kinds[i] as number, values[i] as number);
  }

  /** Slots in use, in key order; not to be changed. O(n log n) the first time, then O(n + m log m) with m new keys. */
  sortedSlots(): Int32Array {
    return atOnce(this.sortedInSteps());
  }

  /** As `sortedSlots`; the table must not change between the steps. */
  sortedInSteps(): Steps<Int32Array> {
    return this.#lookAt({ kinds: this.#kinds, values: this.#values });
  }

  /** As `sortedSlots`, of the keys as they are at the call: between the steps the table may change, if it keeps texts. */
  cutInOrder(): Steps<Int32Array> {
    const isKnown = this.#order !== undefined && this.#filled.length === 0 && !this.#removed;
    return this.#lookAt(isKnown ? NO_KEYS : this.imageOf(0, this.length));
  }

  #lookAt(image: KeysImage): Steps<Int32Array> {
    const former = { order: this.#order, filled: this.#filled, removed: this.#removed };
    this.#order = undefined;
    this.#filled = [];
    this.#removed = false;
    this.#look = former;
    return this.#inOrder(image, former, this.size, this.length);
  }

  *#inOrder(image: KeysImage, former: Former, size: number, length: number): Steps<Int32Array> {
    const { order, filled, removed } = former;
    let sorted = order;
    if (sorted === undefined || filled.length * 2 > size) {
      const slots = new Int32Array(size);
      let n = 0;
      for (let slot = 0; slot < length; slot++) {
        if (image.kinds[slot] !== FREE) slots[n++] = slot;
        if (slot % STEP === STEP - 1) yield;
      }
      sorted = yield* this.#sortImage(slots, image);
    } else if (filled.length > 0 || removed) {
      sorted = yield* this.#merged(former, sorted, image);
    }
    if (this.#look === former) this.#order = sorted; // what was filled or removed meanwhile has been noted
    return sorted;
  }

  /** Sorts slots in use by their keys, which must not change between the steps; in place or not. */
  sort(slots: Int32Array): Steps<Int32Array> {
    return this.#sortImage(slots, { kinds: this.#kinds, values: this.#values });
  }

  *#sortImage(slots: Int32Array, image: KeysImage): Steps<Int32Array> {
    const keyOf = (slot: number): Key | undefined => this.keyIn(image, slot);
    const prefixes = yield* this.#prefixes(slots, image);
    if (prefixes === undefined) return yield* sortInSteps(slots, keyOf);
    return yield* sortByPrefix(prefixes, slots, (slot, other) => (keyOf(slot) as string) < (keyOf(other) as string));
  }

  /** What tells most texts apart, behind what all have in common; undefined where keys are numbers or need two bytes a unit. */
  *#prefixes(slots: Int32Array, { kinds, values }: KeysImage): Steps<Float64Array | undefined> {
    const texts = this.#texts;
    const first = slots[0] ?? 0;
    let common = Number.POSITIVE_INFINITY;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i] as number;
      const kind = kinds[slot] as number;
      if (kind < TEXT || ((kind - TEXT) & 1) === 1) return undefined;
      common = texts.common(
        values[first] as number,
        (kinds[first] as number) - TEXT,
        values[slot] as number,
        kind - TEXT,
        common,
      );
      if (i % STEP === STEP - 1) yield;
    }
    const prefixes = new Float64Array(slots.length);
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i] as number;
      prefixes[i] = texts.prefix(values[slot] as number, (kinds[slot] as number) - TEXT, common);
      if (i % STEP === STEP - 1) yield;
    }
    return prefixes;
  }

  /** A slot may have been filled more than once, or be in the old order with another key. */
  *#merged({ filled, removed }: Former, order: Int32Array, image: KeysImage): Steps<Int32Array> {
    const { kinds } = image;
    const isNew = new Uint8Array(kinds.length);
    const live: number[] = [];
    for (const slot of filled) {
      if (kinds[slot] === FREE || isNew[slot] === 1) continue;
      isNew[slot] = 1;
      live.push(slot);
    }
    if (live.length > STEP) yield;
    const added = yield* this.#sortImage(Int32Array.from(live), image);
    const old = removed ? order.filter((slot) => kinds[slot] !== FREE && isNew[slot] === 0) : order;
    if (order.length > STEP) yield;
    return yield* mergeInSteps(old, added, (slot) => this.keyIn(image, slot));
  }

  /** The keys, in no order. */
  *held(): Generator<Key> {
    for (let slot = 0; slot < this.length; slot++) if (this.has(slot)) yield this.keyAt(slot) as Key;
  }

  /** Bytes held. */
  get bytes(): number {
    const { byteLength } = this.#hashes;
    return byteLength * 4 + this.#index.byteLength + this.#texts.bytes;
  }
}

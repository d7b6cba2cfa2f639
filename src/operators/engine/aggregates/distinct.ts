import { MillraceError } from "../../../core/index.js";
import type { ByteReader, ByteWriter } from "../state/bytes.js";
import { compareKeys, hashKey, type Key, readKey, writeKey } from "../state/keys.js";
import type { Undo, Undoable } from "../state/undo.js";
import { type Aggregate, type Cell, celled, picked } from "./aggregate.js";

/** Up to so many hashes are kept as they are: exact, and smaller than registers. */
const EXACT_UP_TO = 128;

/** 53 well-mixed bits as a non-negative integer. */
function wideHash(key: Key): number {
  const low = hashKey(key);
  let high: number;
  if (typeof key === "string") {
    high = 0x2545f491 ^ key.length;
    for (let i = 0; i < key.length; i++) high = Math.imul(high ^ key.charCodeAt(i), 0x5bd1e995) ^ (high >>> 15);
  } else {
    high = Math.imul(low, 0x27d4eb2f);
  }
  high = Math.imul(high ^ (high >>> 16) ^ low, 0x85ebca6b);
  high = Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
  high ^= high >>> 16;
  return (high >>> 11) * 0x1_0000_0000 + (low >>> 0);
}

/** HyperLogLog; below `EXACT_UP_TO` distinct hashes a set of them. */
export class DistinctSketch implements Undoable {
  readonly #precision: number;
  #few: Set<number> | undefined = new Set();
  #registers: Uint8Array | undefined;
  #undo: Undo | undefined;

  constructor(precision: number) {
    this.#precision = precision;
  }

  add(key: Key, undo: Undo | undefined): void {
    this.#addHash(wideHash(key), undo);
  }

  #addHash(hash: number, undo: Undo | undefined): void {
    if (undo !== undefined) this.#undo = undo;
    if (this.#few !== undefined) {
      if (this.#few.has(hash)) return;
      if (this.#few.size < EXACT_UP_TO) {
        this.#few.add(hash);
        undo?.note(this, hash, -1);
        return;
      }
      undo?.note(this, undo.keep(this.#few), -2);
      this.#widen();
    }
    const registers = this.#registers as Uint8Array;
    const slot = hash % registers.length;
    const rest = Math.floor(hash / registers.length);
    const rank = leadingZeros(rest, 53 - this.#precision) + 1;
    const old = registers[slot] as number;
    if (rank <= old) return;
    undo?.note(this, slot, old);
    registers[slot] = rank;
  }

  undo(a: number, b: number): void {
    if (b === -1) {
      (this.#few as Set<number>).delete(a);
    } else if (b === -2) {
      this.#few = (this.#undo as Undo).kept(a) as Set<number>;
      this.#registers = undefined;
    } else {
      (this.#registers as Uint8Array)[a] = b;
    }
  }

  #widen(): void {
    const few = this.#few as Set<number>;
    this.#few = undefined;
    this.#registers = new Uint8Array(1 << this.#precision);
    for (const hash of few) this.#addHash(hash, undefined);
  }

  merge(from: DistinctSketch): void {
    if (from.#few !== undefined) {
      for (const hash of from.#few) this.#addHash(hash, undefined);
      return;
    }
    if (this.#few !== undefined) this.#widen();
    const ours = this.#registers as Uint8Array;
    (from.#registers as Uint8Array).forEach((rank, i) => {
      if (rank > (ours[i] as number)) ours[i] = rank;
    });
  }

  estimate(): number {
    return this.#few?.size ?? Math.round(estimate(this.#registers as Uint8Array, 53 - this.#precision));
  }

  save(writer: ByteWriter): void {
    writer.u8(this.#few === undefined ? 1 : 0);
    if (this.#few === undefined) {
      writer.bytes(this.#registers as Uint8Array);
    } else {
      writer.uint(this.#few.size);
      for (const hash of [...this.#few].sort((a, b) => a - b)) writer.uint(hash);
    }
  }

  load(reader: ByteReader): void {
    if (reader.u8() === 1) {
      this.#few = undefined;
      this.#registers = reader.bytes().slice();
    } else {
      for (let left = reader.uint(); left > 0; left--) (this.#few as Set<number>).add(reader.uint());
    }
  }
}

function leadingZeros(value: number, bits: number): number {
  const high = Math.floor(value / 0x1_0000_0000);
  return high > 0 ? Math.clz32(high) - (64 - bits) : Math.clz32(value) + bits - 32;
}

/** Unbiased over the whole range, without tables. Source: Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", 2017. */
function estimate(registers: Uint8Array, bits: number): number {
  const m = registers.length;
  const counts = new Float64Array(bits + 2);
  for (const rank of registers) counts[rank] = (counts[rank] as number) + 1;
  let z = m * tau(1 - (counts[bits + 1] as number) / m);
  for (let k = bits; k >= 1; k--) z = 0.5 * (z + (counts[k] as number));
  z += m * sigma((counts[0] as number) / m);
  return (m * m) / (2 * Math.LN2) / z;
}

function sigma(x: number): number {
  let power = x;
  let y = 1;
  let z = x;
  for (let before = Number.NaN; before !== z; ) {
    power *= power;
    before = z;
    z += power * y;
    y += y;
  }
  return z;
}

function tau(x: number): number {
  let root = x;
  let y = 1;
  let z = 1 - x;
  for (let before = Number.NaN; before !== z; ) {
    root = Math.sqrt(root);
    before = z;
    y *= 0.5;
    z -= (1 - root) ** 2 * y;
  }
  return z / 3;
}

export interface DistinctOptions {
  /** 2^precision registers of a byte. 4 to 18. @default 12 (standard error 1.6 %) */
  readonly precision?: number;
}

/**
 * Distinct values of a key, estimated by HyperLogLog.
 *
 * Error: exact up to 128; beyond, standard error 1.04 / sqrt(2^precision): 1.63 % at the default.
 * State: 8 bytes a value up to 128, then 2^precision bytes.
 * Source: Flajolet et al., "HyperLogLog", 2007; estimator of Ertl, 2017.
 */
export function distinct<F extends string>(
  field: F,
  options?: DistinctOptions,
): Aggregate<Readonly<Partial<Record<F, Key | null>>>, number>;
export function distinct<V>(of: (value: V) => Key | null | undefined, options?: DistinctOptions): Aggregate<V, number>;
export function distinct<V>(
  field: string | ((value: V) => Key | null | undefined),
  { precision = 12 }: DistinctOptions = {},
): Aggregate<V, number> {
  if (!Number.isInteger(precision) || precision < 4 || precision > 18) {
    throw new MillraceError("MR_OPTION_INVALID", `distinct needs a precision from 4 to 18, got ${precision}`);
  }
  const { of } = picked<V, Key | null | undefined>(field);
  const cell: Cell<V, DistinctSketch> = {
    create: () => new DistinctSketch(precision),
    add: (sketch, value, _timeMs, undo) => {
      const key = of(value);
      if (key !== null && key !== undefined) sketch.add(key, undo);
    },
    merge: (sketch, from) => sketch.merge(from),
    save: (writer, sketch) => sketch.save(writer),
    load: (reader) => {
      const sketch = new DistinctSketch(precision);
      sketch.load(reader);
      return sketch;
    },
  };
  return celled("distinct", cell, (sketch) => sketch.estimate());
}

class Tally implements Undoable {
  readonly counts = new Map<Key, number>();
  #undo: Undo | undefined;

  change(key: Key, by: number, undo: Undo | undefined): void {
    const next = (this.counts.get(key) ?? 0) + by;
    if (next === 0) this.counts.delete(key);
    else this.counts.set(key, next);
    if (undo === undefined) return;
    this.#undo = undo;
    undo.note(this, undo.keep(key), by);
  }

  undo(index: number, by: number): void {
    this.change((this.#undo as Undo).kept(index) as Key, -by, undefined);
  }
}

/** Distinct values of a key, exact: one map entry a value. Sliding windows subtract. */
export function distinctExact<F extends string>(field: F): Aggregate<Readonly<Partial<Record<F, Key | null>>>, number>;
export function distinctExact<V>(of: (value: V) => Key | null | undefined): Aggregate<V, number>;
export function distinctExact<V>(field: string | ((value: V) => Key | null | undefined)): Aggregate<V, number> {
  const { of } = picked<V, Key | null | undefined>(field);
  const cell: Cell<V, Tally> = {
    create: () => new Tally(),
    add: (tally, value, _timeMs, undo) => {
      const key = of(value);
      if (key !== null && key !== undefined) tally.change(key, 1, undo);
    },
    retract: (tally, value, _timeMs, undo) => {
      const key = of(value);
      if (key !== null && key !== undefined) tally.change(key, -1, undo);
    },
    merge: (tally, from) => {
      for (const [key, count] of from.counts) tally.change(key, count, undefined);
    },
    subtract: (tally, from) => {
      for (const [key, count] of from.counts) tally.change(key, -count, undefined);
    },
    save: (writer, { counts }) => {
      writer.uint(counts.size);
      for (const [key, count] of [...counts].sort(([a], [b]) => compareKeys(a, b))) {
        writeKey(writer, key);
        writer.int(count); // below 0 where a value was taken back in another pane than it came in
      }
    },
    load: (reader) => {
      const tally = new Tally();
      for (let left = reader.uint(); left > 0; left--) {
        const key = readKey(reader);
        tally.counts.set(key, reader.int());
      }
      return tally;
    },
  };
  return celled("distinctExact", cell, (tally) => {
    let there = 0;
    for (const count of tally.counts.values()) if (count > 0) there++;
    return there;
  });
}

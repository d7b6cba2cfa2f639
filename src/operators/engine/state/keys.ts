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

/** A longer array with the same beginning. */
export function grown<T extends Float64Array | Int32Array | Uint8Array>(array: T, length = array.length * 2): T {
  const longer = new (array.constructor as new (length: number) => T)(length);
  longer.set(array);
  return longer;
}

import { MillraceError } from "../../../core/index.js";

const NEW_SHAPE = 0;
const SELF_CONTAINED = 1;
const FIRST_SHAPE = 2;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Appends numbers and text to a growing buffer. Little-endian; equal calls give equal bytes. */
export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #at = 0;

  constructor(capacity = 1024) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#at;
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = value;
  }

  /** An integer from 0 to 2^53 - 1 in 1 to 8 bytes. */
  uint(value: number): void {
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80 && rest < 0x4000_0000) {
      this.#bytes[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>= 7;
    }
    while (rest >= 0x80) {
      this.#bytes[this.#at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#at++] = rest;
  }

  f64(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  /** Any string, lone surrogates too: those are kept as UTF-16. */
  text(value: string): void {
    this.#reserve(value.length * 3 + 9);
    const start = this.#at;
    this.uint(value.length * 2);
    const bytes = this.#bytes;
    let at = this.#at;
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) {
        this.#at = start; // not plain ASCII after all
        this.#wideText(value);
        return;
      }
      bytes[at++] = code;
    }
    this.#at = at;
  }

  #wideText(value: string): void {
    if (isWellFormed(value)) {
      const bytes = encoder.encode(value);
      this.uint(bytes.length * 2);
      this.#append(bytes);
      return;
    }
    this.uint(value.length * 2 + 1);
    this.#reserve(value.length * 2);
    for (let i = 0; i < value.length; i++, this.#at += 2) this.#view.setUint16(this.#at, value.charCodeAt(i), true);
  }

  /**
   * The number of a record's shape (its sorted keys): known ones were written before, a new one is written now. Events of one kind
   * have one shape, so their keys are written once.
   */
  shape(keys: readonly string[]): readonly string[] {
    if (this.selfContained) {
      const sorted = [...keys].sort();
      this.uint(SELF_CONTAINED);
      this.#keys(sorted);
      return sorted;
    }
    const latest = this.#latest;
    if (latest !== undefined && sameKeys(latest.keys, keys)) {
      this.uint(latest.number);
      return latest.sorted;
    }
    const sorted = [...keys].sort();
    const name = JSON.stringify(sorted); // joined by any character, two lists could look alike
    let number = this.#shapes.get(name);
    if (number === undefined) {
      number = this.#shapes.size + FIRST_SHAPE;
      this.#shapes.set(name, number);
      this.uint(NEW_SHAPE);
      this.#keys(sorted);
    } else {
      this.uint(number);
    }
    this.#latest = { keys, sorted, number };
    return sorted;
  }

  #keys(sorted: readonly string[]): void {
    this.uint(sorted.length);
    for (const key of sorted) this.text(key);
  }

  /** While true, records carry their keys themselves: for pieces that are written apart and put together later. */
  selfContained = false;
  readonly #shapes = new Map<string, number>();
  #latest:
    | { readonly keys: readonly string[]; readonly sorted: readonly string[]; readonly number: number }
    | undefined;

  bytes(value: Uint8Array): void {
    this.uint(value.length);
    this.#append(value);
  }

  /** Bytes without a length. */
  raw(value: Uint8Array): void {
    this.#append(value);
  }

  /** `count` doubles of `values` from `from` on, without a length. */
  doubles(values: Float64Array, from: number, count: number): void {
    this.#reserve(count * 8);
    for (let i = 0; i < count; i++, this.#at += 8) this.#view.setFloat64(this.#at, values[from + i] as number, true);
  }

  /** The bytes so far; the writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  #append(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  #reserve(more: number): void {
    const needed = this.#at + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** Reads what `ByteWriter` wrote. Errors: MR_STATE_INCOMPATIBLE at the end of the bytes. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    return this.#bytes[this.#take(1)] as number;
  }

  uint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  text(): string {
    const header = this.uint();
    const length = Math.floor(header / 2);
    if (header % 2 === 0) {
      const from = this.#take(length);
      return decoder.decode(this.#bytes.subarray(from, from + length));
    }
    const from = this.#take(length * 2);
    let value = "";
    for (let i = 0; i < length; i++) value += String.fromCharCode(this.#view.getUint16(from + i * 2, true));
    return value;
  }

  readonly #shapes: (readonly string[])[] = [];

  shape(): readonly string[] {
    const number = this.uint();
    const known = this.#shapes[number - FIRST_SHAPE];
    if (known !== undefined) return known;
    if (number > SELF_CONTAINED)
      throw new MillraceError("MR_STATE_INCOMPATIBLE", `reading state: there is no shape ${number}`);
    const keys = Array.from({ length: this.uint() }, () => this.text());
    if (number === NEW_SHAPE) this.#shapes.push(keys);
    return keys;
  }

  /** A view, not a copy. */
  bytes(): Uint8Array {
    const length = this.uint();
    const from = this.#take(length);
    return this.#bytes.subarray(from, from + length);
  }

  doubles(into: Float64Array, from: number, count: number): void {
    let at = this.#take(count * 8);
    for (let i = 0; i < count; i++, at += 8) into[from + i] = this.#view.getFloat64(at, true);
  }

  #take(count: number): number {
    const from = this.#at;
    if (from + count > this.#bytes.length) {
      throw new MillraceError(
        "MR_STATE_INCOMPATIBLE",
        `reading state: ${count} bytes wanted at ${from}, ${this.left} left`,
      );
    }
    this.#at += count;
    return from;
  }
}

function isWellFormed(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0xd800 || code > 0xdfff) continue;
    const next = text.charCodeAt(i + 1);
    if (code > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return false;
    i++;
  }
  return true;
}

function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

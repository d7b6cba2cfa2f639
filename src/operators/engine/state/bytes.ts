import { MillraceError, type Slices } from "../../../core/index.js";

const NEW_SHAPE = 0;
const SELF_CONTAINED = 1;
const FIRST_SHAPE = 2;

const encoder = new TextEncoder();
/** From here on the encoder is faster than a loop. */
const LONG_CHARS = 32;

/** Appends numbers and text to a growing buffer. Little-endian; equal calls give equal bytes. */
export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #at = 0;
  readonly #pieceBytes: number;
  readonly #pieces: Uint8Array[] = [];
  #before = 0;
  #midEntry = false;

  /** With `pieceBytes` the bytes are kept in pieces of about that size, never moved: growing is then no pause. */
  constructor(capacity = 1024, pieceBytes = 0) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
    this.#pieceBytes = pieceBytes;
  }

  get length(): number {
    return this.#before + this.#at;
  }

  /**
   * Call between entries, with the bytes of the next where they are known: it begins in a new piece where the one at hand is three
   * quarters full, or begins with a part of an entry. So most pieces hold whole entries, and can be shared.
   */
  cut(more = 0): void {
    if (this.#pieceBytes === 0 || this.#at === 0) return;
    if (!this.#midEntry && this.#at + more <= this.#bytes.length && this.#at * 4 < this.#pieceBytes * 3) return;
    this.#nextPiece(more);
    this.#midEntry = false;
  }

  /** Goes on with a piece of an earlier save as it is, without a copy; false of one that is too small for that. */
  share(piece: Uint8Array): boolean {
    if (this.#pieceBytes === 0 || piece.length * 2 < this.#pieceBytes) return false;
    if (this.#at > 0) {
      this.#pieces.push(this.finish());
      this.#bytes = this.#bytes.subarray(this.#at);
      this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    }
    this.#pieces.push(piece);
    this.#before += this.#at + piece.length;
    this.#at = 0;
    this.#midEntry = false;
    return true;
  }

  /** The piece at hand and the place in it. */
  get piece(): number {
    return this.#pieces.length;
  }

  get place(): number {
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

  /** A safe integer of either sign, from -2^52 to 2^52. */
  int(value: number): void {
    this.uint(value < 0 ? -2 * value - 1 : 2 * value);
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
    if (value.length >= LONG_CHARS) {
      // One byte a character: plain ASCII. A lone surrogate becomes three.
      if (encoder.encodeInto(value, this.#bytes.subarray(this.#at)).written === value.length) {
        this.#at += value.length;
      } else {
        this.#at = start;
        this.#wideText(value);
      }
      return;
    }
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

  /** A text that stands in `from` with one byte a unit, as `text` would write it; false, and nothing is written, unless it is plain ASCII. */
  ascii(from: Uint8Array, start: number, length: number): boolean {
    this.#reserve(length * 3 + 9);
    const before = this.#at;
    this.uint(length * 2);
    const bytes = this.#bytes;
    const at = this.#at;
    let all = 0;
    for (let i = 0; i < length; i++) {
      const byte = from[start + i] as number;
      bytes[at + i] = byte;
      all |= byte;
    }
    this.#at = all > 0x7f ? before : at + length;
    return all <= 0x7f;
  }

  #wideText(value: string): void {
    if (isWellFormed(value)) {
      const bytes = encoder.encode(value);
      this.uint(bytes.length * 2);
      this.#append(bytes);
      return;
    }
    this.uint(value.length * 2 + 1); // `text` has made room for more than this
    for (let i = 0; i < value.length; i++, this.#at += 2) this.#view.setUint16(this.#at, value.charCodeAt(i), true);
  }

  /**
   * The shape of a record (its keys in their own order), which is returned: a known one by its number, a new one in full. Events of one
   * kind have one shape, so their keys are written once.
   */
  shape(record: object): Shape {
    const shapes = this.selfContained ? this.#whole : this.#numbered;
    const known = shapes.find(record);
    if (known !== undefined) {
      this.#append(known.head);
      return known;
    }
    const keys = Object.keys(record);
    const head = new ByteWriter(16);
    if (this.selfContained) {
      head.#define(SELF_CONTAINED, keys);
      this.#append(head.finish());
    } else {
      head.uint(this.#number(keys));
    }
    return shapes.add({ keys, head: head.finish(), writeFields: undefined, uses: 0 });
  }

  /** Writes the shape's number, or its definition when it is new. */
  #number(keys: readonly string[]): number {
    const name = JSON.stringify(keys); // joined by any character, two lists could look alike
    const known = this.#shapes.get(name);
    if (known !== undefined) {
      this.uint(known);
      return known;
    }
    const number = this.#shapes.size + FIRST_SHAPE;
    this.#shapes.set(name, number);
    this.#define(NEW_SHAPE, keys);
    return number;
  }

  #define(tag: number, keys: readonly string[]): void {
    this.uint(tag);
    this.uint(keys.length);
    for (const key of keys) this.text(key);
  }

  /** While true, records carry their keys themselves: for pieces that are written apart and put together later. */
  selfContained = false;
  readonly #shapes = new Map<string, number>();
  readonly #numbered = new LatestShapes();
  readonly #whole = new LatestShapes();

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
    const view = this.#view;
    let at = this.#at;
    for (let i = from; i < from + count; i++, at += 8) view.setFloat64(at, values[i] as number, true);
    this.#at = at;
  }

  /** The bytes so far, of a writer without pieces; the writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  /** The bytes so far in order; the writer must not be used afterwards. */
  finishPieces(): readonly Uint8Array[] {
    return [...this.#pieces, this.finish()];
  }

  #append(value: Uint8Array): void {
    const { length } = value;
    this.#reserve(length);
    if (length > 32) {
      this.#bytes.set(value, this.#at);
      this.#at += length;
      return;
    }
    for (let i = 0; i < length; i++) this.#bytes[this.#at++] = value[i] as number; // a call would cost more
  }

  #reserve(more: number): void {
    const needed = this.#at + more;
    if (needed <= this.#bytes.length) return;
    if (this.#pieceBytes > 0) {
      this.#nextPiece(more);
      this.#midEntry = true;
      return;
    }
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  #nextPiece(more: number): void {
    if (this.#at > 0) this.#pieces.push(this.finish());
    this.#before += this.#at;
    this.#at = 0;
    this.#bytes = new Uint8Array(Math.max(more, this.#pieceBytes));
    this.#view = new DataView(this.#bytes.buffer);
  }
}

/** Reads what `ByteWriter` wrote. Errors: MR_STATE_INCOMPATIBLE at the end of the bytes. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #texts: Slices;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength); // what a Buffer slices is no copy
    this.#texts = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) as Slices;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Goes on reading there. */
  seek(at: number): void {
    this.#at = at;
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

  int(): number {
    const value = this.uint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  text(): string {
    const header = this.uint();
    const length = Math.floor(header / 2);
    if (header % 2 === 0) {
      const from = this.#take(length);
      return this.#texts.utf8Slice(from, from + length);
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
    if (number === SELF_CONTAINED && this.#isLatestHead()) return this.#latestKeys;
    const from = this.#at;
    const keys = Array.from({ length: this.uint() }, () => this.text());
    if (number === NEW_SHAPE) this.#shapes.push(keys);
    this.#latestHead = this.#bytes.subarray(from, this.#at);
    this.#latestKeys = keys;
    return keys;
  }

  #latestHead: Uint8Array = new Uint8Array(0);
  #latestKeys: readonly string[] = [];

  /** Whether the keys of the latest shape stand here again: then they are skipped. */
  #isLatestHead(): boolean {
    const head = this.#latestHead;
    if (head.length === 0) return false;
    for (let i = 0; i < head.length; i++) if (this.#bytes[this.#at + i] !== head[i]) return false;
    this.#at += head.length;
    return true;
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

/** Writes each field of a record, in the order of the keys. */
type WriteFields = (writer: ByteWriter, record: object, write: (writer: ByteWriter, value: unknown) => void) => void;

export interface Shape {
  /** In the record's own order. */
  readonly keys: readonly string[];
  /** What a record of this shape begins with. */
  readonly head: Uint8Array;
  /** Made for shapes that come often: property accesses of their own cost a tenth of those by a variable name. */
  writeFields: WriteFields | undefined;
  uses: number;
}

const SHAPES = 16;
const OFTEN = 200;

/** The shapes met lately. Records come in the same order time and again, so the one behind the latest is looked at first. */
class LatestShapes {
  readonly #shapes: Shape[] = [];
  #next = 0;

  find(record: object): Shape | undefined {
    const shapes = this.#shapes;
    let at = this.#next;
    for (let i = 0; i < shapes.length; i++, at++) {
      if (at >= shapes.length) at = 0;
      const shape = shapes[at] as Shape;
      if (!hasKeys(record, shape.keys)) continue;
      this.#next = at + 1;
      if (++shape.uses === OFTEN) shape.writeFields = fieldsWriter(shape.keys);
      return shape;
    }
    return undefined;
  }

  add(shape: Shape): Shape {
    if (this.#shapes.length < SHAPES) {
      this.#next = this.#shapes.push(shape);
    } else {
      if (this.#next >= SHAPES) this.#next = 0;
      this.#shapes[this.#next++] = shape;
    }
    return shape;
  }
}

const fieldsWriters = new Map<string, WriteFields>();

function fieldsWriter(keys: readonly string[]): WriteFields {
  const body = keys.map((key) => `write(writer, record[${JSON.stringify(key)}]);`).join(" ");
  let made = fieldsWriters.get(body);
  if (made === undefined) {
    made = new Function("writer", "record", "write", body) as WriteFields;
    fieldsWriters.set(body, made);
  }
  return made;
}

/** Whether these are the record's keys, in this order. */
function hasKeys(record: object, keys: readonly string[]): boolean {
  let i = 0;
  for (const key in record) if (keys[i++] !== key) return false;
  return i === keys.length;
}

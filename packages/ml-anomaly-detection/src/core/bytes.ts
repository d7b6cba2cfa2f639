import { AnomalyError } from "./errors.js";

const MAGIC = 0x444c_4d41; // "AMLD", little-endian on the wire whatever the machine
const VERSION = 1;

/**
 * Writes saved state: little-endian, no padding, every NaN as one bit pattern, so equal states give equal bytes.
 *
 * The header holds magic, format version, the detector's kind and a text of its options; `ByteReader` refuses others.
 */
export class ByteWriter {
  private bytes = new Uint8Array(256);
  private view = new DataView(this.bytes.buffer);
  private at = 0;

  constructor(kind: string, options: string) {
    this.u32(MAGIC).u32(VERSION).text(kind).text(options);
  }

  private room(n: number): number {
    const start = this.at;
    this.at += n;
    if (this.at > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.at, this.bytes.length * 2));
      grown.set(this.bytes);
      this.bytes = grown;
      this.view = new DataView(grown.buffer);
    }
    return start;
  }

  u32(value: number): this {
    const at = this.room(4); // first: room() may replace the view
    this.view.setUint32(at, value, true);
    return this;
  }

  f64(value: number): this {
    const at = this.room(8);
    this.view.setFloat64(at, Number.isNaN(value) ? Number.NaN : value, true);
    return this;
  }

  bool(value: boolean): this {
    return this.u32(value ? 1 : 0);
  }

  /** `undefined` is NaN: a number that may be absent is never NaN itself. */
  optional(value: number | undefined): this {
    return this.f64(value ?? Number.NaN);
  }

  text(value: string): this {
    const encoded = new TextEncoder().encode(value);
    this.u32(encoded.length);
    const at = this.room(encoded.length);
    this.bytes.set(encoded, at);
    return this;
  }

  /** Length, then the values `from..to` of a float array. */
  f64s(values: ArrayLike<number>, from = 0, to = values.length): this {
    this.u32(to - from);
    for (let i = from; i < to; i++) this.f64(values[i] as number);
    return this;
  }

  /** Length, then the values `from..to` of an array of unsigned (or two's complement) 32-bit integers. */
  u32s(values: ArrayLike<number>, from = 0, to = values.length): this {
    this.u32(to - from);
    for (let i = from; i < to; i++) this.u32((values[i] as number) >>> 0);
    return this;
  }

  /** Length, then an array of unsigned 16-bit integers. */
  u16s(values: Uint16Array): this {
    this.u32(values.length);
    const at = this.room(2 * values.length);
    for (let i = 0; i < values.length; i++) this.view.setUint16(at + 2 * i, values[i] as number, true);
    return this;
  }

  /** Length, then bytes as they are: the saved state of a part. */
  blob(value: Uint8Array): this {
    this.u32(value.length);
    const at = this.room(value.length);
    this.bytes.set(value, at);
    return this;
  }

  /** The bytes, closed by a checksum. */
  done(): Uint8Array {
    this.u32(checksum(this.bytes, this.at));
    return this.bytes.slice(0, this.at);
  }
}

/**
 * Reads what `ByteWriter` wrote.
 *
 * Errors: AD_STATE_INVALID for damaged, foreign or other-versioned bytes, found before any value is handed out, so a
 * failed `load` leaves its detector as it was.
 */
export class ByteReader {
  private readonly view: DataView;
  private readonly bytes: Uint8Array;
  private at = 0;

  constructor(bytes: Uint8Array, kind: string, options: string) {
    const end = bytes.length - 4;
    this.bytes = bytes.subarray(0, Math.max(end, 0));
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.u32() !== MAGIC) throw new AnomalyError("AD_STATE_INVALID", "these bytes are no saved detector");
    if (this.view.getUint32(end, true) !== checksum(bytes, end))
      throw new AnomalyError("AD_STATE_INVALID", "saved state is damaged");
    const version = this.u32();
    if (version !== VERSION)
      throw new AnomalyError("AD_STATE_INVALID", `saved state has format ${version}, this build reads ${VERSION}`);
    const savedKind = this.text();
    if (savedKind !== kind) throw new AnomalyError("AD_STATE_INVALID", `saved by ${savedKind}, loaded into ${kind}`);
    const savedOptions = this.text();
    if (savedOptions !== options)
      throw new AnomalyError("AD_STATE_INVALID", `${kind} was saved with ${savedOptions}, not ${options}`);
  }

  private take(n: number): number {
    const start = this.at;
    this.at += n;
    if (this.at > this.bytes.length) throw new AnomalyError("AD_STATE_INVALID", "saved state ends too early");
    return start;
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  f64(): number {
    return this.view.getFloat64(this.take(8), true);
  }

  bool(): boolean {
    return this.u32() !== 0;
  }

  optional(): number | undefined {
    const value = this.f64();
    return Number.isNaN(value) ? undefined : value;
  }

  text(): string {
    const length = this.u32();
    const start = this.take(length);
    return new TextDecoder().decode(this.bytes.subarray(start, start + length));
  }

  /** Fills `target` from its start; returns how many values were saved. */
  f64s(target: Float64Array | number[]): number {
    const length = this.lengthWithin(target);
    for (let i = 0; i < length; i++) target[i] = this.f64();
    return length;
  }

  u32s(target: Int32Array | Uint32Array | number[]): number {
    const length = this.lengthWithin(target);
    for (let i = 0; i < length; i++) target[i] = this.u32();
    return length;
  }

  u16s(target: Uint16Array): number {
    const length = this.lengthWithin(target);
    const start = this.take(2 * length);
    for (let i = 0; i < length; i++) target[i] = this.view.getUint16(start + 2 * i, true);
    return length;
  }

  blob(): Uint8Array {
    const length = this.u32();
    const start = this.take(length);
    return this.bytes.slice(start, start + length);
  }

  /** Call last: bytes left over mean the state is not what it claims to be. */
  done(): void {
    if (this.at !== this.bytes.length) throw new AnomalyError("AD_STATE_INVALID", "saved state is too long");
  }

  private lengthWithin(target: { readonly length: number } | number[]): number {
    const length = this.u32();
    if (!Array.isArray(target) && length > target.length)
      throw new AnomalyError("AD_STATE_INVALID", `saved state holds ${length} values where ${target.length} fit`);
    return length;
  }
}

/** FNV-1a, 32 bits. */
function checksum(bytes: Uint8Array, end: number): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x0100_0193);
  return hash >>> 0;
}

/**
 * Order-independent checksum of rows: the sum of a hash of each. A retraction takes its row's hash away, so what is left at the end
 * is the checksum of the rows that still hold.
 */
export class Checksum {
  sum = 0;
  rows = 0;
  /** Rows and retractions written. */
  writes = 0;

  reset(): void {
    this.sum = 0;
    this.rows = 0;
    this.writes = 0;
  }

  add(hash: number, sign: number): void {
    this.sum += sign * (hash >>> 0);
    this.rows += sign;
    this.writes++;
  }

  toString(): string {
    return `${this.rows} rows, checksum ${this.sum}`;
  }
}

/** A function that hashes the named columns of a row. Numbers count to 9 significant digits, integers exactly. */
export function rowHash<R>(columns: readonly string[]): (row: R) => number {
  const steps = columns.map((column) => `hash = mix(hash, row[${JSON.stringify(column)}]);`).join(" ");
  return new Function("mix", `return (row) => { let hash = ${columns.length}; ${steps} return hash; };`)(mix) as (
    row: R,
  ) => number;
}

function mix(hash: number, value: number | string | null | undefined): number {
  if (typeof value === "number") {
    if ((value | 0) === value) return step(hash, value);
    if (Number.isInteger(value)) return step(step(hash, value % 0x1_0000_0000), value / 0x1_0000_0000);
    return nineDigits(hash, value);
  }
  if (typeof value !== "string") return step(hash, 0x7fff_0001);
  return text(hash, value);
}

const encoder = new TextEncoder();
const bytes = new Uint8Array(4_096);
const words = new Int32Array(bytes.buffer);
/** From here on encoding a text and taking its bytes four at a time costs less than asking for its characters. */
const LONG_CHARS = 40;

/** Two sums side by side: a multiplication need not wait for the one before. */
function text(hash: number, value: string): number {
  const { length } = value;
  let even = hash;
  let odd = length;
  let i = 0;
  if (length >= LONG_CHARS && length * 3 + 8 <= bytes.length) {
    const { written } = encoder.encodeInto(value, bytes);
    bytes.fill(0, written, written + 8);
    for (const end = ((written + 7) >> 3) * 2; i < end; i += 2) {
      even = Math.imul(even ^ (words[i] as number), 0x01000193);
      odd = Math.imul(odd ^ (words[i + 1] as number), 0x01000193);
    }
    return step(step(even, odd), length);
  }
  for (; i < length - 1; i += 2) {
    even = Math.imul(even ^ value.charCodeAt(i), 0x01000193);
    odd = Math.imul(odd ^ value.charCodeAt(i + 1), 0x01000193);
  }
  if (i < length) even = Math.imul(even ^ value.charCodeAt(i), 0x01000193);
  return step(step(even, odd), length);
}

const POWERS = Float64Array.from({ length: 19 }, (_, i) => 10 ** (i - 9));

/** The nine digits that count, and where the point is; NaN and infinities as zero digits. */
function nineDigits(hash: number, value: number): number {
  const size = Math.abs(value);
  let i = 0;
  while (i < 18 && size >= (POWERS[i + 1] as number)) i++;
  const digits = Math.round((value / (POWERS[i] as number)) * 1e8);
  return step(step(hash, digits), i);
}

function step(hash: number, word: number): number {
  const h = Math.imul(hash ^ word, 0x85ebca6b);
  return Math.imul(h ^ (h >>> 15), 0xc2b2ae35) ^ (h >>> 13);
}

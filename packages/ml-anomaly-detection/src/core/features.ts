import type { ByteReader, ByteWriter } from "./bytes.js";
import type { Input } from "./detector.js";
import { AnomalyError, integerOption } from "./errors.js";

/** How many features, or their names in order. */
export type FeatureOption = number | readonly string[];

/**
 * Beyond this, values are clamped: the square of a difference of two such values, summed over 10^100 features, is
 * still finite, so no detector ever meets Infinity - Infinity.
 */
export const HUGE = 1e100;

/**
 * Turns any `Input` into the same preallocated row of numbers.
 *
 * Missing (absent, NaN, Infinity): the last learned value of that feature, 0 before there is one; with `keepMissing`
 * they stay NaN for detectors that treat them themselves. Values are clamped to +-1e100.
 * Errors: AD_INPUT_INVALID when an array has another length or a plain number meets several features.
 */
export class FeatureReader {
  readonly names: readonly string[] | undefined;
  readonly dimensions: number;
  readonly row: Float64Array;
  private readonly last: Float64Array;
  private readonly keepMissing: boolean;

  constructor(features: FeatureOption = 1, keepMissing = false) {
    this.names = typeof features === "number" ? undefined : [...features];
    this.dimensions = integerOption("features", typeof features === "number" ? features : features.length, 1, 65_536);
    this.row = new Float64Array(this.dimensions);
    this.last = new Float64Array(this.dimensions);
    this.keepMissing = keepMissing;
  }

  /** The row, valid until the next call. */
  read(x: Input): Float64Array {
    if (typeof x === "number") {
      if (this.dimensions !== 1) this.refuse("a single number");
      this.put(0, x);
    } else if (isArrayLike(x)) {
      if (x.length !== this.dimensions) this.refuse(`${x.length} values`);
      for (let i = 0; i < this.dimensions; i++) this.put(i, x[i]);
    } else {
      if (this.names === undefined)
        throw new AnomalyError("AD_INPUT_INVALID", "named features need `features: [names]`");
      for (let i = 0; i < this.dimensions; i++) this.put(i, x[this.names[i] as string]);
    }
    return this.row;
  }

  /** `read`, and remembers each present value for later gaps. */
  learn(x: Input): Float64Array {
    const row = this.read(x);
    for (let i = 0; i < row.length; i++) {
      const value = row[i] as number;
      if (!Number.isNaN(value)) this.last[i] = value;
    }
    return row;
  }

  /** Last learned value of a feature, 0 before there is one. */
  lastOf(f: number): number {
    return this.last[f] as number;
  }

  save(to: ByteWriter): void {
    to.f64s(this.last);
  }

  load(from: ByteReader): void {
    from.f64s(this.last);
  }

  /** For the options text of saved state. */
  describe(): number | readonly string[] {
    return this.names ?? this.dimensions;
  }

  private put(i: number, value: number | undefined): void {
    if (value !== undefined && value - value === 0) this.row[i] = Math.min(Math.max(value, -HUGE), HUGE);
    else this.row[i] = this.keepMissing ? Number.NaN : (this.last[i] as number);
  }

  private refuse(got: string): never {
    throw new AnomalyError("AD_INPUT_INVALID", `expected ${this.dimensions} features, got ${got}`);
  }
}

function isArrayLike(x: Exclude<Input, number>): x is ArrayLike<number> {
  return Array.isArray(x) || ArrayBuffer.isView(x); // not `"length" in x`: a feature may be called length
}

/** Clamped copy of a plain number, or NaN when it is missing: for detectors of one number. */
export function plainNumber(x: number): number {
  if (x - x !== 0) return Number.NaN;
  return Math.min(Math.max(x, -HUGE), HUGE);
}

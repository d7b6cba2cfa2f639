import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { DriftDetector } from "../core/detector.js";
import { integerOption, numberOption } from "../core/errors.js";
import { plainNumber } from "../core/features.js";

export interface AdwinOptions {
  /** Bound on the chance of a false cut at one test, in (0, 1). @default 0.002 */
  delta?: number;
  /** Test once in this many values. @default 32 */
  clock?: number;
  /** Buckets a row holds before its two oldest merge. @default 5 */
  maxBuckets?: number;
  /** Values a part must have before it is compared. @default 5 */
  minWindow?: number;
  /** No test until the window holds more values than this. @default 10 */
  gracePeriod?: number;
}

export interface Adwin extends DriftDetector {
  /** Mean of the values now in the window; 0 when it is empty. */
  readonly mean: number;
  /** Sum of the values in the window. */
  readonly total: number;
  /** Sum of squared deviations from the mean in the window (divide by `width` for the variance). */
  readonly deviation: number;
}

const ROWS = 48; // row i holds buckets of 2^i values: 2^48 values outlive any stream

const VALUES_IN_BUCKET = Float64Array.from({ length: ROWS }, (_, row) => 2 ** row);

/**
 * ADWIN: a window that grows while the data keep their mean and drops its old part when two parts differ.
 *
 * Fires on exactly the values on which River's ADWIN fires (all buckets visited; one oldest bucket dropped per cut;
 * a fresh detector from the value after a detection).
 * Score:  |difference of means| / bound at the split of the last test that came closest to a cut (0 when none came
 *         near); above 1 exactly on detection.
 * State:  O(maxBuckets log width). Cost O(1) a value, O(maxBuckets log width) once in `clock` values.
 * Errors: AD_OPTION_INVALID, AD_STATE_INVALID.
 * Source: Bifet & Gavalda, "Learning from time-changing data with adaptive windowing", SDM 2007; River 0.26.
 */
export function adwin(options: AdwinOptions = {}): Adwin {
  return new AdwinWindow(options);
}

class AdwinWindow implements Adwin {
  readonly kind = "adwin";
  width = 0;
  total = 0;
  deviation = 0;
  score: number | undefined;
  private readonly delta: number;
  private readonly clock: number;
  private readonly maxBuckets: number;
  private readonly minWindow: number;
  private readonly gracePeriod: number;
  private readonly optionText: string;
  /** Values since the last test was due. */
  private tick = 0;
  /** Range of the values since the last detection: while it is a point nothing can have changed. */
  private lowest = Number.POSITIVE_INFINITY;
  private highest = Number.NEGATIVE_INFINITY;
  private fired = false;
  private rows = 1;
  /** Buckets of row r at r * stride, oldest first. */
  private readonly stride: number;
  private readonly count = new Int32Array(ROWS);
  private readonly sum: Float64Array;
  private readonly spread: Float64Array;

  constructor(options: AdwinOptions) {
    this.delta = numberOption("delta", options.delta ?? 0.002, Number.MIN_VALUE, 1);
    this.clock = integerOption("clock", options.clock ?? 32, 1);
    this.maxBuckets = integerOption("maxBuckets", options.maxBuckets ?? 5, 1, 1024);
    this.minWindow = integerOption("minWindow", options.minWindow ?? 5, 1);
    this.gracePeriod = integerOption("gracePeriod", options.gracePeriod ?? 10, 0);
    this.optionText = JSON.stringify([this.delta, this.clock, this.maxBuckets, this.minWindow, this.gracePeriod]);
    this.stride = this.maxBuckets + 1;
    this.sum = new Float64Array(ROWS * this.stride);
    this.spread = new Float64Array(ROWS * this.stride);
  }

  get mean(): number {
    return this.width === 0 ? 0 : this.total / this.width;
  }

  update(x: number): boolean {
    const value = plainNumber(x);
    if (Number.isNaN(value)) return false;
    if (this.fired) this.reset();
    this.insert(value);
    if (value < this.lowest) this.lowest = value;
    if (value > this.highest) this.highest = value;
    if (++this.tick < this.clock) return false;
    this.tick = 0;
    if (this.width <= this.gracePeriod) return false;
    if (this.lowest === this.highest)
      this.score = 0; // and rounding of huge sums must not say otherwise
    else this.fired = this.cut();
    return this.fired;
  }

  private reset(): void {
    this.width = this.total = this.deviation = this.tick = 0;
    this.lowest = Number.POSITIVE_INFINITY;
    this.highest = Number.NEGATIVE_INFINITY;
    this.rows = 1;
    this.count.fill(0);
    this.sum.fill(0);
    this.spread.fill(0);
    this.fired = false;
    this.score = undefined;
  }

  private insert(value: number): void {
    const at = this.count[0] as number;
    this.count[0] = at + 1;
    this.sum[at] = value;
    this.spread[at] = 0;
    if (this.width > 0) {
      const gap = value - this.total / this.width;
      this.deviation += (this.width * gap * gap) / (this.width + 1);
    }
    this.width++;
    this.total += value;
    if (at + 1 === this.stride) this.compress();
  }

  private compress(): void {
    const { stride, count, sum, spread } = this;
    for (let row = 0; (count[row] as number) === stride && row + 1 < ROWS; row++) {
      const base = row * stride;
      const n = VALUES_IN_BUCKET[row] as number;
      const u1 = sum[base] as number;
      const u2 = sum[base + 1] as number;
      const gap = u1 / n - u2 / n;
      const to = (row + 1) * stride + (count[row + 1] as number);
      sum[to] = u1 + u2;
      spread[to] = (spread[base] as number) + (spread[base + 1] as number) + (n / 2) * gap * gap;
      count[row + 1] = (count[row + 1] as number) + 1;
      count[row] = stride - 2;
      // A handful of moves: a loop is several times faster than two calls of copyWithin.
      for (let i = base; i < base + stride - 2; i++) {
        sum[i] = sum[i + 2] as number;
        spread[i] = spread[i + 2] as number;
      }
      if (row + 1 === this.rows) this.rows++;
    }
  }

  /** Drops the oldest bucket while any split differs; true if one did. */
  private cut(): boolean {
    let found = false;
    let most = 0;
    for (;;) {
      const ratio = this.largestRatio();
      if (ratio > most) most = ratio;
      if (!(ratio > 1)) break;
      found = true;
      this.dropOldest();
    }
    this.score = most;
    return found;
  }

  /**
   * Walks the splits from the oldest bucket on; stops at the first that differs, as the reference does.
   *
   * |gap| > sqrt(b m) + a m is looked for as (|gap| - a m)^2 > b m, which needs no root; the formula itself decides
   * about the split that comes closest, and about any that may pass.
   */
  private largestRatio(): number {
    const { stride, count, sum, minWindow, width, total } = this;
    const risk = Math.log((2 * Math.log(width)) / this.delta);
    const a = (2 / 3) * risk;
    const b = (2 * risk * this.deviation) / width;
    const nearly = b * (1 - 1e-9);
    let n0 = 0;
    let u0 = 0;
    let most = 0;
    let mostAt = 0;
    let mostSum = 0;
    for (let row = this.rows - 1; row >= 0; row--) {
      const n = VALUES_IN_BUCKET[row] as number;
      const end = row * stride + (count[row] as number) - (row === 0 ? 1 : 0); // the newest value is never alone
      for (let i = row * stride; i < end; i++) {
        n0 += n;
        u0 += sum[i] as number;
        const n1 = width - n0;
        if (n0 < minWindow || n1 < minWindow) continue;
        const m = 1 / (n0 - minWindow + 1) + 1 / (n1 - minWindow + 1);
        const beyond = Math.abs(u0 / n0 - (total - u0) / n1) - a * m;
        if (!(beyond > 0)) continue;
        const squared = (beyond * beyond) / m;
        if (squared <= most) continue;
        most = squared;
        mostAt = n0;
        mostSum = u0;
        if (squared < nearly) continue;
        const ratio = this.ratioAt(n0, u0, risk);
        if (ratio > 1) return ratio;
      }
    }
    return mostAt === 0 ? 0 : Math.min(this.ratioAt(mostAt, mostSum, risk), 1);
  }

  /** |difference of the means| / bound when the `n0` oldest values, of sum `u0`, are split off. */
  private ratioAt(n0: number, u0: number, risk: number): number {
    const { minWindow, width, total } = this;
    const n1 = width - n0;
    const m = 1 / (n0 - minWindow + 1) + 1 / (n1 - minWindow + 1);
    const mean0 = u0 / n0;
    const mean1 = (total - u0) / n1;
    const gap = Math.abs(mean0 - mean1);
    // What rounding alone can make of equal means: without it 1e15 +- 0.1 would "change".
    const rounding = width * Number.EPSILON * (Math.abs(mean0) + Math.abs(mean1));
    const bound = Math.max(Math.sqrt(2 * m * (this.deviation / width) * risk) + (2 / 3) * risk * m, rounding);
    return gap > bound ? Math.max(gap / bound, 1 + Number.EPSILON) : Math.min(gap / bound, 1);
  }

  private dropOldest(): void {
    const row = this.rows - 1;
    const base = row * this.stride;
    const n = VALUES_IN_BUCKET[row] as number;
    const u = this.sum[base] as number;
    this.width -= n;
    this.total -= u;
    const gap = u / n - this.total / this.width;
    this.deviation -= (this.spread[base] as number) + (n * this.width * gap * gap) / (n + this.width);
    const left = (this.count[row] as number) - 1;
    this.count[row] = left;
    this.sum.copyWithin(base, base + 1, base + left + 1);
    this.spread.copyWithin(base, base + 1, base + left + 1);
    while (this.rows > 1 && this.count[this.rows - 1] === 0) this.rows--;
  }

  memoryBytes(): number {
    return this.sum.byteLength * 2 + this.count.byteLength + 64;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText);
    to.f64(this.width).f64(this.total).f64(this.deviation).f64(this.tick).bool(this.fired).optional(this.score);
    to.f64(this.lowest).f64(this.highest).u32(this.rows);
    for (let row = 0; row < this.rows; row++) {
      const base = row * this.stride;
      const end = base + (this.count[row] as number);
      to.f64s(this.sum, base, end).f64s(this.spread, base, end);
    }
    return to.done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.reset();
    this.width = from.f64();
    this.total = from.f64();
    this.deviation = from.f64();
    this.tick = from.f64();
    this.fired = from.bool();
    this.score = from.optional();
    this.lowest = from.f64();
    this.highest = from.f64();
    this.rows = from.u32();
    for (let row = 0; row < this.rows; row++) {
      const base = row * this.stride;
      this.count[row] = from.f64s(this.sum.subarray(base, base + this.stride));
      from.f64s(this.spread.subarray(base, base + this.stride));
    }
    from.done();
  }
}

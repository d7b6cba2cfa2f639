import { ByteReader, ByteWriter } from "../core/bytes.js";
import { AnomalyError, numberOption } from "../core/errors.js";
import { driftScore, type ErrorDriftDetector, errorOf } from "./error-rate.js";

export interface HddmOptions {
  /** Chance of a false change, in (0, 1). @default 0.001 */
  driftConfidence?: number;
  /** Chance of a false warning, in (0, 1). @default 0.005 */
  warningConfidence?: number;
  /** True: a falling mean is a change too. @default false */
  twoSided?: boolean;
}

export interface HddmWOptions extends HddmOptions {
  /** Weight of the newest value, in (0, 1]. @default 0.05 */
  lambda?: number;
}

/**
 * HDDM-A: the mean since the best cut differs from the mean before it by more than Hoeffding's inequality allows.
 * For abrupt changes; needs no distribution, only values in [0, 1].
 *
 * In:     numbers, clamped to [0, 1]; NaN and Infinity are ignored. Score: difference / bound. Starts anew after firing.
 * State:  six numbers, O(1) a value.
 * Errors: AD_OPTION_INVALID, AD_STATE_INVALID.
 * Source: Frias-Blanco et al., IEEE TKDE 27(3), 2015; fires where River 0.26 fires.
 */
export function hddmA(options: HddmOptions = {}): ErrorDriftDetector {
  return new HddmA(options);
}

/**
 * HDDM-W: as `hddmA` with exponentially weighted means and McDiarmid's inequality. For gradual changes.
 * State: twelve numbers, O(1) a value. Source: the same paper; fires where River 0.26 fires.
 */
export function hddmW(options: HddmWOptions = {}): ErrorDriftDetector {
  return new HddmW(options);
}

function confidences(options: HddmOptions): { drift: number; warning: number; twoSided: boolean } {
  const drift = numberOption("driftConfidence", options.driftConfidence ?? 0.001, 1e-300, 1);
  const warning = numberOption("warningConfidence", options.warningConfidence ?? 0.005, 1e-300, 1);
  if (warning < drift)
    throw new AnomalyError(
      "AD_OPTION_INVALID",
      `warningConfidence must be at least driftConfidence, got ${warning} and ${drift}`,
    );
  return { drift, warning, twoSided: options.twoSided ?? false };
}

class HddmA implements ErrorDriftDetector {
  readonly kind = "hddmA";
  width = 0;
  score: number | undefined;
  warning = false;
  private readonly drift: number;
  private readonly warningAt: number;
  private readonly twoSided: boolean;
  private readonly optionText: string;
  private mean = 0;
  /** Mean and count up to the cut from which a rise, or a fall, is measured. */
  private lowMean = 0;
  private lowCount = 0;
  private highMean = 0;
  private highCount = 0;
  private fired = false;

  constructor(options: HddmOptions) {
    const { drift, warning, twoSided } = confidences(options);
    this.drift = drift;
    this.warningAt = warning;
    this.twoSided = twoSided;
    this.optionText = JSON.stringify([drift, warning, twoSided]);
  }

  update(x: number): boolean {
    const value = errorOf(x);
    if (Number.isNaN(value)) return false;
    if (this.fired) this.reset();
    this.width++;
    this.mean += (1 / this.width) * (value - this.mean);
    const bound = this.bound(this.width);
    if (this.lowCount === 0 || this.lowMean + this.bound(this.lowCount) >= this.mean + bound) {
      this.lowMean = this.mean;
      this.lowCount = this.width;
    }
    if (this.highCount === 0 || this.highMean - this.bound(this.highCount) <= this.mean - bound) {
      this.highMean = this.mean;
      this.highCount = this.width;
    }
    const up = this.mean - this.lowMean;
    const down = this.highMean - this.mean;
    this.fired = this.lowCount < this.width && up >= this.gap(this.lowCount, this.drift);
    this.warning = !this.fired && this.lowCount < this.width && up >= this.gap(this.lowCount, this.warningAt);
    if (this.twoSided && this.highCount < this.width) {
      if (down >= this.gap(this.highCount, this.drift)) this.fired = true;
      else if (down >= this.gap(this.highCount, this.warningAt)) this.warning = true;
    }
    const rise = this.lowCount < this.width ? up / this.gap(this.lowCount, this.drift) : 0;
    const fall = this.twoSided && this.highCount < this.width ? down / this.gap(this.highCount, this.drift) : 0;
    this.score = driftScore(Math.max(rise, fall), 1, this.fired);
    return this.fired;
  }

  /** Hoeffding's bound of a mean of n values. */
  private bound(n: number): number {
    return Math.sqrt((1 / (2 * n)) * Math.log(1 / this.drift));
  }

  /** How far the mean of all may lie from that of the first n. */
  private gap(n: number, confidence: number): number {
    const m = ((this.width - n) / n) * (1 / this.width);
    return Math.sqrt((m / 2) * Math.log(2 / confidence));
  }

  private reset(): void {
    this.width = this.mean = this.lowMean = this.lowCount = this.highMean = this.highCount = 0;
    this.fired = this.warning = false;
    this.score = undefined;
  }

  memoryBytes(): number {
    return 112;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText);
    to.f64(this.width).f64(this.mean).f64(this.lowMean).f64(this.lowCount).f64(this.highMean).f64(this.highCount);
    return to.bool(this.fired).bool(this.warning).optional(this.score).done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.width = from.f64();
    this.mean = from.f64();
    this.lowMean = from.f64();
    this.lowCount = from.f64();
    this.highMean = from.f64();
    this.highCount = from.f64();
    this.fired = from.bool();
    this.warning = from.bool();
    this.score = from.optional();
    from.done();
  }
}

/** An exponentially weighted mean and the sum of squared weights behind it; `seen` is 0 before a value. */
interface Weighted {
  mean: number;
  bound: number;
  seen: number;
}

class HddmW implements ErrorDriftDetector {
  readonly kind = "hddmW";
  width = 0;
  score: number | undefined;
  warning = false;
  private readonly drift: number;
  private readonly warningAt: number;
  private readonly twoSided: boolean;
  private readonly lambda: number;
  private readonly optionText: string;
  private readonly total: Weighted = { mean: 0, bound: 1, seen: 0 };
  private readonly lowBefore: Weighted = { mean: 0, bound: 1, seen: 0 };
  private readonly lowSince: Weighted = { mean: 0, bound: 1, seen: 0 };
  private readonly highBefore: Weighted = { mean: 0, bound: 1, seen: 0 };
  private readonly highSince: Weighted = { mean: 0, bound: 1, seen: 0 };
  private lowCut = Number.POSITIVE_INFINITY;
  private highCut = Number.NEGATIVE_INFINITY;
  private fired = false;

  constructor(options: HddmWOptions) {
    const { drift, warning, twoSided } = confidences(options);
    this.drift = drift;
    this.warningAt = warning;
    this.twoSided = twoSided;
    this.lambda = numberOption("lambda", options.lambda ?? 0.05, Number.MIN_VALUE, 1);
    this.optionText = JSON.stringify([drift, warning, twoSided, this.lambda]);
  }

  update(x: number): boolean {
    const value = errorOf(x);
    if (Number.isNaN(value)) return false;
    if (this.fired) this.reset();
    this.width++;
    this.add(this.total, value);
    const bound = this.bound(this.total.bound, this.drift);
    if (this.total.mean + bound < this.lowCut) {
      this.lowCut = this.total.mean + bound;
      this.cut(this.lowBefore, this.lowSince);
    } else this.add(this.lowSince, value);
    if (this.total.mean - bound > this.highCut) {
      this.highCut = this.total.mean - bound;
      this.cut(this.highBefore, this.highSince);
    } else this.add(this.highSince, value);
    const rise = this.ratio(this.lowBefore, this.lowSince, this.drift);
    const fall = this.twoSided ? this.ratio(this.highSince, this.highBefore, this.drift) : 0;
    this.fired = rise > 1;
    this.warning = !this.fired && this.ratio(this.lowBefore, this.lowSince, this.warningAt) > 1;
    if (this.twoSided) {
      if (fall > 1) this.fired = true;
      else if (this.ratio(this.highSince, this.highBefore, this.warningAt) > 1) this.warning = true;
    }
    this.score = driftScore(Math.max(rise, fall), 1, this.fired);
    return this.fired;
  }

  private add(to: Weighted, value: number): void {
    const { lambda } = this;
    to.mean = to.seen === 0 ? value : lambda * value + (1 - lambda) * to.mean;
    to.bound = lambda * lambda + (1 - lambda) ** 2 * to.bound;
    to.seen = 1;
  }

  private cut(before: Weighted, since: Weighted): void {
    before.mean = this.total.mean;
    before.bound = this.total.bound;
    before.seen = 1;
    since.mean = 0;
    since.bound = 1;
    since.seen = 0;
  }

  private bound(squares: number, confidence: number): number {
    return Math.sqrt((squares * Math.log(1 / confidence)) / 2);
  }

  /** (mean of b - mean of a) / bound; above 1 is a change. 0 while one of them is empty. */
  private ratio(a: Weighted, b: Weighted, confidence: number): number {
    if (a.seen === 0 || b.seen === 0) return 0;
    const gap = b.mean - a.mean;
    const bound = this.bound(a.bound + b.bound, confidence);
    return gap > bound ? Math.max(gap / bound, 1 + Number.EPSILON) : Math.min(gap / bound, 1);
  }

  private reset(): void {
    this.width = 0;
    for (const part of this.parts()) {
      part.mean = 0;
      part.bound = 1;
      part.seen = 0;
    }
    this.lowCut = Number.POSITIVE_INFINITY;
    this.highCut = Number.NEGATIVE_INFINITY;
    this.fired = this.warning = false;
    this.score = undefined;
  }

  private parts(): Weighted[] {
    return [this.total, this.lowBefore, this.lowSince, this.highBefore, this.highSince];
  }

  memoryBytes(): number {
    return 320;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText);
    to.f64(this.width).f64(this.lowCut).f64(this.highCut);
    for (const { mean, bound, seen } of this.parts()) to.f64(mean).f64(bound).u32(seen);
    return to.bool(this.fired).bool(this.warning).optional(this.score).done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.width = from.f64();
    this.lowCut = from.f64();
    this.highCut = from.f64();
    for (const part of this.parts()) {
      part.mean = from.f64();
      part.bound = from.f64();
      part.seen = from.u32();
    }
    this.fired = from.bool();
    this.warning = from.bool();
    this.score = from.optional();
    from.done();
  }
}

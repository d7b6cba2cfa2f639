import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { DriftDetector } from "../core/detector.js";
import { AnomalyError, integerOption, numberOption } from "../core/errors.js";

/** Watches the errors of a model: 1 for a wrong answer, 0 for a right one. */
export interface ErrorDriftDetector extends DriftDetector {
  /** The errors look worse than usual, but not yet like a change. */
  readonly warning: boolean;
}

export interface DdmOptions {
  /** Answers before it judges. @default 30 */
  warmUp?: number;
  /** Standard deviations above the best error rate that are a warning. @default 2 */
  warningThreshold?: number;
  /** ... that are a change. @default 3 */
  driftThreshold?: number;
}

export interface EddmOptions {
  /** Answers, and errors, before it judges. @default 30 */
  warmUp?: number;
  /** Share of the longest typical distance between errors below which it warns. @default 0.95 */
  alpha?: number;
  /** ... below which it fires, at most `alpha`. @default 0.9 */
  beta?: number;
}

/** `statistic / limit` made to agree with what the detector decided. */
export function driftScore(statistic: number, limit: number, fired: boolean): number {
  const ratio = limit > 0 ? Math.min(statistic / limit, Number.MAX_VALUE) : 0;
  return fired ? Math.max(ratio, 1 + Number.EPSILON) : Math.max(Math.min(ratio, 1), 0);
}

/** An error as a number in [0, 1]; NaN for what is missing. */
export function errorOf(x: number): number {
  return x - x !== 0 ? Number.NaN : Math.min(Math.max(x, 0), 1);
}

/**
 * DDM: the error rate, with its spread, has risen too far above its best. For abrupt changes.
 *
 * In:     errors in [0, 1]; NaN and Infinity are ignored. Score: rise / allowed rise. Starts anew after firing.
 * State:  six numbers, O(1) an answer.
 * Errors: AD_OPTION_INVALID, AD_STATE_INVALID.
 * Source: Gama et al., "Learning with drift detection", SBIA 2004; fires where River 0.26 fires.
 */
export function ddm(options: DdmOptions = {}): ErrorDriftDetector {
  return new Ddm(options);
}

/**
 * EDDM: the distance between errors, with its spread, has shrunk too far below its longest. For gradual changes.
 *
 * In:     errors; 1 is an error, anything less is none; NaN and Infinity are ignored. Score: beta / (share of the longest).
 * State:  seven numbers, O(1) an answer. Starts anew after firing.
 * Errors: AD_OPTION_INVALID, AD_STATE_INVALID.
 * Source: Baena-Garcia et al., "Early drift detection method", 2006; fires where River 0.26 fires.
 */
export function eddm(options: EddmOptions = {}): ErrorDriftDetector {
  return new Eddm(options);
}

class Ddm implements ErrorDriftDetector {
  readonly kind = "ddm";
  width = 0;
  score: number | undefined;
  warning = false;
  private readonly warmUp: number;
  private readonly warningThreshold: number;
  private readonly driftThreshold: number;
  private readonly optionText: string;
  private rate = 0;
  private bestRate = 0;
  private bestSpread = Number.POSITIVE_INFINITY;
  private fired = false;

  constructor(options: DdmOptions) {
    this.warmUp = integerOption("warmUp", options.warmUp ?? 30, 0);
    this.warningThreshold = numberOption("warningThreshold", options.warningThreshold ?? 2, 0);
    this.driftThreshold = numberOption("driftThreshold", options.driftThreshold ?? 3, 0);
    this.optionText = JSON.stringify([this.warmUp, this.warningThreshold, this.driftThreshold]);
  }

  update(x: number): boolean {
    const error = errorOf(x);
    if (Number.isNaN(error)) return false;
    if (this.fired) this.reset();
    this.width++;
    this.rate += (1 / this.width) * (error - this.rate);
    const spread = Math.sqrt(Math.max((this.rate * (1 - this.rate)) / this.width, 0));
    if (this.width <= this.warmUp) return false;
    const level = this.rate + spread;
    if (level <= this.bestRate + this.bestSpread) {
      this.bestRate = this.rate;
      this.bestSpread = spread;
    }
    this.fired = level > this.bestRate + this.driftThreshold * this.bestSpread;
    this.warning = !this.fired && level > this.bestRate + this.warningThreshold * this.bestSpread;
    this.score = driftScore(level - this.bestRate, this.driftThreshold * this.bestSpread, this.fired);
    return this.fired;
  }

  private reset(): void {
    this.width = this.rate = this.bestRate = 0;
    this.bestSpread = Number.POSITIVE_INFINITY;
    this.fired = this.warning = false;
    this.score = undefined;
  }

  memoryBytes(): number {
    return 96;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText);
    to.f64(this.width).f64(this.rate).f64(this.bestRate).f64(this.bestSpread);
    return to.bool(this.fired).bool(this.warning).optional(this.score).done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.width = from.f64();
    this.rate = from.f64();
    this.bestRate = from.f64();
    this.bestSpread = from.f64();
    this.fired = from.bool();
    this.warning = from.bool();
    this.score = from.optional();
    from.done();
  }
}

class Eddm implements ErrorDriftDetector {
  readonly kind = "eddm";
  width = 0;
  score: number | undefined;
  warning = false;
  private readonly warmUp: number;
  private readonly alpha: number;
  private readonly beta: number;
  private readonly optionText: string;
  private lastError = 0;
  private errors = 0;
  private mean = 0;
  private squares = 0;
  private longest = -1;
  private fired = false;

  constructor(options: EddmOptions) {
    this.warmUp = integerOption("warmUp", options.warmUp ?? 30, 0);
    this.alpha = numberOption("alpha", options.alpha ?? 0.95, Number.MIN_VALUE, 1);
    this.beta = numberOption("beta", options.beta ?? 0.9, Number.MIN_VALUE, 1);
    if (this.alpha < this.beta)
      throw new AnomalyError("AD_OPTION_INVALID", `alpha must be at least beta, got ${this.alpha} and ${this.beta}`);
    this.optionText = JSON.stringify([this.warmUp, this.alpha, this.beta]);
  }

  update(x: number): boolean {
    const error = errorOf(x);
    if (Number.isNaN(error)) return false;
    if (this.fired) this.reset();
    this.width++;
    if (error < 1) return false;
    this.errors++;
    const distance = this.width - this.lastError;
    this.lastError = this.width;
    const before = this.mean;
    this.mean += (1 / this.errors) * (distance - this.mean);
    this.squares += (distance - before) * (distance - this.mean);
    if (this.width <= this.warmUp) return false;
    const spread = this.errors > 1 ? Math.sqrt(this.squares / (this.errors - 1)) : 0;
    const typical = this.mean + 2 * spread;
    if (typical > this.longest) this.longest = typical;
    else if (this.errors > this.warmUp) {
      const share = typical / this.longest;
      this.fired = share < this.beta;
      this.warning = this.fired ? this.warning : share < this.alpha;
      this.score = driftScore(this.beta, share, this.fired);
    }
    return this.fired;
  }

  private reset(): void {
    this.width = this.lastError = this.errors = this.mean = this.squares = 0;
    this.longest = -1;
    this.fired = this.warning = false;
    this.score = undefined;
  }

  memoryBytes(): number {
    return 112;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText);
    to.f64(this.width).f64(this.lastError).f64(this.errors).f64(this.mean).f64(this.squares).f64(this.longest);
    return to.bool(this.fired).bool(this.warning).optional(this.score).done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.width = from.f64();
    this.lastError = from.f64();
    this.errors = from.f64();
    this.mean = from.f64();
    this.squares = from.f64();
    this.longest = from.f64();
    this.fired = from.bool();
    this.warning = from.bool();
    this.score = from.optional();
    from.done();
  }
}

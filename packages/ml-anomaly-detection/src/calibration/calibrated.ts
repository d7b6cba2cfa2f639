import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Detector, Input } from "../core/detector.js";
import { AnomalyError, integerOption, numberOption } from "../core/errors.js";
import { SortedWindow } from "../core/sorted-window.js";
import { type Spot, spot } from "./spot.js";

/** A fixed boundary on the raw score, in its units. */
export interface FixedBoundary {
  threshold: number;
}

/** A boundary that follows the raw scores: their quantile over the last `window` of them. */
export interface QuantileBoundary {
  /** In (0, 1): 0.999 flags about one in a thousand. */
  quantile: number;
  /** Raw scores remembered. @default 10 / (1 - quantile), at least 100 */
  window?: number;
}

/** A boundary from extreme-value theory (`spot` on the raw scores): for risks too small for a quantile of what was seen. */
export interface RiskBoundary {
  /** Chance that an unchanged row is flagged, in (0, 0.1]: 288 rows a day and an alarm a week is 5e-4. */
  risk: number;
  /** Raw scores before the first boundary. @default 1000 */
  warmUp?: number;
}

export interface CalibrationOptions {
  boundary: FixedBoundary | QuantileBoundary | RiskBoundary;
  /** False: a flagged row is not learned, so an anomaly never becomes normal; nor does a lasting change. @default true */
  learnFlagged?: boolean;
}

/** A detector whose scores mean the same whatever it measures: see `calibrated`. */
export interface CalibratedDetector extends Detector {
  /** Calibrated score of a raw one under the boundary of this moment; `undefined` while there is none. */
  calibrate(raw: number): number | undefined;
  /** The boundary on the raw score now; `undefined` while warming up. */
  readonly threshold: number | undefined;
  /** The raw score behind the last score returned. */
  readonly raw: number | undefined;
}

/**
 * Gives a detector scores with one meaning: in (0, 1), 0.5 is the boundary, above 0.5 exactly when the raw score is
 * above the boundary, and strictly increasing in the raw score (as far as doubles can tell: 709 powers of e lie between
 * 0.5 and 0.9993, so it never saturates at 1).
 *
 * Formula: u = (raw - boundary) / scale, c = 0.5 + 0.5 sign(u) L / (1 + L) with L = ln(1 + |u|). The scale is the
 *          boundary's distance from the median (quantile boundary), or |boundary| (fixed, risk).
 * State:   the detector's, and `window` raw scores for a quantile boundary, or those of `spot`.
 * Errors:  AD_OPTION_INVALID, AD_STATE_INVALID.
 */
export function calibrated(detector: Detector, options: CalibrationOptions): CalibratedDetector {
  return new Calibrated(detector, options);
}

/** The formula of `calibrated`. `scale` must be positive. */
export function calibratedScore(raw: number, boundary: number, scale: number): number {
  const u = (raw - boundary) / scale;
  const spread = Math.log1p(Math.min(Math.abs(u), Number.MAX_VALUE));
  const half = (0.5 * spread) / (1 + spread);
  if (raw > boundary) return Math.max(0.5 + half, JUST_FLAGGED);
  return 0.5 - half;
}

const JUST_FLAGGED = 0.5 + Number.EPSILON / 2; // the next double above 0.5

class Calibrated implements CalibratedDetector {
  readonly kind: string;
  readonly dimensions: number;
  raw: number | undefined;
  private readonly detector: Detector;
  private readonly learnFlagged: boolean;
  private readonly optionText: string;
  private readonly fixed: number | undefined;
  private readonly quantile: number;
  private readonly scores: SortedWindow;
  private readonly tail: Spot | undefined;
  /** Raw scores needed before the quantile means anything. */
  private readonly needed: number;

  constructor(detector: Detector, options: CalibrationOptions) {
    const { boundary } = options;
    this.detector = detector;
    this.kind = `calibrated(${detector.kind})`;
    this.dimensions = detector.dimensions;
    this.learnFlagged = options.learnFlagged ?? true;
    if ("threshold" in boundary) {
      if (!Number.isFinite(boundary.threshold))
        throw new AnomalyError("AD_OPTION_INVALID", `threshold must be finite, got ${boundary.threshold}`);
      this.fixed = boundary.threshold;
      this.quantile = Number.NaN;
      this.needed = 0;
      this.scores = new SortedWindow(0);
      this.tail = undefined;
    } else if ("risk" in boundary) {
      this.fixed = undefined;
      this.quantile = Number.NaN;
      this.needed = 0;
      this.scores = new SortedWindow(0);
      this.tail = spot(boundary);
    } else {
      this.tail = undefined;
      this.fixed = undefined;
      this.quantile = numberOption("quantile", boundary.quantile, 0.01, 1 - 1e-6);
      this.needed = Math.ceil(1 / (1 - this.quantile) - 1e-9);
      const window = boundary.window ?? Math.max(10 * this.needed, 100);
      this.scores = new SortedWindow(integerOption("window", window, this.needed, 10_000_000));
    }
    this.optionText = JSON.stringify([boundary, this.learnFlagged]);
  }

  get threshold(): number | undefined {
    if (this.fixed !== undefined) return this.fixed;
    if (this.tail !== undefined) return this.tail.threshold;
    return this.scores.size < this.needed ? undefined : this.scores.quantile(this.quantile);
  }

  calibrate(raw: number): number | undefined {
    const boundary = this.threshold;
    if (boundary === undefined) return undefined;
    const scale = this.scores.size > 0 ? boundary - this.scores.quantile(0.5) : Math.abs(boundary);
    return calibratedScore(raw, boundary, scale > 0 ? scale : 1);
  }

  scoreOne(x: Input): number | undefined {
    this.raw = this.detector.scoreOne(x);
    return this.raw === undefined ? undefined : this.calibrate(this.raw);
  }

  learnOne(x: Input): void {
    this.process(x);
  }

  process(x: Input): number | undefined {
    let score: number | undefined;
    if (this.learnFlagged) {
      this.raw = this.detector.process(x);
      score = this.raw === undefined ? undefined : this.calibrate(this.raw);
    } else {
      score = this.scoreOne(x);
      if (score === undefined || score <= 0.5) this.detector.learnOne(x);
    }
    // A flagged score counts too: without it the quantile would creep down to what it flags.
    if (this.fixed === undefined && this.raw !== undefined) {
      if (this.tail !== undefined) this.tail.learnOne(this.raw);
      else this.scores.add(this.raw);
    }
    return score;
  }

  explain(x: Input): Float64Array {
    return this.detector.explain(x);
  }

  memoryBytes(): number {
    return this.detector.memoryBytes() + this.scores.memoryBytes() + (this.tail?.memoryBytes() ?? 0) + 64;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText);
    this.scores.save(to);
    if (this.tail !== undefined) to.blob(this.tail.save());
    return to.blob(this.detector.save()).done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    const mine = new SortedWindow(this.scores.capacity);
    mine.load(from);
    const tail = this.tail === undefined ? undefined : from.blob();
    this.detector.load(from.blob()); // first what may fail
    from.done();
    const again = new ByteReader(bytes, this.kind, this.optionText);
    this.scores.load(again);
    if (tail !== undefined) this.tail?.load(tail);
    this.raw = undefined;
  }
}

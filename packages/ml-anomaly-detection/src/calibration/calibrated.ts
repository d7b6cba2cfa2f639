import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Detector, Input } from "../core/detector.js";
import { AnomalyError, integerOption, numberOption } from "../core/errors.js";
import { SortedWindow } from "../core/sorted-window.js";

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

export interface CalibrationOptions {
  boundary: FixedBoundary | QuantileBoundary;
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
 *          boundary's distance from the median (quantile boundary), or |boundary| (fixed).
 * State:   the detector's, and `window` raw scores for a quantile boundary.
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
    } else {
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
    return this.scores.size < this.needed ? undefined : this.scores.quantile(this.quantile);
  }

  calibrate(raw: number): number | undefined {
    const boundary = this.threshold;
    if (boundary === undefined) return undefined;
    const scale = this.fixed === undefined ? boundary - this.scores.quantile(0.5) : Math.abs(boundary);
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
    if (this.fixed === undefined && this.raw !== undefined) this.scores.add(this.raw);
    return score;
  }

  explain(x: Input): Float64Array {
    return this.detector.explain(x);
  }

  memoryBytes(): number {
    return this.detector.memoryBytes() + this.scores.memoryBytes() + 64;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText);
    this.scores.save(to);
    return to.blob(this.detector.save()).done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    const mine = new SortedWindow(this.scores.capacity);
    mine.load(from);
    this.detector.load(from.blob()); // first what may fail
    from.done();
    const again = new ByteReader(bytes, this.kind, this.optionText);
    this.scores.load(again);
    this.raw = undefined;
  }
}

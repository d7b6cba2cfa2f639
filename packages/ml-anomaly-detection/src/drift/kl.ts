import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { DriftDetector } from "../core/detector.js";
import { integerOption, numberOption } from "../core/errors.js";
import { plainNumber } from "../core/features.js";
import { chiSquareQuantile } from "../core/special.js";

export interface KlDriftOptions {
  /** Values a comparison takes. @default 52 */
  window?: number;
  /** @default 5 */
  bins?: number;
  /** Chance of a false change at one comparison, in (0, 1). @default 0.01 */
  alpha?: number;
  /** Values from which the bin edges (their quantiles) are learned. @default 4 windows */
  warmUp?: number;
  /** Distributions remembered as usual; beyond it the one that matched longest ago is forgotten. @default 8 */
  hypotheses?: number;
}

const SMOOTHING = 0.5; // added to every count: an empty bin would make the divergence infinite

/**
 * Kullback-Leibler drift: each full window of values, binned, is compared with every distribution met before; it fires
 * when it matches none, and is a new usual distribution from then on. A return to an old one is no change.
 *
 * Test:   2 n KL(window || hypothesis) against the chi-square quantile of bins - 1 degrees, widened by 1 + n / m for a
 *         hypothesis that itself was learned from m values only.
 * Score:  smallest statistic / its limit at the last comparison; above 1 exactly when it fired.
 * State:  warm-up values, then bins x hypotheses counts. O(bins) a value, O(bins x hypotheses) a window.
 * Errors: AD_OPTION_INVALID, AD_STATE_INVALID.
 * Source: Wang et al., "Statistical techniques for online anomaly detection in data centers", IM 2011.
 */
export function klDrift(options: KlDriftOptions = {}): DriftDetector {
  return new KlDrift(options);
}

class KlDrift implements DriftDetector {
  readonly kind = "klDrift";
  width = 0;
  score: number | undefined;
  private readonly window: number;
  private readonly bins: number;
  private readonly limit: number;
  private readonly room: number;
  private readonly optionText: string;
  private readonly early: Float64Array;
  private gathered = 0;
  private readonly edges: Float64Array;
  private readonly counts: Float64Array;
  private filled = 0;
  /** Counts of the hypotheses, one after another, and the comparison at which each last matched. */
  private readonly known: Float64Array;
  private readonly matched: Float64Array;
  private hypotheses = 0;
  private comparisons = 0;

  constructor(options: KlDriftOptions) {
    this.window = integerOption("window", options.window ?? 52, 8, 1_000_000);
    this.bins = integerOption("bins", options.bins ?? 5, 2, 256);
    const alpha = numberOption("alpha", options.alpha ?? 0.01, 1e-12, 0.5);
    const warmUp = integerOption("warmUp", options.warmUp ?? 4 * this.window, this.bins, 10_000_000);
    this.room = integerOption("hypotheses", options.hypotheses ?? 8, 1, 1024);
    this.optionText = JSON.stringify([this.window, this.bins, alpha, warmUp, this.room]);
    this.limit = chiSquareQuantile(alpha, this.bins - 1);
    this.early = new Float64Array(warmUp);
    this.edges = new Float64Array(this.bins - 1);
    this.counts = new Float64Array(this.bins);
    this.known = new Float64Array(this.bins * this.room);
    this.matched = new Float64Array(this.room);
  }

  update(x: number): boolean {
    const value = plainNumber(x);
    if (Number.isNaN(value)) return false;
    this.width++;
    if (this.gathered < this.early.length) {
      this.early[this.gathered++] = value;
      if (this.gathered === this.early.length) this.learnEdges();
      return false;
    }
    const bin = this.binOf(value);
    this.counts[bin] = (this.counts[bin] as number) + 1;
    if (++this.filled < this.window) return false;
    const fired = this.compare();
    this.counts.fill(0);
    this.filled = 0;
    if (fired) this.width = 0;
    return fired;
  }

  /** Edges at the quantiles of the warm-up, whose values are the first hypothesis. */
  private learnEdges(): void {
    const sorted = this.early.slice().sort(); // once in a detector's life
    for (let i = 1; i < this.bins; i++)
      this.edges[i - 1] = sorted[Math.min(Math.ceil((i * sorted.length) / this.bins) - 1, sorted.length - 1)] as number;
    for (let i = 0; i < this.early.length; i++) {
      const bin = this.binOf(this.early[i] as number);
      this.known[bin] = (this.known[bin] as number) + 1;
    }
    this.hypotheses = 1;
  }

  private binOf(value: number): number {
    let bin = 0;
    while (bin < this.bins - 1 && value > (this.edges[bin] as number)) bin++;
    return bin;
  }

  private compare(): boolean {
    let nearest = -1;
    let least = Number.POSITIVE_INFINITY;
    for (let h = 0; h < this.hypotheses; h++) {
      const ratio = this.distanceTo(h);
      if (ratio < least) {
        least = ratio;
        nearest = h;
      }
    }
    this.score = least;
    this.comparisons++;
    const fired = least > 1;
    if (fired) nearest = this.placeForNew();
    for (let bin = 0, at = nearest * this.bins; bin < this.bins; bin++, at++)
      this.known[at] = (this.known[at] as number) + (this.counts[bin] as number);
    this.matched[nearest] = this.comparisons;
    return fired;
  }

  private distanceTo(hypothesis: number): number {
    const { bins, counts, known, window } = this;
    const base = hypothesis * bins;
    let m = 0;
    for (let bin = 0; bin < bins; bin++) m += known[base + bin] as number;
    let divergence = 0;
    for (let bin = 0; bin < bins; bin++) {
      const p = ((counts[bin] as number) + SMOOTHING) / (window + SMOOTHING * bins);
      const q = ((known[base + bin] as number) + SMOOTHING) / (m + SMOOTHING * bins);
      divergence += p * Math.log(p / q);
    }
    return (2 * window * Math.max(divergence, 0)) / (this.limit * (1 + window / m));
  }

  private placeForNew(): number {
    let place = this.hypotheses;
    if (place < this.room) this.hypotheses++;
    else {
      place = 0;
      for (let h = 1; h < this.room; h++) if ((this.matched[h] as number) < (this.matched[place] as number)) place = h;
    }
    this.known.fill(0, place * this.bins, (place + 1) * this.bins);
    return place;
  }

  memoryBytes(): number {
    return (
      (this.early.length + this.edges.length + this.counts.length + this.known.length + this.matched.length) * 8 + 96
    );
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText);
    const learning = this.gathered < this.early.length;
    to.f64(this.width)
      .optional(this.score)
      .u32(this.gathered)
      .u32(this.filled)
      .u32(this.hypotheses)
      .f64(this.comparisons);
    if (learning) return to.f64s(this.early, 0, this.gathered).done();
    return to.f64s(this.edges).f64s(this.counts).f64s(this.known).f64s(this.matched).done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.width = from.f64();
    this.score = from.optional();
    this.gathered = from.u32();
    this.filled = from.u32();
    this.hypotheses = from.u32();
    this.comparisons = from.f64();
    for (const part of [this.edges, this.counts, this.known, this.matched]) part.fill(0);
    if (this.gathered < this.early.length) from.f64s(this.early);
    else for (const part of [this.edges, this.counts, this.known, this.matched]) from.f64s(part);
    from.done();
  }
}

import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Detector, Input } from "../core/detector.js";
import { integerOption } from "../core/errors.js";
import { type FeatureOption, FeatureReader } from "../core/features.js";
import { Random } from "../core/random.js";
import { GrowingHistograms } from "./histograms.js";

export interface LodaOptions {
  /** Number of features, or their names. @default 1 */
  features?: FeatureOption;
  /** Random projections, a histogram each. @default 100 */
  projections?: number;
  /** Bins of a histogram, even. @default 10 */
  bins?: number;
  /** Rows before scores appear. @default 100 */
  warmUp?: number;
  /** @default 1 */
  seed?: number;
}

/**
 * Loda: the mean, over sparse random projections, of how improbable the projected row is in a histogram of all rows so
 * far. Bins double in width when a value falls outside, so nothing needs to be known of the range.
 *
 * Score:   -ln of the density, averaged: may be negative; in [-1000, 1000]. Calibrate by quantile. It forgets nothing:
 *          for streams whose level stays.
 * Missing: projections that read the feature are left out, in scoring and in learning; `undefined` when none is left.
 * Explain: one-tailed t-test of the projections that read a feature against those that do not.
 * State:   projections x (bins + 3 + 2 sqrt(features)) numbers; O(projections x sqrt(features)) a row.
 * Errors:  AD_OPTION_INVALID, AD_INPUT_INVALID, AD_STATE_INVALID.
 * Source:  Pevny, "Loda: Lightweight on-line detector of anomalies", Machine Learning 102, 2016.
 */
export function loda(options: LodaOptions = {}): Detector {
  return new Loda(options);
}

class Loda implements Detector {
  readonly kind = "loda";
  readonly dimensions: number;
  private readonly reader: FeatureReader;
  private readonly projections: number;
  /** Features each projection reads. */
  private readonly terms: number;
  private readonly warmUp: number;
  private readonly optionText: string;
  private readonly feature: Int32Array;
  private readonly weight: Float64Array;
  private readonly histograms: GrowingHistograms;
  private rows = 0;
  /** Of the row looked at last: its projections, NaN where a feature was missing. */
  private readonly projected: Float64Array;
  private readonly shares: Float64Array;

  constructor(options: LodaOptions) {
    this.reader = new FeatureReader(options.features, true);
    const d = this.reader.dimensions;
    this.dimensions = d;
    this.projections = integerOption("projections", options.projections ?? 100, 1, 100_000);
    const bins = 2 * integerOption("bins / 2", (options.bins ?? 10) / 2, 1, 5_000);
    this.warmUp = integerOption("warmUp", options.warmUp ?? 100, 2, 1_000_000);
    const seed = options.seed ?? 1;
    this.optionText = JSON.stringify([this.reader.describe(), this.projections, bins, this.warmUp, seed]);
    this.terms = Math.max(1, Math.floor(Math.sqrt(d)));
    this.feature = new Int32Array(this.projections * this.terms);
    this.weight = new Float64Array(this.projections * this.terms);
    this.histograms = new GrowingHistograms(this.projections, bins);
    this.projected = new Float64Array(this.projections);
    this.shares = new Float64Array(d);
    this.draw(new Random(seed));
  }

  private draw(random: Random): void {
    const order = Int32Array.from({ length: this.dimensions }, (_, f) => f);
    for (let p = 0; p < this.projections; p++)
      for (let i = 0; i < this.terms; i++) {
        const j = i + random.below(order.length - i);
        const chosen = order[j] as number;
        order[j] = order[i] as number;
        order[i] = chosen;
        this.feature[p * this.terms + i] = chosen;
        this.weight[p * this.terms + i] = random.normal();
      }
  }

  scoreOne(x: Input): number | undefined {
    this.project(this.reader.read(x));
    return this.score();
  }

  learnOne(x: Input): void {
    this.project(this.reader.read(x));
    this.learn();
  }

  process(x: Input): number | undefined {
    this.project(this.reader.read(x));
    const score = this.score();
    this.learn();
    return score;
  }

  private project(row: Float64Array): void {
    const { terms, feature, weight, projected } = this;
    for (let p = 0; p < projected.length; p++) {
      let sum = 0;
      for (let at = p * terms; at < (p + 1) * terms; at++)
        sum += (weight[at] as number) * (row[feature[at] as number] as number);
      projected[p] = sum;
    }
  }

  private score(): number | undefined {
    if (this.rows < this.warmUp) return undefined;
    let sum = 0;
    let read = 0;
    for (let p = 0; p < this.projections; p++) {
      const at = this.projected[p] as number;
      if (Number.isNaN(at)) continue;
      sum += this.histograms.surprise(p, at);
      read++;
    }
    return read === 0 ? undefined : sum / read;
  }

  private learn(): void {
    for (let p = 0; p < this.projections; p++) {
      const at = this.projected[p] as number;
      if (!Number.isNaN(at)) this.histograms.add(p, at);
    }
    this.rows++;
  }

  explain(x: Input): Float64Array {
    const { shares } = this;
    shares.fill(0);
    const score = this.scoreOne(x);
    if (score === undefined) return shares;
    if (shares.length === 1) return shares.fill(1);
    let total = 0;
    for (let f = 0; f < shares.length; f++) {
      shares[f] = Math.max(this.tStatistic(f), 0);
      total += shares[f] as number;
    }
    for (let f = 0; f < shares.length; f++) shares[f] = total > 0 ? (shares[f] as number) / total : 0;
    return shares;
  }

  /** Mean surprise of the projections that read a feature less that of the others, over its standard error. */
  private tStatistic(f: number): number {
    let [n, mean, squares, others, otherMean, otherSquares] = [0, 0, 0, 0, 0, 0];
    for (let p = 0; p < this.projections; p++) {
      const at = this.projected[p] as number;
      if (Number.isNaN(at)) continue;
      const surprise = this.histograms.surprise(p, at);
      if (this.feature.subarray(p * this.terms, (p + 1) * this.terms).includes(f)) {
        const gap = surprise - mean;
        mean += gap / ++n;
        squares += gap * (surprise - mean);
      } else {
        const gap = surprise - otherMean;
        otherMean += gap / ++others;
        otherSquares += gap * (surprise - otherMean);
      }
    }
    if (n < 2 || others < 2) return 0;
    const error = Math.sqrt(squares / (n - 1) / n + otherSquares / (others - 1) / others);
    return error > 0 ? (mean - otherMean) / error : 0;
  }

  memoryBytes(): number {
    return this.histograms.memoryBytes() + this.feature.length * 12 + this.projections * 8 + this.dimensions * 32;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText).f64(this.rows);
    this.histograms.save(to);
    return to.done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.rows = from.f64();
    this.histograms.load(from);
    from.done();
  }
}

import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Detector, Input } from "../core/detector.js";
import { integerOption, numberOption } from "../core/errors.js";
import { type FeatureOption, FeatureReader } from "../core/features.js";
import { largest, toShares } from "./largest.js";

export interface EwmaOptions {
  /** Number of features, or their names. @default 1 */
  features?: FeatureOption;
  /** The newest value weighs 2 / (span + 1). @default 100 */
  span?: number;
  /** Values of a feature before it is judged. @default 30 */
  warmUp?: number;
  /** The deviation is never taken below this, in units of the data: the resolution of the measurement. @default 1e-10 */
  resolution?: number;
}

/**
 * Distance from the exponentially weighted mean in exponentially weighted standard deviations: the cheapest detector
 * here, for values that are bell-shaped around a level that moves slowly.
 *
 * Score:   |x - mean| / max(deviation, resolution), from 0; the largest of the features. 3 to 4 is a usual boundary. An
 *          anomaly that is learned widens the deviation: `robustZ` minds less.
 * Missing: that feature is neither judged nor learned; `undefined` when no feature is.
 * State:   3 numbers a feature; O(features) a row.
 * Errors:  AD_OPTION_INVALID, AD_INPUT_INVALID, AD_STATE_INVALID.
 * Source:  Roberts 1959; the variance as West 1979 with exponential weights.
 */
export function ewma(options: EwmaOptions = {}): Detector {
  return new Ewma(options);
}

class Ewma implements Detector {
  readonly kind = "ewma";
  readonly dimensions: number;
  private readonly reader: FeatureReader;
  private readonly weight: number;
  private readonly warmUp: number;
  private readonly resolution: number;
  private readonly optionText: string;
  private readonly seen: Float64Array;
  private readonly mean: Float64Array;
  private readonly variance: Float64Array;
  private readonly z: Float64Array;

  constructor(options: EwmaOptions) {
    this.reader = new FeatureReader(options.features, true);
    const d = this.reader.dimensions;
    this.dimensions = d;
    const span = numberOption("span", options.span ?? 100, 1, 1e9);
    this.weight = 2 / (span + 1);
    this.warmUp = integerOption("warmUp", options.warmUp ?? 30, 2, 1_000_000);
    this.resolution = numberOption("resolution", options.resolution ?? 1e-10, 1e-100);
    this.optionText = JSON.stringify([this.reader.describe(), span, this.warmUp, this.resolution]);
    this.seen = new Float64Array(d);
    this.mean = new Float64Array(d);
    this.variance = new Float64Array(d);
    this.z = new Float64Array(d);
  }

  scoreOne(x: Input): number | undefined {
    this.judge(this.reader.read(x));
    return largest(this.z);
  }

  learnOne(x: Input): void {
    this.learn(this.reader.read(x));
  }

  process(x: Input): number | undefined {
    const row = this.reader.read(x);
    this.judge(row);
    const score = largest(this.z);
    this.learn(row);
    return score;
  }

  /** Each feature's z as a share of the sum of all. */
  explain(x: Input): Float64Array {
    this.judge(this.reader.read(x));
    return toShares(this.z);
  }

  private judge(row: Float64Array): void {
    for (let f = 0; f < this.dimensions; f++) {
      const deviation = Math.max(Math.sqrt(this.variance[f] as number), this.resolution);
      const z = Math.abs((row[f] as number) - (this.mean[f] as number)) / deviation;
      this.z[f] = (this.seen[f] as number) < this.warmUp ? Number.NaN : z;
    }
  }

  private learn(row: Float64Array): void {
    for (let f = 0; f < this.dimensions; f++) {
      const value = row[f] as number;
      if (Number.isNaN(value)) continue;
      const weight = this.seen[f] === 0 ? 1 : this.weight;
      const gap = value - (this.mean[f] as number);
      this.mean[f] = (this.mean[f] as number) + weight * gap;
      this.variance[f] = (1 - weight) * ((this.variance[f] as number) + weight * gap * gap);
      this.seen[f] = (this.seen[f] as number) + 1;
    }
  }

  memoryBytes(): number {
    return this.dimensions * 8 * 6 + 64;
  }

  save(): Uint8Array {
    return new ByteWriter(this.kind, this.optionText).f64s(this.seen).f64s(this.mean).f64s(this.variance).done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    from.f64s(this.seen);
    from.f64s(this.mean);
    from.f64s(this.variance);
    from.done();
  }
}

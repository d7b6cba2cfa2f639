import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Detector, Input } from "../core/detector.js";
import { integerOption } from "../core/errors.js";
import { type FeatureOption, FeatureReader } from "../core/features.js";
import { distances, type Metric, metricOption } from "../lof/metric.js";

export interface KnnDistanceOptions {
  /** Number of features, or their names. @default 1 */
  features?: FeatureOption;
  /** How many of the last rows are "normal", up to 100,000. @default 256 */
  window?: number;
  /** The distance to the how-manieth nearest row is the score. @default 5 */
  neighbours?: number;
  /** @default "euclidean" */
  metric?: Metric;
  /** Rows learned before scores appear, at least `neighbours`. @default neighbours + 1 */
  warmUp?: number;
}

/**
 * Distance to the k-th nearest of the last `window` rows.
 *
 * Score:   in units of the data, from 0; no natural boundary: calibrate by quantile. Knows one density for all rows:
 *          where clusters differ in density take `slidingLof`.
 * Missing: the last learned value of that feature.
 * State:   window x features numbers. O(window x features) a score, O(features) to learn.
 * Errors:  AD_OPTION_INVALID, AD_INPUT_INVALID, AD_STATE_INVALID.
 * Source:  Ramaswamy, Rastogi & Shim, SIGMOD 2000.
 */
export function knnDistance(options: KnnDistanceOptions = {}): Detector {
  return new KnnDistance(options);
}

class KnnDistance implements Detector {
  readonly kind = "knnDistance";
  readonly dimensions: number;
  private readonly reader: FeatureReader;
  private readonly window: number;
  private readonly k: number;
  private readonly metric: Metric;
  private readonly warmUp: number;
  private readonly optionText: string;
  private rows = 0;
  private readonly points: Float64Array;
  private readonly toX: Float64Array;
  /** The k smallest distances, rising, and the slots they lead to. */
  private readonly nearest: Float64Array;
  private readonly nearestSlot: Int32Array;
  private readonly shares: Float64Array;

  constructor(options: KnnDistanceOptions) {
    this.reader = new FeatureReader(options.features);
    this.dimensions = this.reader.dimensions;
    this.window = integerOption("window", options.window ?? 256, 1, 100_000);
    this.k = integerOption("neighbours", options.neighbours ?? 5, 1, this.window);
    this.metric = metricOption(options.metric ?? "euclidean");
    this.warmUp = integerOption("warmUp", options.warmUp ?? Math.min(this.k + 1, this.window), this.k, this.window);
    this.optionText = JSON.stringify([this.reader.describe(), this.window, this.k, this.metric, this.warmUp]);
    this.points = new Float64Array(this.window * this.dimensions);
    this.toX = new Float64Array(this.window);
    this.nearest = new Float64Array(this.k);
    this.nearestSlot = new Int32Array(this.k);
    this.shares = new Float64Array(this.dimensions);
  }

  scoreOne(x: Input): number | undefined {
    return this.score(this.reader.read(x));
  }

  learnOne(x: Input): void {
    this.learn(this.reader.learn(x));
  }

  process(x: Input): number | undefined {
    const row = this.reader.learn(x);
    const score = this.score(row);
    this.learn(row);
    return score;
  }

  /** Each feature's share of the way to the k-th neighbour: of the squared way for the euclidean metric. */
  explain(x: Input): Float64Array {
    const { shares, dimensions } = this;
    shares.fill(0);
    const row = this.reader.read(x);
    const score = this.score(row);
    if (score === undefined || score === 0) return shares;
    const at = (this.nearestSlot[this.k - 1] as number) * dimensions;
    let most = 0;
    for (let f = 0; f < dimensions; f++) {
      shares[f] = Math.abs((row[f] as number) - (this.points[at + f] as number));
      most = Math.max(most, shares[f] as number);
    }
    let total = 0;
    for (let f = 0; f < dimensions; f++) {
      const part = (shares[f] as number) / most;
      if (this.metric === "chebyshev") shares[f] = part === 1 ? 1 : 0;
      else shares[f] = this.metric === "euclidean" ? part * part : part;
      total += shares[f] as number;
    }
    for (let f = 0; f < dimensions; f++) shares[f] = (shares[f] as number) / total;
    return shares;
  }

  private score(row: Float64Array): number | undefined {
    const size = Math.min(this.rows, this.window);
    if (size < this.warmUp) return undefined;
    const { toX, nearest, nearestSlot, k } = this;
    distances(this.metric, this.points, row, 0, size, toX);
    let held = 0;
    for (let slot = 0; slot < size; slot++) {
      const distance = toX[slot] as number;
      if (held === k && distance >= (nearest[k - 1] as number)) continue;
      let at = held < k ? held++ : k - 1;
      for (; at > 0 && (nearest[at - 1] as number) > distance; at--) {
        nearest[at] = nearest[at - 1] as number;
        nearestSlot[at] = nearestSlot[at - 1] as number;
      }
      nearest[at] = distance;
      nearestSlot[at] = slot;
    }
    return nearest[k - 1];
  }

  private learn(row: Float64Array): void {
    this.points.set(row, (this.rows % this.window) * this.dimensions);
    this.rows++;
  }

  memoryBytes(): number {
    return this.points.byteLength + this.toX.byteLength + 12 * this.k + 4 * 8 * this.dimensions + 64;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText);
    this.reader.save(to);
    return to
      .f64(this.rows)
      .f64s(this.points, 0, Math.min(this.rows, this.window) * this.dimensions)
      .done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.reader.load(from);
    this.rows = from.f64();
    from.f64s(this.points);
    from.done();
  }
}

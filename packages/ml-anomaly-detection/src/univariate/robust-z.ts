import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Detector, Input } from "../core/detector.js";
import { integerOption, numberOption } from "../core/errors.js";
import { type FeatureOption, FeatureReader } from "../core/features.js";
import { SortedWindow } from "../core/sorted-window.js";
import { largest, toShares } from "./largest.js";

export interface RobustZOptions {
  /** Number of features, or their names. @default 1 */
  features?: FeatureOption;
  /** Values of each feature remembered. @default 500 */
  window?: number;
  /** Values of a feature before it is judged. @default 30 */
  warmUp?: number;
  /** The spread is never taken below this, in units of the data: the resolution of the measurement. @default 1e-10 */
  resolution?: number;
}

/** Turns a median absolute deviation into the standard deviation of a bell-shaped distribution with as large a one. */
export const TO_DEVIATION = 1.4826;

/**
 * Distance from the median of the last `window` values, in robust standard deviations: half of the values may be
 * anomalous and the score still knows what is normal.
 *
 * Score:   |x - median| / max(1.4826 MAD, resolution), from 0; the largest of the features. 3.5 is a usual boundary.
 * Missing: that feature is neither judged nor learned; `undefined` when no feature is.
 * State:   2 x window numbers a feature. O(log window) a score, and memory moves within the window to learn.
 * Errors:  AD_OPTION_INVALID, AD_INPUT_INVALID, AD_STATE_INVALID.
 * Source:  Iglewicz & Hoaglin, "How to detect and handle outliers", 1993.
 */
export function robustZ(options: RobustZOptions = {}): Detector {
  return new RobustZ(options);
}

class RobustZ implements Detector {
  readonly kind = "robustZ";
  readonly dimensions: number;
  private readonly reader: FeatureReader;
  private readonly windows: readonly SortedWindow[];
  private readonly warmUp: number;
  private readonly resolution: number;
  private readonly optionText: string;
  private readonly z: Float64Array;

  constructor(options: RobustZOptions) {
    this.reader = new FeatureReader(options.features, true);
    this.dimensions = this.reader.dimensions;
    const window = integerOption("window", options.window ?? 500, 2, 1_000_000);
    this.warmUp = integerOption("warmUp", options.warmUp ?? Math.min(30, window), 2, window);
    this.resolution = numberOption("resolution", options.resolution ?? 1e-10, 1e-100);
    this.windows = Array.from({ length: this.dimensions }, () => new SortedWindow(window));
    this.optionText = JSON.stringify([this.reader.describe(), window, this.warmUp, this.resolution]);
    this.z = new Float64Array(this.dimensions);
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
      const window = this.windows[f] as SortedWindow;
      if (window.size < this.warmUp) this.z[f] = Number.NaN;
      else {
        const median = window.quantile(0.5);
        const spread = TO_DEVIATION * medianDeviation(window, median);
        this.z[f] = Math.abs((row[f] as number) - median) / Math.max(spread, this.resolution);
      }
    }
  }

  private learn(row: Float64Array): void {
    for (let f = 0; f < this.dimensions; f++) {
      const value = row[f] as number;
      if (!Number.isNaN(value)) (this.windows[f] as SortedWindow).add(value);
    }
  }

  memoryBytes(): number {
    return this.windows.reduce((sum, window) => sum + window.memoryBytes() + 24, 64);
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText);
    for (const window of this.windows) window.save(to);
    return to.done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    for (const window of this.windows) window.load(from);
    from.done();
  }
}

/** Median of |value - centre| over the window, `centre` being its median; O(log window). */
export function medianDeviation(window: SortedWindow, centre: number): number {
  const { size } = window;
  const split = window.below(centre);
  const upper = deviationAt(window, centre, split, size >> 1);
  return size % 2 === 1 ? upper : (upper + deviationAt(window, centre, split, (size >> 1) - 1)) / 2;
}

/**
 * The k-th smallest deviation, from 0. Below the centre deviations rise leftwards, above it rightwards: of two sorted
 * lists the k-th is found by how many of the first k + 1 the left one gives.
 */
function deviationAt(window: SortedWindow, centre: number, split: number, k: number): number {
  let low = Math.max(0, k + 1 - (window.size - split));
  let high = Math.min(k + 1, split);
  while (low < high) {
    const left = (low + high) >>> 1;
    const right = k + 1 - left;
    if (centre - window.at(split - 1 - left) < window.at(split + right - 1) - centre) low = left + 1;
    else high = left;
  }
  const fromLeft = low > 0 ? centre - window.at(split - low) : 0;
  const right = k + 1 - low;
  return Math.max(fromLeft, right > 0 ? window.at(split + right - 1) - centre : 0);
}

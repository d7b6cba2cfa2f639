import { type Detector, slidingLof } from "ml-anomaly-detection";
import type { ScoreModel } from "../engine/index.js";
import { emptyScale, learnScale, type RunningScale, scaled, usualRange } from "../features/running-scale.js";

export interface LofScoreOptions<V> {
  /** The vector of a value; undefined: it is neither scored nor learned. */
  readonly vectorOf: (value: V) => readonly number[] | undefined;
  /** Numbers in a vector. */
  readonly width: number;
  /** Vectors of a key that are "normal". */
  readonly window: number;
  readonly neighbours: number;
  /** Vectors of a key that must be learned before its first score. */
  readonly warmUp: number;
  /** An anomaly scores above this; 1 is ordinary. */
  readonly thresholdOf: (value: V) => number;
  /** And one of its numbers lies at least this many spreads from its mean: an alert must be able to say what is unusual. */
  readonly leastSpreads: number;
  /** Spreads are never taken to be smaller than this, in units of the vector. @default 1e-9 */
  readonly leastSpread?: number;
}

export interface LofScore {
  /** About 1 among what is usual, larger the more isolated the vector is. */
  readonly score: number;
  readonly isAnomaly: boolean;
  /** The number of the vector that stands out most, by its index. */
  readonly mostUnusual: number;
  /** What was usual for that number, before this vector was learned. */
  readonly usual: { readonly low: number; readonly high: number };
}

/** Rows that only teach the scale: distances mean nothing before each number's spread is roughly known. */
const SCALE_ROWS = 8;
/** Two vectors nearer than this, in spreads, are the same: without it repeats make every other value infinitely strange. */
const RESOLUTION = 0.5;

/**
 * Local outlier factor of a key's vectors among its last ones, each number measured in its own running spreads. For `score`.
 *
 * Scores before it learns, and learns anomalies too: what lasts becomes normal.
 * State:  per key `window` x `width` numbers and the scale. Cost O(window x width) a vector.
 * Errors: AD_OPTION_INVALID for options out of range.
 */
export function lofModel<V>(options: LofScoreOptions<V>): ScoreModel<V, LofScore> {
  const { width, window, neighbours, leastSpreads, leastSpread = 1e-9, vectorOf, thresholdOf } = options;
  const warmUp = Math.max(options.warmUp - SCALE_ROWS, neighbours + 1);
  const detector: Detector = slidingLof({ features: width, window, neighbours, warmUp, resolution: RESOLUTION });
  let scale = emptyScale(width, leastSpread);
  return {
    scoreOne(value) {
      const vector = vectorOf(value);
      if (vector === undefined || scale.count < SCALE_ROWS) return undefined;
      const row = scaled(scale, vector);
      const score = detector.scoreOne(row);
      if (score === undefined) return undefined;
      const mostUnusual = indexOfLargest(row.map(Math.abs));
      const isAnomaly = score > thresholdOf(value) && Math.abs(row[mostUnusual] as number) >= leastSpreads;
      return { score, isAnomaly, mostUnusual, usual: usualRange(scale, mostUnusual) };
    },
    learnOne(value) {
      const vector = vectorOf(value);
      if (vector === undefined) return;
      if (scale.count >= SCALE_ROWS) detector.learnOne(scaled(scale, vector));
      learnScale(scale, vector);
    },
    save: () => ({ scale, detector: detector.save() }),
    load(saved) {
      const state = saved as { scale: RunningScale; detector: Uint8Array };
      scale = state.scale;
      detector.load(state.detector);
    },
  };
}

function indexOfLargest(numbers: readonly number[]): number {
  let largest = 0;
  for (let i = 1; i < numbers.length; i++) if ((numbers[i] as number) > (numbers[largest] as number)) largest = i;
  return largest;
}

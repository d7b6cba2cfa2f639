import { type Detector, slidingLof } from "ml-anomaly-detection";
import { emptyScale, learnScale, type RunningScale, scaled, usualRange } from "../features/running-scale.js";
import { keyed } from "../keyed.js";
import type { Stateful } from "../state.js";

export interface LofScoreOptions {
  /** Numbers in a vector. */
  readonly width: number;
  /** Vectors of a key that are "normal". */
  readonly window: number;
  readonly neighbours: number;
  /** Vectors of a key that must be learned before its first score. */
  readonly warmUp: number;
  /** An anomaly scores above this; 1 is ordinary. */
  readonly threshold: number;
  /** And one of its numbers lies at least this many spreads from its mean: an alert must be able to say what is unusual. */
  readonly leastSpreads: number;
  /** Spreads are never taken to be smaller than this, in units of the vector. @default 1e-9 */
  readonly leastSpread?: number;
  readonly maxKeys: number;
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

export interface LofScorer extends Stateful {
  /** Scores the vector against its key's past, then learns it. Undefined while warming up. */
  process(key: string, timeMs: number, vector: readonly number[]): LofScore | undefined;
}

interface State {
  scale: RunningScale;
  readonly detector: Detector;
}

/** Rows that only teach the scale: distances mean nothing before each number's spread is roughly known. */
const SCALE_ROWS = 8;
/** Two vectors nearer than this, in spreads, are the same: without it repeats make every other value infinitely strange. */
const RESOLUTION = 0.5;

/**
 * Local outlier factor of a vector among the last vectors of its key, each number measured in its own running spreads.
 *
 * Scores before it learns, and learns anomalies too: what lasts becomes normal.
 * State:  per key `window` x `width` numbers and the scale; at most `maxKeys` keys. Cost O(window x width) a vector.
 * Errors: AD_OPTION_INVALID and MR_OPTION_INVALID for options out of range; MR_STATE_INCOMPATIBLE by the container on load.
 */
export function lofScorer(options: LofScoreOptions): LofScorer {
  const { width, window, neighbours, threshold, leastSpreads, leastSpread = 1e-9, maxKeys } = options;
  const warmUp = Math.max(options.warmUp - SCALE_ROWS, neighbours + 1);
  const create = (): State => ({
    scale: emptyScale(width, leastSpread),
    detector: slidingLof({ features: width, window, neighbours, warmUp, resolution: RESOLUTION }),
  });
  const states = keyed<State>({
    maxKeys,
    create,
    save: ({ scale, detector }) => ({ scale, detector: Buffer.from(detector.save()).toString("base64") }),
    load(saved) {
      const { scale, detector } = saved as { scale: RunningScale; detector: string };
      const state = create();
      state.scale = scale;
      state.detector.load(Buffer.from(detector, "base64"));
      return state;
    },
  });
  create(); // refuses wrong options now, not at the first event

  return {
    process(key, timeMs, vector) {
      const { scale, detector } = states.at(key, timeMs);
      let found: LofScore | undefined;
      if (scale.count >= SCALE_ROWS) {
        const row = scaled(scale, vector);
        const score = detector.scoreOne(row);
        if (score !== undefined) {
          const mostUnusual = indexOfLargest(row.map(Math.abs));
          const isAnomaly = score > threshold && Math.abs(row[mostUnusual] as number) >= leastSpreads;
          found = { score, isAnomaly, mostUnusual, usual: usualRange(scale, mostUnusual) };
        }
        detector.learnOne(row);
      }
      learnScale(scale, vector);
      return found;
    },
    save: () => states.save(),
    load: (state) => states.load(state as ReturnType<typeof states.save>),
  };
}

function indexOfLargest(numbers: readonly number[]): number {
  let largest = 0;
  for (let i = 1; i < numbers.length; i++) if ((numbers[i] as number) > (numbers[largest] as number)) largest = i;
  return largest;
}

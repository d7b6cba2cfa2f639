import type { Input } from "ml-anomaly-detection";
import type { ScoreModel } from "../engine/index.js";

/** What a detector must do to be run per key: every `Detector` of ml-anomaly-detection does it; some also want the time. */
export interface KeyedDetector {
  scoreOne(x: Input, timeMs?: number): number | undefined;
  learnOne(x: Input, timeMs?: number): void;
  /** Why a row scores as it does, before it is learned. */
  describe?(x: Input, timeMs?: number): string;
  save(): Uint8Array;
  load(bytes: Uint8Array): void;
}

export interface DetectorScoreOptions<V> {
  /** A new detector, the same one every time: a saved one is loaded into what this gives. */
  create(): KeyedDetector;
  readonly rowOf: (value: V) => Input;
  readonly timeMsOf: (value: V) => number;
  /** An anomaly scores above this; 0.5 is the boundary of calibrated scores. */
  readonly thresholdOf: (value: V) => number;
}

export interface DetectorScore {
  /** As the detector gave it. */
  readonly score: number;
  readonly isAnomaly: boolean;
  /** The detector's own words; only for an anomaly, and of a detector that has words. */
  readonly reason: string | undefined;
}

/**
 * A detector of the package as a model of `score`, whichever it is: its scores are those of the detector alone, bit for bit, also over
 * a restart.
 *
 * Order: rows of a key as they come; other keys do not matter.
 * State: what the detector keeps, saved as its own canonical bytes. Cost: one score and one lesson of the detector a row.
 * Errors: AD_OPTION_INVALID by `create`, AD_INPUT_INVALID for a row of the wrong shape, AD_STATE_INVALID on load.
 */
export function detectorModel<V>(options: DetectorScoreOptions<V>): ScoreModel<V, DetectorScore> {
  const { create, rowOf, timeMsOf, thresholdOf } = options;
  const detector = create();
  return {
    scoreOne(value) {
      const row = rowOf(value);
      const timeMs = timeMsOf(value);
      const score = detector.scoreOne(row, timeMs);
      if (score === undefined) return undefined;
      const isAnomaly = score > thresholdOf(value);
      return { score, isAnomaly, reason: isAnomaly ? detector.describe?.(row, timeMs) : undefined };
    },
    learnOne: (value) => detector.learnOne(rowOf(value), timeMsOf(value)),
    save: () => detector.save(),
    load: (saved) => detector.load(saved as Uint8Array),
  };
}

import type { Input } from "ml-anomaly-detection";
import { keyed } from "../keyed.js";
import type { Stateful } from "../state.js";

/** What a detector must do to be run per key: every `Detector` of ml-anomaly-detection does it; some also want the time. */
export interface KeyedDetector {
  scoreOne(x: Input, timeMs?: number): number | undefined;
  learnOne(x: Input, timeMs?: number): void;
  /** Why a row scores as it does, before it is learned. */
  describe?(x: Input, timeMs?: number): string;
  save(): Uint8Array;
  load(bytes: Uint8Array): void;
}

export interface DetectorScoreOptions {
  /** A new detector, the same one every time: a saved one is loaded into what this gives. */
  create(): KeyedDetector;
  /** An anomaly scores above this. @default 0.5, the boundary of calibrated scores */
  readonly threshold?: number;
  readonly maxKeys: number;
}

export interface DetectorScore {
  /** As the detector gave it. */
  readonly score: number;
  readonly isAnomaly: boolean;
  /** The detector's own words; only for an anomaly, and of a detector that has words. */
  readonly reason: string | undefined;
}

export interface DetectorScorer extends Stateful {
  /** Scores the row against its key's past, then learns it. Undefined while the detector warms up. */
  process(key: string, timeMs: number, row: Input): DetectorScore | undefined;
}

/**
 * One detector per key, whichever it is: its scores are those of the detector alone, bit for bit, also over a restart.
 *
 * Order: rows of a key as they come; other keys do not matter below the bound.
 * State: per key what the detector keeps, saved as its own canonical bytes in base64; at most `maxKeys` keys.
 * Cost:  one score and one lesson of the detector a row; a new detector for a new key.
 * Errors: AD_OPTION_INVALID by `create`, AD_INPUT_INVALID for a row of the wrong shape; MR_OPTION_INVALID for `maxKeys`;
 *         MR_STATE_INCOMPATIBLE by the container on load.
 */
export function detectorScorer({ create, threshold = 0.5, maxKeys }: DetectorScoreOptions): DetectorScorer {
  const detectors = keyed<KeyedDetector>({
    maxKeys,
    create,
    save: (detector) => Buffer.from(detector.save()).toString("base64"),
    load(saved) {
      const detector = create();
      detector.load(Buffer.from(saved as string, "base64"));
      return detector;
    },
  });
  create(); // refuses wrong options now, not at the first event

  return {
    process(key, timeMs, row) {
      const detector = detectors.at(key, timeMs);
      // Not process(): the reason must be asked for between the score and the lesson.
      const score = detector.scoreOne(row, timeMs);
      const isAnomaly = score !== undefined && score > threshold;
      const reason = isAnomaly ? detector.describe?.(row, timeMs) : undefined;
      detector.learnOne(row, timeMs);
      return score === undefined ? undefined : { score, isAnomaly, reason };
    },
    save: () => detectors.save(),
    load: (state) => detectors.load(state as ReturnType<typeof detectors.save>),
  };
}

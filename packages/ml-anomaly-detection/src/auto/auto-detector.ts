import type { Detector, Input } from "../core/detector.js";
import type { FeatureOption } from "../core/features.js";
import { Univariate } from "./univariate.js";

export interface AutoOptions {
  /** One feature: its name, or nothing. @default 1 */
  features?: FeatureOption;
}

/** A detector that may be told when a row happened: a daily period is looked for only then. */
export interface AutoDetector extends Detector {
  /** As `Detector`; `timeMs` is ms since the epoch. */
  scoreOne(x: Input, timeMs?: number): number | undefined;
  learnOne(x: Input, timeMs?: number): void;
  process(x: Input, timeMs?: number): number | undefined;
  explain(x: Input, timeMs?: number): Float64Array;
  /** One sentence: why this row scores as it does, before it is learned. */
  describe(x: Input, timeMs?: number): string;
}

/**
 * The detector for a user who does not choose: one parameter set, nothing to tune.
 *
 * How:     a row is as anomalous as its value is far from the nearest earlier value, compared with how far rows used to
 *          be (`Surprise`). Where a daily period is proven, the deviation from what is usual at this time of day is
 *          judged the same way and the larger of the two counts. One alarm per incident (`Incident`).
 * Score:   calibrated, in (0, 1): above 0.5 is an alarm. `undefined` for the first 100 rows and for a missing value,
 *          which is not learned either.
 * State:   below 200 KB. O(1) a row but for memory moves within 32 KB.
 * Source:  the novelty idea common to the leaders of the Numenta Anomaly Benchmark; see docs/NAB.md for each choice.
 */
export function autoDetector(options: AutoOptions = {}): AutoDetector {
  return new Univariate(options);
}

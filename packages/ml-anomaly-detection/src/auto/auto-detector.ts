import type { Detector, Input } from "../core/detector.js";
import type { FeatureOption } from "../core/features.js";
import { Multivariate } from "./multivariate.js";
import { Univariate } from "./univariate.js";

export interface AutoOptions {
  /** Number of features, or their names. @default 1 */
  features?: FeatureOption;
}

/** A detector that may be told when a row happened: a daily or weekly period is looked for only then. */
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
 * One:     a row is as anomalous as its value is far from the nearest earlier value, compared with how far rows used to
 *          be (`Surprise`). Where a daily or weekly period is proven, the deviation from what is usual at this time
 *          of it is judged the same way and the larger of the two counts. One alarm per incident (`Incident`).
 * Several: Mahalanobis distance of rows smoothed over 30, against the first 155 + 30 rows a feature, with a limit for
 *          so short a training (see `mahalanobis`); each row beyond it is flagged, the time is not used.
 * Score:   calibrated, in (0, 1): above 0.5 is an alarm. `undefined` for the first rows and, with one
 *          feature, for a missing value, which is not learned either.
 * State:   below 400 KB. O(1) a row but for memory moves within 32 KB.
 * Source:  the novelty idea common to the leaders of the Numenta Anomaly Benchmark; see docs/AUTO.md for each choice.
 */
export function autoDetector(options: AutoOptions = {}): AutoDetector {
  const { features } = options;
  const several = typeof features === "number" ? features !== 1 : features !== undefined && features.length !== 1;
  return several ? new Multivariate(options) : new Univariate(options);
}

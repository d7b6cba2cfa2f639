import { type AutoDetector, autoDetector } from "../src/index.js";

/** One value after another in, a score in [0, 1] out. All a detector gets to know of a series. */
export type NabDetector = (value: number, timeMs: number) => number | undefined;

/** Detectors that `bench:nab` can run, by name. Same parameters for every series. */
export const NAB_DETECTORS: Readonly<Record<string, () => NabDetector>> = {
  auto() {
    const detector: AutoDetector = autoDetector();
    return (value, timeMs) => detector.process(value, timeMs);
  },
};

/** Scores of a series, in one pass; 0 while the detector warms up. */
export function nabScores(
  make: () => NabDetector,
  values: ArrayLike<number>,
  timesMs: ArrayLike<number>,
): Float64Array {
  const detector = make();
  const scores = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) scores[i] = detector(values[i] as number, timesMs[i] as number) ?? 0;
  return scores;
}

import {
  type AutoDetector,
  autoDetector,
  calibrated,
  type Detector,
  halfSpaceTrees,
  isolationForest,
  randomCutForest,
  slidingLof,
  spot,
} from "../src/index.js";

/** One value after another in, a score in [0, 1] out. All a detector gets to know of a series. */
export type NabDetector = (value: number, timeMs: number) => number | undefined;

const RARE = { boundary: { quantile: 0.999 } } as const;

function onValues(make: () => Detector): () => NabDetector {
  return () => {
    const detector = make();
    return (value) => detector.process(value);
  };
}

/** Detectors that `bench:nab` can run, by name. Same parameters for every series. */
export const NAB_DETECTORS: Readonly<Record<string, () => NabDetector>> = {
  auto() {
    const detector: AutoDetector = autoDetector();
    return (value, timeMs) => detector.process(value, timeMs);
  },
  lof: onValues(() => calibrated(slidingLof({ window: 1024, resolution: 1e-3 }), RARE)),
  hst: onValues(() => calibrated(halfSpaceTrees(), RARE)),
  iforest: onValues(() => calibrated(isolationForest(), RARE)),
  rrcf: onValues(() => calibrated(randomCutForest({ shingle: 4 }), RARE)),
  spot: onValues(() => {
    const detector = spot({ depth: 200, warmUp: 150 });
    return calibrated(detector, { boundary: { threshold: detector.boundary } });
  }),
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

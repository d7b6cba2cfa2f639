import {
  autoDetector,
  calibrated,
  type Detector,
  halfSpaceTrees,
  isolationForest,
  pcaMonitor,
  randomCutForest,
  slidingLof,
} from "../src/index.js";

export const SKAB_SENSORS = [
  "Accelerometer1RMS",
  "Accelerometer2RMS",
  "Current",
  "Pressure",
  "Temperature",
  "Thermocouple",
  "Voltage",
  "Volume Flow RateRMS",
] as const;
const FITTING_ROWS = 400;
const UNUSUAL = { boundary: { quantile: 0.95, window: 300 }, learnFlagged: false } as const;

/** Detectors that `bench:skab` can run, by name: calibrated, so that 0.5 is the alarm. Same parameters for every run. */
export const SKAB_DETECTORS: Readonly<Record<string, () => Detector>> = {
  auto: () => autoDetector({ features: SKAB_SENSORS.length }),
  pca: () => calibrated(pcaMonitor({ features: 8, span: 30, train: 400 }), { boundary: { threshold: 1 } }),
  lof: () =>
    calibrated(slidingLof({ features: 8, window: 400 }), { boundary: { threshold: 1.5 }, learnFlagged: false }),
  hst: () => calibrated(halfSpaceTrees({ features: 8, window: 200 }), UNUSUAL),
  iforest: () => calibrated(isolationForest({ features: 8, window: 400, refit: 200 }), UNUSUAL),
  rrcf: () => calibrated(randomCutForest({ features: 8 }), UNUSUAL),
};

/** Scores of a run: 0 for the fitting rows, then one by one. */
export function skabScores(make: () => Detector, rows: readonly Float64Array[]): Float64Array {
  const detector = make();
  return Float64Array.from(rows, (row, i) => {
    const score = detector.process(row) ?? 0;
    return i < FITTING_ROWS ? 0 : score;
  });
}

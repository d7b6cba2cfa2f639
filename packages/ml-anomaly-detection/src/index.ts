export { type AlarmEvent, type AlarmLayer, type AlarmOptions, alarmLayer } from "./alarms/alarm-layer.js";
export { type AutoDetector, type AutoOptions, autoDetector } from "./auto/auto-detector.js";
export {
  type CalibratedDetector,
  type CalibrationOptions,
  calibrated,
  calibratedScore,
  type FixedBoundary,
  type QuantileBoundary,
  type RiskBoundary,
} from "./calibration/calibrated.js";
export { type Spot, type SpotOptions, spot } from "./calibration/spot.js";
export type { Detector, DriftDetector, Input, Stateful } from "./core/detector.js";
export { AnomalyError, type AnomalyErrorCode } from "./core/errors.js";
export type { FeatureOption } from "./core/features.js";
export { type Adwin, type AdwinOptions, adwin } from "./drift/adwin.js";
export { type DdmOptions, ddm, type EddmOptions, type ErrorDriftDetector, eddm } from "./drift/error-rate.js";
export { type HddmOptions, type HddmWOptions, hddmA, hddmW } from "./drift/hoeffding.js";
export { type KlDriftOptions, klDrift } from "./drift/kl.js";
export { type KswinOptions, kswin } from "./drift/kswin.js";
export { type MultivariateDrift, type MultivariateDriftOptions, multivariateDrift } from "./drift/multivariate.js";
export { type PageHinkleyOptions, pageHinkley } from "./drift/page-hinkley.js";
export { type PsiDriftOptions, psiDrift, stabilityIndex } from "./drift/psi.js";
export { type WassersteinDriftOptions, wassersteinDistance, wassersteinDrift } from "./drift/wasserstein.js";
export { type LofBatch, type LofNovelty, type LofOptions, lofBatch, lofNovelty } from "./lof/batch.js";
export type { Metric } from "./lof/metric.js";
export { type SlidingLofOptions, slidingLof } from "./lof/sliding.js";
export { type NabProfile, type NabResult, type NabSeries, nabScore } from "./metrics/nab.js";
export { type EventScores, eventScores, type PointScores, pointScores, rocAuc } from "./metrics/points.js";
export { type VusOptions, vusPr } from "./metrics/vus.js";
export { type MahalanobisOptions, mahalanobis } from "./multivariate/mahalanobis.js";
export { type PcaOptions, pcaMonitor } from "./multivariate/pca.js";
export { type KnnDistanceOptions, knnDistance } from "./neighbours/knn-distance.js";
export { type LodaOptions, loda } from "./projections/loda.js";
export { type RsHashOptions, rsHash } from "./projections/rs-hash.js";
export { type XStreamOptions, xStream } from "./projections/x-stream.js";
export { type HalfSpaceTreesOptions, halfSpaceTrees } from "./trees/half-space.js";
export {
  averagePathLength,
  type IsolationForest,
  type IsolationForestOptions,
  isolationForest,
  isolationForestBatch,
  type SlidingIsolationForestOptions,
} from "./trees/isolation.js";
export { type RandomCutForest, type RandomCutForestOptions, randomCutForest } from "./trees/random-cut.js";
export { type DiscordOptions, discord } from "./univariate/discord.js";
export { type EwmaOptions, ewma } from "./univariate/ewma.js";
export { type RobustZOptions, robustZ } from "./univariate/robust-z.js";
export { type SeasonalProfileOptions, seasonalProfile } from "./univariate/seasonal-profile.js";

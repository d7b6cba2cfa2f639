export { type IncidentOptions, type Incidents, incidents, type Sighting } from "./alerts/incidents.js";
export {
  type DetectorScore,
  type DetectorScoreOptions,
  type DetectorScorer,
  detectorScorer,
  type KeyedDetector,
} from "./anomaly/detector.js";
export { type LofScore, type LofScoreOptions, type LofScorer, lofScorer } from "./anomaly/lof-score.js";
export { type Dedupe, dedupe } from "./dedupe.js";
export { type Drift, type DriftOptions, type DriftWatch, driftWatch } from "./drift/adwin.js";
export { addWitness, type Extremes, evidenceOf, noExtremes, type Witness } from "./features/extremes.js";
export { addMoment, emptyMoments, type Moments, standardDeviation } from "./features/moments.js";
export { median, quantileOfSorted } from "./features/quantile.js";
export { type SensorWindow, sensorWindow } from "./features/sensor-window.js";
export { type Approvals, approvals } from "./github/approvals.js";
export { type Merge, type RepositoryDay, type RepositoryEvent, repositoryDay } from "./github/repository-day.js";
export { type Keyed, keyed } from "./keyed.js";
export { type FuelBalance, type FuelLedger, fuelLedger } from "./mine/fuel-ledger.js";
export { CYCLE_STEPS, type CycleStep, type HaulCycle, type HaulCycles, haulCycles } from "./mine/haul-cycles.js";
export { type LastHour, lastHour, type Measured, type MeasuredCycle } from "./mine/last-hour.js";
export { type ShovelWatch, type ShovelWatchOptions, type Silence, shovelWatch } from "./mine/shovel-watch.js";
export { type CycleEvent, type TruckWindow, truckWindow } from "./mine/truck-window.js";
export { loadState, type Stateful, saveState } from "./state.js";
export { type InOrder, inOrder } from "./time/in-order.js";
export { type SourceMarks, type SourceMarksOptions, sourceMarks, type Tick } from "./time/source-marks.js";
export { type StageMarks, stageMarks } from "./time/stage-marks.js";
export { type Aggregate, type Tumbling, tumbling, type WindowResult } from "./windows/tumbling.js";

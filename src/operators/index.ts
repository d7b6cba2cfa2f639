export { type DispatchNews, dispatcher } from "./alerts/dispatch.js";
export { type Clearance, type IncidentOptions, incidents, type Sighting } from "./alerts/incidents.js";
export { alarmLife, type LifeNews } from "./alerts/life.js";
export { type Labels, labelsOf, type Matcher, matchesAll, parseMatcher } from "./alerts/matchers.js";
export { alarmMetrics, type MetricsNews } from "./alerts/metrics.js";
export {
  type AlarmPolicy,
  DEFAULT_POLICY,
  type Inhibition,
  inhibitor,
  isSilenced,
  policyOf,
  type Route,
  type Routing,
  routesFor,
  type SilenceRule,
  WALL_ONLY,
} from "./alerts/routing.js";
export { parseTimeSpan, type TimeSpan } from "./alerts/time-spans.js";
export {
  type DetectorScore,
  type DetectorScoreOptions,
  detectorModel,
  type KeyedDetector,
} from "./anomaly/detector.js";
export { type LofScore, type LofScoreOptions, lofModel } from "./anomaly/lof-score.js";
export { type Drift, type DriftOptions, type DriftState, type DriftWatch, driftWatch } from "./drift/adwin.js";
export * from "./engine/index.js";
export { evidence, type Witness } from "./features/extremes.js";
export { addMoment, emptyMoments, type Moments, standardDeviation } from "./features/moments.js";
export { median, quantileOfSorted } from "./features/quantile.js";
export { type SensorValues, sensorValues, sensorWindow } from "./features/sensor-window.js";
export { type Approval, type ApprovalOptions, approvals } from "./github/approvals.js";
export {
  type Merge,
  type RepositoryDay,
  type RepositoryEvent,
  repositoryDay,
  repositoryWindow,
} from "./github/repository-day.js";
export { type FuelBalance, type FuelEvent, fuelLedger } from "./mine/fuel-ledger.js";
export { CYCLE_STEPS, type CycleStep, type HaulCycle, haulCycles } from "./mine/haul-cycles.js";
export {
  type LastHour,
  type Measured,
  type MeasuredCycle,
  measureHour,
  NOTHING_MEASURED,
  withCycle,
} from "./mine/last-hour.js";
export { type ShovelNews, type ShovelWatchOptions, type Silence, shovelWatch } from "./mine/shovel-watch.js";
export { type CycleEvent, truckValues, truckWindow } from "./mine/truck-window.js";
export { type Condition, type Leaf, NO_RULES, type Rule, type RuleSet, type Test } from "./rules/rule.js";
export { incidentKey, ruleIncidents } from "./rules/rule-incidents.js";
export { LONGEST_MS, type RuleInput, type RuleNews, ruleWatch, watchKey } from "./rules/rule-watch.js";

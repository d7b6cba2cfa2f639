import { HOUR_MS, type Origin } from "../../core/index.js";
import {
  type DriftState,
  driftWatch,
  type KeyedStream,
  type LofScore,
  lofModel,
  type ProcessFunction,
  type Results,
  type SensorValues,
  sensorValues,
  sensorWindow,
  tumbling,
  type WindowRow,
} from "../../operators/index.js";
import { type FeatureRow, type Finding, features, plain, report, type Speaker, severityOf } from "../report.js";
import { type Limited, limited, type Thresholds, thresholdOf } from "../thresholds.js";
import type { SensorValue } from "./sensor-input.js";
import { unitOf } from "./units.js";

const FEATURE = "sensor.window";
export const SENSOR_WINDOW_MS = HOUR_MS;
/** Sensors watched at once, per partition; a sensor is one value name of one group of one equipment. */
const MAX_SENSORS = 5_000;
const MEASURES = ["mean", "std", "min", "max"] as const;
const MEASURE_TEXT = { mean: "mean", std: "spread", min: "minimum", max: "maximum" } as const;
/** A week of hours is normal, judged after the first day. */
const UNUSUAL = { width: 4, window: 168, neighbours: 12, warmUp: 24, leastSpreads: 3 };
/** A test every 24 windows over at least a day on each side, so that the ordinary course of a day is no change of level. */
const LEVEL = driftWatch({ delta: 0.001, clock: 24, minWindow: 24, spread: "first" });
const QUIET_MS = 6 * HOUR_MS;

/** An hour of a sensor that is over. */
interface Hour {
  readonly site: string;
  readonly equipment: string;
  readonly group: string;
  readonly name: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly values: SensorValues;
  readonly evidence: readonly Origin[];
}

interface Judged {
  readonly hour: Hour;
  readonly threshold: number;
  readonly found: LofScore | undefined;
}

/** Any sensor: hourly level and spread, unusual hours, changes of level. */
export function sensors(
  values: KeyedStream<string, SensorValue>,
  speaker: Speaker,
  limits: Thresholds<"sensor-unusual">,
): void {
  const rule = { quietMs: QUIET_MS, maxKeys: MAX_SENSORS };
  const hours = values
    .window("sensorWindows", tumbling({ sizeMs: SENSOR_WINDOW_MS }))
    .aggregate(sensorWindow)
    .map(hourOf);
  const judged = limited(hours, limits, "sensor-unusual").score("sensorScores", {
    model: () =>
      lofModel<Limited<Hour>>({
        ...{ ...UNUSUAL, thresholdOf },
        vectorOf: ({ value: { values } }) => MEASURES.map((measure) => values[measure]),
      }),
    maxKeys: MAX_SENSORS,
    combine: ({ value: hour, threshold }, found) => ({ hour, threshold, found }),
  });
  judged.map(featureOf).to(features(speaker));
  report(judged.flatMap(unusualHour).values(), speaker, { ...rule, rule: "sensor-unusual" });
  report(hours.process("sensorLevels", levels).values(), speaker, { ...rule, rule: "sensor-level-changed" });
}

function hourOf(row: WindowRow<string, Results<typeof sensorWindow>>): Hour {
  const [site, equipment, group, name] = JSON.parse(row.key) as [string, string, string, string];
  const { startMs, endMs, evidence } = row;
  return { site, equipment, group, name, startMs, endMs, values: sensorValues(row), evidence };
}

const aboutOf = ({ site, equipment, group, name, startMs, endMs }: Hour) => ({
  ...{ feature: FEATURE, site, key: `${site}/${equipment}/${group}/${name}`, startMs, endMs },
  labels: { equipment, group, value: name },
});

function featureOf({ hour, found }: Judged): FeatureRow {
  const scores: Record<string, number> = found === undefined ? {} : { lof: found.score };
  return { ...aboutOf(hour), values: hour.values, scores };
}

function unusualHour({ hour, threshold, found }: Judged, emit: (finding: Finding) => void): void {
  if (!found?.isAnomaly) return;
  const { score, mostUnusual, usual: expected } = found;
  const { equipment, evidence } = hour;
  const { said, ofName } = wordsOf(hour);
  const measure = MEASURES[mostUnusual] as (typeof MEASURES)[number];
  const value = hour.values[measure];
  const usually = `usually ${said(expected.low)} to ${said(expected.high)}`;
  const about = aboutOf(hour);
  emit({
    ...about,
    labels: { ...about.labels, measure },
    ...{ detector: "lof", score, threshold, value, expected },
    severity: severityOf(score, threshold),
    title: `${equipment}: hourly ${MEASURE_TEXT[measure]}${ofName} ${said(value)}, ${usually}`,
    evidence,
  });
}

const levels: ProcessFunction<string, Hour, DriftState, Finding> = {
  ttlMs: Number.POSITIVE_INFINITY,
  maxKeys: MAX_SENSORS,
  init: () => LEVEL.fresh,
  onEvent(before, hour, at) {
    const { state, drift } = LEVEL.next(before, hour.values.mean);
    if (drift === undefined) return state;
    const { score, meanBefore, meanAfter: value } = drift;
    const { said, ofName } = wordsOf(hour);
    at.emit({
      ...aboutOf(hour),
      ...{ detector: "adwin", score, threshold: 1, value, expected: { low: meanBefore, high: meanBefore } },
      severity: "info",
      title: `${hour.equipment}: level${ofName} changed from ${said(meanBefore)} to ${said(value)}`,
      evidence: hour.evidence,
    });
    return state;
  },
};

function wordsOf({ name }: Hour): { readonly said: (value: number) => string; readonly ofName: string } {
  const unit = unitOf(name);
  return { said: (value) => `${plain(value)}${unit}`, ofName: name === "value" ? "" : ` of ${name}` };
}

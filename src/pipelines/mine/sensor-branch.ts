import { HOUR_MS } from "../../core/index.js";
import {
  driftWatch,
  incidents,
  lofScorer,
  type SensorWindow,
  sensorWindow,
  tumbling,
  type WindowResult,
} from "../../operators/index.js";
import { emitFeature, emitFinding, plain, type Speaker, sayTo, severityOf } from "../report.js";
import type { Branch } from "./branch.js";
import { unitOf } from "./units.js";

const FEATURE = "sensor.window";
/** Sensors watched at once, per partition; a sensor is one value name of one group of one equipment. */
const MAX_SENSORS = 5_000;
/** A week of hours is normal, judged after the first day. */
const UNUSUAL = {
  width: 4,
  window: 168,
  neighbours: 12,
  warmUp: 24,
  threshold: 1.8,
  leastSpreads: 3,
  maxKeys: MAX_SENSORS,
};
/** A test every 24 windows over at least a day on each side, so that the ordinary course of a day is no change of level. */
const LEVEL = { delta: 0.001, clock: 24, minWindow: 24, spread: "first" as const, maxKeys: MAX_SENSORS };
const QUIET_MS = 6 * HOUR_MS;
const MEASURES = ["mean", "std", "min", "max"] as const;
const MEASURE_TEXT = { mean: "mean", std: "spread", min: "minimum", max: "maximum" } as const;

/** Any sensor: hourly level and spread, unusual hours, changes of level. */
export function sensorBranch(speaker: Speaker): Branch {
  const windows = tumbling(HOUR_MS, sensorWindow);
  const unusual = lofScorer(UNUSUAL);
  const level = driftWatch(LEVEL);
  const rule = { pipeline: speaker.pipeline, domain: speaker.domain, quietMs: QUIET_MS, maxKeys: MAX_SENSORS };
  const unusualHours = incidents({ ...rule, rule: "sensor-unusual" });
  const levelChanges = incidents({ ...rule, rule: "sensor-level-changed" });

  function windowIsOver(
    { key, startMs, endMs, result }: WindowResult<SensorWindow>,
    emit: Parameters<Branch["advance"]>[1],
  ): void {
    const [site, equipment, group, name] = JSON.parse(key) as [string, string, string, string];
    const { values, evidence } = result;
    const found = unusual.process(
      key,
      endMs,
      MEASURES.map((measure) => values[measure]),
    );
    const scores: Record<string, number> = found === undefined ? {} : { lof: found.score };
    const labels = { equipment, group, value: name };
    const sensor = `${site}/${equipment}/${group}/${name}`;
    const window = { feature: FEATURE, site, key: sensor, startMs, endMs, labels };
    emitFeature(speaker, { ...window, values, scores }, emit);
    const unit = unitOf(name);
    const said = (value: number): string => `${plain(value)}${unit}`;
    const ofName = name === "value" ? "" : ` of ${name}`;
    if (found?.isAnomaly) {
      const { score, mostUnusual, usual: expected } = found;
      const measure = MEASURES[mostUnusual] as (typeof MEASURES)[number];
      const value = values[measure];
      const title = `${equipment}: hourly ${MEASURE_TEXT[measure]}${ofName} ${said(value)}, usually ${said(expected.low)} to ${said(expected.high)}`;
      const severity = severityOf(score, UNUSUAL.threshold);
      const finding = {
        ...window,
        labels: { ...labels, measure },
        detector: "lof",
        score,
        threshold: UNUSUAL.threshold,
        value,
        expected,
        severity,
        title,
        evidence,
      };
      emitFinding(speaker, finding, unusualHours, emit);
    }
    const drift = level.process(key, endMs, values.mean);
    if (drift === undefined) return;
    const { score, meanBefore, meanAfter: value } = drift;
    const title = `${equipment}: level${ofName} changed from ${said(meanBefore)} to ${said(value)}`;
    const expected = { low: meanBefore, high: meanBefore };
    emitFinding(
      speaker,
      { ...window, detector: "adwin", score, threshold: 1, value, expected, severity: "info", title, evidence },
      levelChanges,
      emit,
    );
  }

  return {
    operators: { sensorWindows: windows, sensorScores: unusual, sensorLevels: level, unusualHours, levelChanges },
    take({ eventId, reading, origin }) {
      const { site, equipment, group, tsMs, values } = reading;
      let lateByMs: number | undefined;
      for (const [name, value] of Object.entries(values)) {
        lateByMs ??= windows.add(JSON.stringify([site, equipment, group, name]), tsMs, {
          value,
          timeMs: tsMs,
          eventId,
          origin,
        });
      }
      return lateByMs;
    },
    advance(watermarkMs, emit) {
      windows.advance(watermarkMs, (result) => windowIsOver(result, emit));
      unusualHours.advance(watermarkMs, sayTo(speaker, emit));
      levelChanges.advance(watermarkMs, sayTo(speaker, emit));
    },
  };
}

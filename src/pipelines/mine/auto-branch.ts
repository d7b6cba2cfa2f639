import { autoDetector } from "ml-anomaly-detection";
import { HOUR_MS, type Severity } from "../../core/index.js";
import { detectorScorer, incidents } from "../../operators/index.js";
import { emitFinding, plain, type Speaker, sayTo } from "../report.js";
import type { Branch } from "./branch.js";
import { unitOf } from "./units.js";

const FEATURE = "sensor.reading";
/**
 * Sensors judged reading by reading, per partition: each costs a third of a megabyte, and up to a fifth of one in every snapshot, so
 * far fewer than get windows. With more of them taking turns none leaves its warm-up: no alerts rather than wrong ones.
 */
const MAX_SENSORS = 128;
/** Calibrated: above it the detector alarms, once per incident of its own. */
const THRESHOLD = 0.5;
/** Where the alarm layer of the package puts its second step: most alarms lie below. */
const WARNING = 0.7;
const QUIET_MS = 6 * HOUR_MS;
/** What an alert may say in one line. */
const TITLE_MAX = 120;

/**
 * Any sensor, reading by reading: one detector that needs no options for each value name of each group of each equipment.
 *
 * Readings of a sensor are judged as they come, no window waits for more; one whose hour is over does not belong here.
 */
export function autoBranch(speaker: Speaker): Branch {
  const { pipeline, domain } = speaker;
  const scores = detectorScorer({ create: autoDetector, threshold: THRESHOLD, maxKeys: MAX_SENSORS });
  const rule = "sensor-reading-unusual";
  const unusual = incidents({ pipeline, domain, rule, quietMs: QUIET_MS, maxKeys: MAX_SENSORS });
  return {
    operators: { readingScores: scores, unusualReadings: unusual },
    take({ reading, origin }, emit) {
      const { site, equipment, group, tsMs, values } = reading;
      for (const [name, value] of Object.entries(values)) {
        const found = scores.process(JSON.stringify([site, equipment, group, name]), tsMs, value);
        if (!found?.isAnomaly) continue;
        const { score, reason } = found;
        const finding = {
          detector: "auto",
          feature: FEATURE,
          site,
          key: `${site}/${equipment}/${group}/${name}`,
          startMs: tsMs,
          endMs: tsMs,
          score,
          threshold: THRESHOLD,
          value,
          expected: null,
          severity: severityOfReading(score),
          title: titleOf(equipment, name, value, reason),
          labels: { equipment, group, value: name },
          evidence: [origin],
        };
        emitFinding(speaker, finding, unusual, emit);
      }
      return undefined;
    },
    advance(watermarkMs, emit) {
      unusual.advance(watermarkMs, sayTo(speaker, emit));
    },
  };
}

/** One reading alone is never critical. */
export function severityOfReading(score: number): Severity {
  return score > WARNING ? "warning" : "info";
}

/** The detector's reason as far as it fits: without its surprise, then without its odds; else the value alone. */
export function titleOf(equipment: string, name: string, value: number, reason = ""): string {
  const what = name === "value" ? "" : `${name} `;
  const said = reason.replace(/ \(.*$/, "");
  const fitting = [said, said.replace(/;.*$/, "")]
    .filter((text) => text !== "")
    .map((text) => `${equipment}: ${what}${text}`)
    .find((title) => title.length <= TITLE_MAX);
  return fitting ?? `${equipment}: unusual reading ${what}${plain(value)}${unitOf(name)}`;
}

import { autoDetector } from "ml-anomaly-detection";
import { HOUR_MS, type Severity } from "../../core/index.js";
import { type At, type DetectorScore, detectorModel, type KeyedStream } from "../../operators/index.js";
import { type Finding, plain, report, type Speaker } from "../report.js";
import { type Limited, limited, type Thresholds, thresholdOf } from "../thresholds.js";
import type { SensorValue } from "./sensor-input.js";
import { SENSOR_WINDOW_MS } from "./sensors.js";
import { unitOf } from "./units.js";

const FEATURE = "sensor.reading";
/**
 * Sensors judged reading by reading, per partition: each costs a third of a megabyte, and up to a fifth of one in every snapshot, so
 * far fewer than get windows. With more of them taking turns none leaves its warm-up: no alerts rather than wrong ones.
 */
const MAX_SENSORS = 128;
/** Where the alarm layer of the package puts its second step: most alarms lie below. */
const WARNING = 0.7;
const QUIET_MS = 6 * HOUR_MS;
/** What an alert may say in one line. */
const TITLE_MAX = 120;

interface Judged {
  readonly reading: SensorValue;
  readonly threshold: number;
  readonly found: DetectorScore | undefined;
}

/**
 * Any sensor, reading by reading: one detector that needs no options for each value name of each group of each equipment.
 *
 * Readings of a sensor are judged as they come, no window waits for more; one whose hour is over does not belong here.
 */
export function readings(
  values: KeyedStream<string, SensorValue>,
  speaker: Speaker,
  limits: Thresholds<"sensor-reading-unusual">,
): void {
  const found = limited(values.filter(isInTime), limits, "sensor-reading-unusual")
    .score("readingScores", {
      model: () => {
        const rowOf = ({ value: { value } }: Limited<SensorValue>) => value;
        const timeMsOf = ({ value: { timeMs } }: Limited<SensorValue>) => timeMs;
        return detectorModel<Limited<SensorValue>>({ create: autoDetector, thresholdOf, rowOf, timeMsOf });
      },
      maxKeys: MAX_SENSORS,
      combine: ({ value: reading, threshold }, found) => ({ reading, threshold, found }),
    })
    .flatMap(unusualReading);
  report(found.values(), speaker, { rule: "sensor-reading-unusual", quietMs: QUIET_MS, maxKeys: MAX_SENSORS });
}

function isInTime({ timeMs }: SensorValue, { watermarkMs }: At): boolean {
  return (Math.floor(timeMs / SENSOR_WINDOW_MS) + 1) * SENSOR_WINDOW_MS > watermarkMs;
}

function unusualReading({ reading, threshold, found }: Judged, emit: (finding: Finding) => void): void {
  if (!found?.isAnomaly) return;
  const { site, equipment, group, name, value, timeMs, origin } = reading;
  const { score, reason } = found;
  emit({
    ...{ detector: "auto", feature: FEATURE, site, key: `${site}/${equipment}/${group}/${name}` },
    ...{ startMs: timeMs, endMs: timeMs, score, threshold, value, expected: null },
    ...{ severity: severityOfReading(score), title: titleOf(equipment, name, value, reason) },
    ...{ labels: { equipment, group, value: name }, evidence: [origin] },
  });
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

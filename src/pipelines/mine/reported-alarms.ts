import { HOUR_MS, type Severity } from "../../core/index.js";
import { type Clearance, incidents, type Sighting, type Stream } from "../../operators/index.js";
import { alerts, type Speaker } from "../report.js";
import type { Arrival } from "./sensor-input.js";

const SEVERITIES: readonly Severity[] = ["info", "warning", "critical"];
const RULE = "reported-alarm";
/** A machine that goes on reporting an alarm does so at least hourly. */
const QUIET_MS = HOUR_MS;
const MAX_ALARMS = 10_000;

/**
 * Alarms that machines report themselves: a reading with the label `alarm`. It is an alert at once, no window waits for more.
 * Label `severity` (info, warning, critical; default warning) says how bad, `alarmState: "cleared"` that it is over.
 */
export function reportedAlarms(arrivals: Stream<Arrival>, speaker: Speaker): void {
  arrivals
    .flatMap(alarmsIn)
    .keyBy(alarmOf, { local: true })
    .process(RULE, incidents({ ...speaker, rule: RULE, quietMs: QUIET_MS, maxKeys: MAX_ALARMS }))
    .to(alerts(speaker));
}

function alarmsIn({ reading, origin }: Arrival, emit: (news: Sighting | Clearance) => void): void {
  const { site, equipment, tsMs: timeMs, labels } = reading;
  const { alarm, alarmState, severity: said } = labels;
  if (!alarm) return;
  const key = `${site}/${equipment}/${alarm}`;
  if (alarmState === "cleared") {
    emit({ kind: "clearance", key, timeMs });
    return;
  }
  const severity = SEVERITIES.find((known) => known === said) ?? "warning";
  emit({
    kind: "sighting",
    ...{ key, timeMs, startMs: timeMs, endMs: timeMs, severity, title: `${equipment} reports ${alarm}` },
    ...{ detector: null, score: null, value: null, expected: null },
    ...{ labels: { equipment, alarm }, evidence: [origin] },
  });
}

function alarmOf({ key }: Sighting | Clearance): string {
  return key;
}

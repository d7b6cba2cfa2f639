import { HOUR_MS, type Severity } from "../../core/index.js";
import { incidents } from "../../operators/index.js";
import { type Speaker, sayTo } from "../report.js";
import type { Branch } from "./branch.js";

const SEVERITIES: readonly Severity[] = ["info", "warning", "critical"];
/** A machine that goes on reporting an alarm does so at least hourly. */
const QUIET_MS = HOUR_MS;
const MAX_ALARMS = 10_000;

/**
 * Alarms that machines report themselves: a reading with the label `alarm`. It is an alert at once, no window waits for more.
 * Label `severity` (info, warning, critical; default warning) says how bad, `alarmState: "cleared"` that it is over.
 */
export function alarmBranch(speaker: Speaker): Branch {
  const { pipeline, domain } = speaker;
  const reported = incidents({ pipeline, domain, rule: "reported-alarm", quietMs: QUIET_MS, maxKeys: MAX_ALARMS });
  return {
    operators: { reportedAlarms: reported },
    take({ reading, origin }, emit) {
      const { site, equipment, tsMs, labels } = reading;
      const { alarm, alarmState, severity: said } = labels;
      if (!alarm) return undefined;
      const key = `${site}/${equipment}/${alarm}`;
      if (alarmState === "cleared") {
        reported.resolve(key, tsMs, sayTo(speaker, emit));
        return undefined;
      }
      const severity = SEVERITIES.find((known) => known === said) ?? "warning";
      const sighting = {
        key,
        timeMs: tsMs,
        startMs: tsMs,
        endMs: tsMs,
        severity,
        title: `${equipment} reports ${alarm}`,
      };
      const nothing = { detector: null, score: null, value: null, expected: null };
      reported.see({ ...sighting, ...nothing, labels: { equipment, alarm }, evidence: [origin] }, sayTo(speaker, emit));
      return undefined;
    },
    advance(watermarkMs, emit) {
      reported.advance(watermarkMs, sayTo(speaker, emit));
    },
  };
}

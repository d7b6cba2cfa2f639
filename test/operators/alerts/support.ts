import { type Alarm, type Alert, formatTime, type OperatorCommand } from "../../../src/core/index.js";

export const START_MS = Date.parse("2026-11-16T08:00:00Z"); // a Monday

export function alertOf(of: Partial<Alert> & { readonly atMs?: number }): Alert {
  const { atMs = START_MS, ...rest } = of;
  const ts = formatTime(atMs);
  return {
    ...{ schema: "millrace.alert/1", fingerprint: "f1", revision: 1, state: "firing", rule: "hot", pipeline: "p" },
    ...{ severity: "warning", domain: "sensor", key: "north/oven", labels: {}, title: "oven: 90 °C", ts },
    ...{ window: { start: ts, end: ts }, detector: null, score: null, value: null, expected: null, evidence: [] },
    ...rest,
  };
}

let ids = 0;

export function commandOf(
  command: OperatorCommand["command"],
  of: Partial<Omit<OperatorCommand, "command">> = {},
): OperatorCommand {
  return {
    ...{ schema: "millrace.command/1", id: `c${++ids}`, command, target: "f1", args: {}, reason: "because" },
    ...{ by: "ana", role: "operator", ts: formatTime(START_MS) },
    ...of,
  };
}

/** `state cause` of each, for comparing lives at a glance. */
export function livesOf(alarms: readonly Alarm[]): string[] {
  return alarms.map(({ state, cause, trail }) => `${cause} -> ${state}${trail.at(-1)?.refused ? " refused" : ""}`);
}

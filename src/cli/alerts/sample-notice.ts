import type { Alert, Notice } from "../../core/index.js";

const ALERT: Alert = {
  schema: "millrace.alert/1",
  fingerprint: "9f86d081884c7d65",
  revision: 2,
  state: "firing",
  rule: "fuel-drift",
  pipeline: "mine.site",
  severity: "critical",
  domain: "mine",
  key: "truck-07",
  labels: { site: "minez" },
  title: "Truck 07 burns 14 % more than the model expects, since 05:10",
  ts: "2026-11-20T06:00:00.000Z",
  window: { start: "2026-11-20T05:10:00.000Z", end: "2026-11-20T06:00:00.000Z" },
  detector: "adwin",
  score: 0.93,
  value: 182.4371,
  expected: { low: 140, high: 165 },
  evidence: [],
};
const SILENT: Alert = {
  ...ALERT,
  fingerprint: "60303ae22b998861",
  rule: "shovel-silent",
  severity: "warning",
  key: "shovel-2",
  title: "Shovel 2 has loaded nobody for 42 min, its median pause is 6 min",
  value: 42,
};

/** What the previews show: one notice of each kind, made up. */
export function sampleNotice(status: Notice["status"], receiver: string): Notice {
  const common = { kind: "notice", receiver, labels: { site: "minez" }, ts: ALERT.ts } as const;
  const firing: Notice = {
    ...common,
    key: "0.0/minez/1",
    group: "0.0/minez",
    status: "firing",
    alerts: [ALERT, SILENT],
    omitted: 0,
    note: "",
  };
  if (status === "firing") return firing;
  if (status === "digest") return { ...firing, status, key: "0.0/minez/2", omitted: 310 };
  const over = [ALERT, SILENT].map((alert) => ({ ...alert, state: "resolved" as const }));
  return { ...firing, status, key: "0.0/minez/3", alerts: over };
}

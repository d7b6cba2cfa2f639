import type { Alert, Notice } from "../../../src/core/index.js";

export function alert(n: number, more: Partial<Alert> = {}): Alert {
  return {
    schema: "millrace.alert/1",
    fingerprint: `f${n}`,
    revision: 1,
    state: "firing",
    rule: "fuel-drift",
    pipeline: "mine.telemetry",
    severity: n % 3 === 0 ? "critical" : "warning",
    domain: "mine",
    key: `truck-${n}`,
    labels: { site: "minez" },
    title: `Truck ${n} burns 14 % more fuel than last week`,
    ts: "2026-11-20T06:00:00.000Z",
    window: { start: "2026-11-20T05:00:00.000Z", end: "2026-11-20T06:00:00.000Z" },
    detector: "adwin",
    score: 0.93,
    value: 182.4371,
    expected: null,
    evidence: [],
    ...more,
  };
}

export function notice(key: string, more: Partial<Notice> = {}): Notice {
  return {
    kind: "notice",
    receiver: "r",
    key,
    group: `group of ${key}`,
    status: "firing",
    alerts: [alert(1)],
    omitted: 0,
    labels: { site: "minez" },
    note: "",
    ts: "2026-11-20T06:00:01.000Z",
    ...more,
  };
}

/** As bad as it gets: many alerts, long texts, markup, wide characters. */
export function hugeNotice(key: string): Notice {
  const nasty = '<!channel> & *bold* _x_ [link](http://evil) `code` "quoted" \\ 🚚';
  const alerts = Array.from({ length: 20 }, (_, n) =>
    alert(n, {
      title: nasty.repeat(200),
      key: nasty.repeat(20),
      rule: "r".repeat(500),
      state: n % 2 ? "firing" : "resolved",
    }),
  );
  const labels = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`label ${n} ${nasty}`, nasty.repeat(10)]));
  return notice(key, { alerts, labels, omitted: 480, status: "digest", note: nasty });
}

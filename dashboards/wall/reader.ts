import type { Ask } from "./api.js";
import { type Read, readAlerts, readAlertTotals, readDeadLetters, readPlan, readSeries } from "./refresh.js";
import { CHART_DOMAINS, chartAlert, mergeAlerts, newerPlan, type WallState } from "./state.js";
import type { ChartDomain } from "./wire.js";

/** Several alerts of one moment are one read. */
const SOON_MS = 400;

export interface Reader {
  /** Everything, also what the gateway normally pushes: at the start and after a gap. */
  readAll(): void;
  /** Charts, totals and dead letters, once, shortly. */
  readSoon(): void;
  /** The same, if events or rows have come since the last time. */
  readIfMoved(): void;
}

/** Reads the tables into `state`, one query after the other: the database has other work. `changed` asks for a new frame. */
export function createReader(ask: Ask, state: WallState, changed: () => void): Reader {
  let reading = false;
  let waiting: "all" | "moving" | undefined;
  let soon = false;
  let seen = "";

  const take = <Value>(answer: Read<Value>, use: (value: Value) => void): void => {
    if (answer.kind === "value") use(answer.value);
    if (answer.kind === "refused") state.connection = { kind: "refused" };
    changed();
  };

  const readPushed = async (): Promise<void> => {
    take(await readAlerts(ask), (alerts) => {
      state.alerts = mergeAlerts(alerts, state.alerts);
      state.alertsAtMs = Date.now();
    });
    take(await readPlan(ask), (plan) => {
      if (plan === undefined) return;
      state.plan = newerPlan(state.plan, plan);
      state.planAtMs = Date.now();
    });
  };

  const readChart = async (domain: ChartDomain): Promise<void> => {
    const chart = state.charts[domain];
    const nowMs = Date.now();
    const alert = chartAlert(state.alerts, domain, chart, nowMs);
    if (alert?.fingerprint !== chart.fingerprint) {
      Object.assign(chart, { fingerprint: alert?.fingerprint, pinned: false, shownSinceMs: nowMs });
    }
    take(await readSeries(ask, { domain, alert }), (series) => {
      // Another alert may have been chosen while this one was read.
      if (chart.fingerprint === alert?.fingerprint) Object.assign(chart, { series, readAtMs: Date.now() });
    });
  };

  const read = async (what: "all" | "moving"): Promise<void> => {
    if (reading) {
      if (waiting !== "all") waiting = what;
      return;
    }
    reading = true;
    if (what === "all") await readPushed();
    take(await readAlertTotals(ask), (totals) => {
      state.alertTotals = totals;
    });
    for (const domain of CHART_DOMAINS) await readChart(domain);
    take(await readDeadLetters(ask), (letters) => {
      state.deadLetters = letters;
      state.deadLettersAtMs = Date.now();
    });
    reading = false;
    const next = waiting;
    waiting = undefined;
    if (next !== undefined) await read(next);
  };

  return {
    readAll: () => void read("all"),
    readSoon() {
      if (soon) return;
      soon = true;
      setTimeout(() => {
        soon = false;
        void read("moving");
      }, SOON_MS);
    },
    readIfMoved() {
      const { stats } = state;
      const now = JSON.stringify([stats?.github, stats?.telemetry, stats?.features, stats?.anomalies]);
      if (now === seen) return;
      seen = now;
      void read("moving");
    },
  };
}

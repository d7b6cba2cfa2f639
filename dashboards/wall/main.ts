import { connect, type Status, type Update } from "millrace-client";
import { createAsk } from "./api.js";
import { takeKey } from "./key.js";
import { createReader, type Reader } from "./reader.js";
import { type Connection, initialState, newerPlan, receiveAlert, receiveStats } from "./state.js";
import { createAlerts } from "./views/alerts.js";
import { createBanner } from "./views/banner.js";
import { createCharts } from "./views/charts.js";
import { createCounters } from "./views/counters.js";
import { createDeadLetters } from "./views/dead-letters.js";
import { createHeader } from "./views/header.js";
import { createPlan } from "./views/plan.js";
import type { Alert, ChartDomain, Plan, Stats } from "./wire.js";

/** How often tables are read while events come in; between, what the gateway pushes is shown at once. */
const READ_EVERY_MS = 4_000;

const state = initialState();
const key = takeKey();
const changed = onceAFrame(() => {
  const nowMs = Date.now();
  for (const update of views) update(state, nowMs);
});
const reader = key === undefined ? undefined : createReader(createAsk(key), state, changed);
const views = [
  createHeader(),
  createBanner(closeBanner),
  createCounters(),
  createAlerts(chooseAlert),
  createCharts(changed),
  createPlan(),
  createDeadLetters(),
];

if (key === undefined || reader === undefined) state.connection = { kind: "no-key" };
else goLive(key, reader);
changed();
setInterval(changed, 1_000); // ages grow while nothing happens

function goLive(key: string, reader: Reader): void {
  const millrace = connect(location.origin, {
    token: key,
    onStatus(status) {
      const connection = connectionOf(status);
      // The gateway hangs up on a wrong key without a word; the tables say why, and that stays on the page.
      if (state.connection.kind !== "refused" || connection.kind === "open") state.connection = connection;
      if (connection.kind !== "connecting") reader.readAll();
      changed();
    },
  });
  const listen = <T>(channel: string, receive: (data: T, nowMs: number) => void) => {
    millrace.subscribe<T>(channel, {}, (update: Update<T>) => {
      if (update.kind === "event") receive(update.data, Date.now());
      if (update.kind === "gap") reader.readAll();
      changed();
    });
  };
  listen<Stats>("stats", (stats, nowMs) => receiveStats(state, stats, nowMs));
  listen<Alert>("alerts", (alert, nowMs) => {
    state.alerts = receiveAlert(state.alerts, alert);
    state.alertsAtMs = nowMs;
    reader.readSoon();
  });
  listen<Plan>("plans", (plan, nowMs) => {
    state.plan = newerPlan(state.plan, plan);
    state.planAtMs = nowMs;
  });
  const readIfSeen = () => document.visibilityState === "visible" && reader.readIfMoved();
  setInterval(readIfSeen, READ_EVERY_MS);
  document.addEventListener("visibilitychange", readIfSeen);
}

function connectionOf(status: Status): Connection {
  if (status.kind === "ended") return { kind: "refused" };
  return status.kind === "waiting" ? { kind: "waiting", retryAtMs: Date.now() + status.retryInMs } : status;
}

function chooseAlert(domain: ChartDomain, fingerprint: string): void {
  Object.assign(state.charts[domain], { fingerprint, pinned: true, shownSinceMs: Date.now() });
  reader?.readSoon();
  changed();
}

function closeBanner(): void {
  state.bannerClosed = true;
  changed();
}

/** Runs `draw` at most once a frame, however often it is asked for. */
function onceAFrame(draw: () => void): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}

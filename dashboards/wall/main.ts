import { createAsk } from "./api.js";
import { takeKey } from "./key.js";
import { connectLive } from "./live.js";
import { createReader, type Reader } from "./reader.js";
import { initialState, newerPlan, receiveAlert, receiveStats } from "./state.js";
import { createAlerts } from "./views/alerts.js";
import { createBanner } from "./views/banner.js";
import { createCharts } from "./views/charts.js";
import { createCounters } from "./views/counters.js";
import { createDeadLetters } from "./views/dead-letters.js";
import { createHeader } from "./views/header.js";
import { createPlan } from "./views/plan.js";
import type { ChartDomain, EventFrame } from "./wire.js";

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
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  connectLive({
    url: `${scheme}://${location.host}/ws?key=${encodeURIComponent(key)}`,
    channels: ["stats", "alerts", "plans"],
    onState(connection) {
      // The gateway hangs up on a wrong key without a word; the tables say why, and that stays on the page.
      if (state.connection.kind !== "refused" || connection.kind === "open") state.connection = connection;
      if (connection.kind !== "connecting") reader.readAll();
      changed();
    },
    onGap: () => reader.readAll(),
    onEvent(frame) {
      receive(frame, reader);
      changed();
    },
  });
  const readIfSeen = () => document.visibilityState === "visible" && reader.readIfMoved();
  setInterval(readIfSeen, READ_EVERY_MS);
  document.addEventListener("visibilitychange", readIfSeen);
}

function receive(frame: EventFrame, reader: Reader): void {
  const nowMs = Date.now();
  switch (frame.channel) {
    case "stats":
      return receiveStats(state, frame.data, nowMs);
    case "alerts":
      state.alerts = receiveAlert(state.alerts, frame.data);
      state.alertsAtMs = nowMs;
      return reader.readSoon();
    case "plans":
      state.plan = newerPlan(state.plan, frame.data);
      state.planAtMs = nowMs;
  }
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

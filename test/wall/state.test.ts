import t from "tap";
import {
  chartAlert,
  initialState,
  mergeAlerts,
  newerPlan,
  receiveAlert,
  receiveStats,
} from "../../dashboards/wall/state.js";
import type { Alert, Plan } from "../../dashboards/wall/wire.js";
import { statsAt } from "./scene.js";

const alert = (fingerprint: string, revision = 1, change: Partial<Alert> = {}) =>
  ({ fingerprint, revision, state: "firing", domain: "mine", ...change }) as Alert;
const names = (alerts: readonly Alert[]) => alerts.map(({ fingerprint, revision }) => `${fingerprint}${revision}`);

t.test("alerts: the newest revision, the last change first", async (t) => {
  const seen = [alert("a"), alert("b"), alert("a", 2), alert("b"), alert("a", 1)].reduce(
    receiveAlert,
    [] as readonly Alert[],
  );
  t.same(names(seen), ["a2", "b1"]);
});

t.test("alerts: what came live stays above what was stored", async (t) => {
  const stored = [alert("c"), alert("b"), alert("a")];
  t.same(names(mergeAlerts(stored, [alert("b", 2), alert("c")])), ["b2", "c1", "a1"]);
  t.same(names(mergeAlerts([], [alert("x")])), ["x1"]);
  const many = Array.from({ length: 250 }, (_, i) => alert(`n${i}`));
  t.equal(mergeAlerts(many, []).length, 200, "bounded");
});

t.test("a chart is about the newest firing alert, holds it a while, and stays with a chosen one", async (t) => {
  const alerts = [alert("r", 1, { state: "resolved" }), alert("f"), alert("s", 1, { domain: "sensor" })];
  const chart = { ...initialState().charts.mine };
  const shown = (nowMs: number) => chartAlert(alerts, "mine", chart, nowMs)?.fingerprint;
  t.equal(shown(0), "f");
  Object.assign(chart, { fingerprint: "r", shownSinceMs: 1_000 });
  t.equal(shown(5_000), "r", "held");
  t.equal(shown(60_000), "f", "then on");
  chart.pinned = true;
  t.equal(shown(60_000), "r", "chosen");
  t.equal(chartAlert(alerts, "github", chart, 0), undefined);
  const reported = alert("m", 1, { domain: "sensor", detector: null });
  t.equal(
    chartAlert([reported, ...alerts], "sensor", initialState().charts.sensor, 0)?.fingerprint,
    "s",
    "has a series",
  );
});

t.test("the age of the data counts from the last event that came in, not from the first look", async (t) => {
  const state = initialState();
  receiveStats(state, statsAt(0.1), 1_000);
  t.same([state.statsAtMs, state.eventAtMs], [1_000, 0]);
  receiveStats(state, statsAt(0.2), 2_000);
  receiveStats(state, statsAt(0.2), 3_000);
  t.same([state.statsAtMs, state.eventAtMs], [3_000, 2_000]);
});

t.test("plans: an older one read late does not replace a newer one", async (t) => {
  const plan = (ts: string) => ({ ts }) as Plan;
  const newer = plan("2026-11-13T12:00:00Z");
  t.equal(newerPlan(newer, plan("2026-11-13T11:00:00Z")), newer);
  t.equal(newerPlan(undefined, newer), newer);
});

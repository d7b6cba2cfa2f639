import t from "tap";
import { createHotKeys } from "../../../src/cli/up/hot-keys.js";
import { foreignMetrics } from "../../../src/cli/up/metrics.js";
import type { OwnTaskStatus } from "../../../src/cli/up/task-set.js";
import type { Stats } from "../../../src/core/index.js";

const stored = { stored: 0 };
const domain = { ...stored, received: 0, duplicates: 0, deadLettered: 0 };
const stats: Stats = {
  ...{ github: domain, telemetry: domain, features: stored, anomalies: stored, alerts: stored, plans: stored },
  ...{ late: 0, replay: { done: true, sent: 0, total: 0, clock: null }, uptimeS: 1 },
};
const task: OwnTaskStatus & { owner: string } = {
  ...{ task: "mine.telemetry/0", pipeline: "mine.telemetry", partition: 0, source: "telemetry", owner: "h/1" },
  ...{ state: "running", reason: null, position: 7, snapshotAt: 5, watermarkMs: 0 },
  counters: { received: 1, accepted: 1, duplicates: 0, deadLettered: 0, late: 0 },
  hotKeys: [],
} as OwnTaskStatus & { owner: string };
const counted = {
  ...{ stats, nowMs: 61_000, solver: { requests: 0, superseded: 0, plans: 2, failed: 0 } },
  logWrites: { reason: () => "full", restarts: () => 3 },
  sinks: undefined,
  refusals: [],
};
const samples = (given: Parameters<typeof foreignMetrics>[0], name: string) =>
  foreignMetrics(given).find((metric) => metric.name === name)?.samples;

t.test("hot keys: ten a task at most, whatever keys there are, and labels that nothing hides in", async (t) => {
  const hot = createHotKeys();
  const see = (key: string): void =>
    hot.see({ sequence: 1, subject: `telemetry.0.${key}.g`, data: new Uint8Array(), header: () => undefined });
  for (let n = 0; n < 40_000; n++) see(`site.u${n % 500}`);
  const other = { ...task, task: "mine.telemetry/1", hotKeys: hot.top() };
  const odd = ['a"b\nc{}', "a'b c()", `long.${"x".repeat(500)}`, "zürich/矿山-1"];
  const tasks = [{ ...task, hotKeys: odd.map((key, i) => ({ key, share01: 0.4 / 2 ** i })) }, other];
  const found = samples({ ...counted, tasks }, "millrace_task_hot_key_ratio") ?? [];
  t.same(
    found.filter(({ labels }) => labels?.["task"] === task.task).map(({ labels, value }) => [labels?.["key"], value]),
    [
      ["a_b_c__", 0.4 + 0.2],
      [`long.${"x".repeat(59)}`, 0.1],
      ["zürich/矿山-1", 0.05],
    ],
    "cut, sanitised, and those that are alike as one: no two samples of one name",
  );
  t.equal(found.length, 3 + 10);
  t.same(samples({ ...counted, tasks: [] }, "millrace_task_hot_key_ratio"), [], "no task, no sample");
});

t.test("sinks: how far, how much is held, and how long the database has refused", async (t) => {
  const wait = { sinceMs: 1_000, failures: 3, reason: "ECONNREFUSED" };
  const sinks = {
    ...{
      owner: "h/1",
      stored: {},
      poisoned: { github: 0, telemetry: 0, notify: 0 },
      place: "x",
      refusal: null,
      failures: [],
    },
    sinks: [
      { stream: "accepted", position: 5, lag: 2, bufferedBytes: 100, wait },
      { stream: "alerts", position: 9, lag: 0, bufferedBytes: 0, wait: null },
    ],
  };
  const of = (name: string) => samples({ ...counted, tasks: [], sinks }, name)?.map(({ value }) => value);
  t.same(of("millrace_sink_waiting_seconds"), [60, 0]);
  t.same(of("millrace_sink_lag_messages"), [2, 0]);
  t.same(of("millrace_sink_buffered_bytes"), [100, 0]);
  t.same(of("millrace_sink_position_sequence"), [5, 9]);
  t.same(of("millrace_log_unwritable"), [1]);
  t.same(of("millrace_log_restarts_total"), [3]);
});

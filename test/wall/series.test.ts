import t from "tap";
import { buildSeries, expectedText, pointsSql, readMarks, runs, text } from "../../dashboards/wall/series.js";
import type { Alert } from "../../dashboards/wall/wire.js";

const HOUR = 3_600_000;
const START = Date.parse("2026-11-07T00:00:00Z");

const alert = (change: Partial<Alert> = {}): Alert => ({
  fingerprint: "f",
  revision: 1,
  state: "firing",
  rule: "r",
  pipeline: "p",
  severity: "warning",
  domain: "sensor",
  key: "nab/pump/flow/value",
  labels: { measure: "mean" },
  title: "pump: hourly mean 9",
  ts: new Date(START + 3 * HOUR).toISOString(),
  window: { start: new Date(START + 2 * HOUR).toISOString(), end: new Date(START + 3 * HOUR).toISOString() },
  detector: "lof",
  score: 2,
  value: 9,
  expected: { low: 1, high: 3 },
  evidence: [],
  ...change,
});

const windows = (values: readonly Record<string, number>[]) =>
  values.map((value, i) => [START + i * HOUR, START + (i + 1) * HOUR, value] as const).reverse();
const mark = (i: number, value: number, feature = "sensor.window") => [
  feature,
  START + i * HOUR,
  START + (i + 1) * HOUR,
  value,
  1,
  3,
  "lof",
  2,
  1.5,
];

t.test("the measure the alert names, in time order, with its marks", async (t) => {
  const rows = windows([
    { mean: 2, std: 1 },
    { mean: 2.5, std: 9 },
    { mean: 9, std: 1 },
    { mean: 2, std: 1 },
  ]);
  const marks = readMarks([mark(3, 77, "other.feature"), mark(2, 9), mark(1, 9), mark(0, 2)]);
  const series = buildSeries({ domain: "sensor", alert: alert() }, "sensor.window", "k", rows, marks);
  t.same(
    series.points.map(({ value }) => value),
    [2, 2.5, 9, 2],
  );
  t.equal(series.name, "hourly mean");
  t.equal(series.focus?.startMs, START + 2 * HOUR);
  t.same(
    series.marks.map(({ startMs }) => (startMs - START) / HOUR),
    [2, 0],
    "the mark about std is another chart's",
  );
});

t.test("without a name the measure is the one with the anomaly's value, else a telling one", async (t) => {
  const rows = windows([
    { a: 1, b: 2 },
    { a: 4, b: 5 },
    { a: 7, b: 9 },
  ]);
  const found = buildSeries(
    { domain: "sensor", alert: alert({ labels: {} }) },
    "sensor.window",
    "k",
    rows,
    readMarks([mark(2, 9)]),
  );
  t.same(
    found.points.map(({ value }) => value),
    [2, 5, 9],
  );
  const free = buildSeries(
    { domain: "sensor", alert: undefined },
    "sensor.window",
    "k",
    windows([{ a: 1, mean: 2 }]),
    [],
  );
  t.same([free.name, free.marks, free.focus], ["hourly mean", [], undefined]);
  const span = alert({ labels: { measure: "approval to merge" } });
  const merging = buildSeries(
    { domain: "github", alert: span },
    "github.day",
    "k",
    windows([{ opened: 1, approvalHoursP50: 30 }]),
    [],
  );
  t.same([merging.unit, merging.points[0]?.value], ["h", 30]);
});

t.test("hours in the table, minutes in the alert: the chart speaks minutes", async (t) => {
  const rows = windows([{ waitMeanH: 0.1 }, { waitMeanH: 0.2 }, { waitMeanH: 0.9 }]);
  const about = alert({ domain: "mine", labels: { measure: "waitMeanH" }, value: 54 });
  const series = buildSeries(
    { domain: "mine", alert: about },
    "mine.truck-window",
    "k",
    rows,
    readMarks([mark(2, 54, "mine.truck-window")]),
  );
  t.equal(series.unit, "min");
  t.same(
    series.points.map(({ value }) => Math.round(value)),
    [6, 12, 54],
  );
  t.equal(series.marks.length, 1);
});

t.test("events without values are counted, and the silence is marked at none", async (t) => {
  const at = [5, 12, 40, 70].map((minute) => START + minute * 60_000);
  const rows = at.map((ms) => [ms, ms, {}] as const);
  const silence = ["mine.load", START + 70 * 60_000, START + 170 * 60_000, 100, 0, 60, "silence", 1.6, 1];
  const about = alert({ domain: "mine", value: 100, labels: { shovel: "shovel-06" } });
  const series = buildSeries(
    { domain: "mine", alert: about },
    "mine.load",
    "minez/shovel-06",
    rows,
    readMarks([silence]),
  );
  t.equal(series.name, "loads per 30 min");
  t.same(
    series.points.map(({ value }) => value),
    [2, 1, 1, 0, 0, 0],
  );
  t.match(series.focus, { value: 0, label: "none since 01:10", low: undefined });
  t.same(buildSeries({ domain: "mine", alert: about }, "mine.load", "k", [], []).points, []);
});

t.test("texts from outside stay texts in SQL", async (t) => {
  t.equal(text("o'brien\\"), "'o\\'brien\\\\'");
  t.match(pointsSql("mine", "f", "a' OR 1=1 --"), "key = 'a\\' OR 1=1 --'");
});

t.test("what is usual, in words", async (t) => {
  const shown = (low?: number, high?: number) => expectedText(low, high, "t")?.replace("\u202f", " ");
  t.same(
    [shown(3, 12), shown(undefined, 5), shown(2, undefined), shown(4, 4), shown()],
    ["usually 3 – 12 t", "usually at most 5 t", "usually at least 2 t", "before 4 t", undefined],
  );
});

t.test("a line does not cross a hole", async (t) => {
  const points = [0, 1, 2, 9, 10].map((i) => ({ startMs: i * HOUR, endMs: (i + 1) * HOUR, value: i }));
  t.same(
    runs(points).map((run) => run.map(({ value }) => value)),
    [
      [0, 1, 2],
      [9, 10],
    ],
  );
  t.same(runs([]), []);
});

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { NAB_DETECTORS, nabScores } from "../bench/nab-run.js";
import { columnOf, numberOf, readTable, timeOf } from "../src/cli/csv.js";
import { eventScores, nabScore, pointScores, rocAuc, vusPr } from "../src/index.js";
import { golden, sharedData } from "./files.js";

t.test("points: counts and rates", async (t) => {
  t.match(pointScores([1, 1, 0, 0, 1], [1, 0, 1, 0, 1]), {
    truePositives: 2,
    falsePositives: 1,
    falseNegatives: 1,
    trueNegatives: 1,
    f1: 4 / 6,
    far: 0.5,
    mar: 1 / 3,
  });
  t.equal(pointScores([0, 0], [0, 0]).f1, 0);
  t.throws(() => pointScores([1], []), { code: "AD_INPUT_INVALID" });
});

t.test("ROC AUC: order, ties, one kind only", async (t) => {
  t.equal(rocAuc([0, 0, 1, 1], [1, 2, 3, 4]), 1);
  t.equal(rocAuc([0, 0, 1, 1], [4, 3, 2, 1]), 0);
  t.equal(rocAuc([0, 1, 0, 1], [5, 5, 5, 5]), 0.5);
  t.equal(rocAuc([0, 1, 1], [1, 1, 2]), 0.75);
  t.ok(Number.isNaN(rocAuc([1, 1], [1, 2])));
});

interface Case {
  seed: number;
  buffer: number;
  thresholds: number;
  labels: number[];
  scores: number[];
  vusPr: number;
  rocAuc: number;
}
const file = golden<{ tool: string; tolerance: number; cases: Case[] }>("metrics.json");

t.test(`VUS-PR equals ${file.tool}, ROC AUC scikit-learn`, async (t) => {
  for (const { seed, buffer, thresholds, labels, scores, ...want } of file.cases) {
    const got = vusPr(labels, scores, { buffer, thresholds });
    t.ok(Math.abs(got - want.vusPr) <= file.tolerance, `seed ${seed}: ${got} for ${want.vusPr}`);
    t.ok(Math.abs(rocAuc(labels, scores) - want.rocAuc) <= file.tolerance);
  }
  t.ok(Number.isNaN(vusPr([0, 0], [1, 2])));
  t.throws(() => vusPr([1], []), { code: "AD_INPUT_INVALID" });
});

t.test("events: a stretch is one event, a run one alarm, tolerance reaches around", async (t) => {
  const truth = [0, 0, 1, 1, 0, 0, 0, 1, 0, 0];
  t.match(eventScores(truth, [0, 0, 0, 1, 1, 0, 0, 0, 0, 0]), {
    events: 2,
    found: 1,
    falseAlarms: 0,
    precision: 1,
    recall: 0.5,
  });
  t.match(eventScores(truth, [1, 1, 0, 0, 0, 1, 0, 0, 0, 0]), { found: 0, falseAlarms: 2, f1: 0 });
  t.match(eventScores(truth, [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], { tolerance: 1 }), { found: 2, falseAlarms: 0, f1: 1 });
});

t.test("NAB: null, perfect, middle and last row of a window", async (t) => {
  const windows = [
    [300, 399],
    [700, 799],
  ] as const;
  const at = (...rows: number[]) => Array.from({ length: 1000 }, (_, i) => (rows.includes(i) ? 1 : 0));
  const score = (...rows: number[]) => nabScore([{ scores: at(...rows), windows }], { threshold: 0.5 }).score;
  t.equal(score(), 0);
  t.ok(Math.abs(score(300, 700) - 100) < 1e-9);
  t.ok(score(350, 750) > 85 && score(350, 750) < 100);
  t.ok(score(399, 799) > 45 && score(399, 799) < 75);
  t.equal(score(300, 300 + 50, 700), score(300, 700), "only the earliest alarm of a window counts");
  t.ok(Math.abs(score(300, 700) - score(200, 300, 700) - 100 * (0.11 / 4)) < 1e-9, "a false alarm before any window");
  t.equal(score(100), 0, "rows before the 150th are not counted");
  const free = nabScore([{ scores: at(300, 700), windows }]);
  t.ok(Math.abs(free.score - 100) < 1e-9 && free.threshold === 1);
});

t.test("NAB: autoDetector on the series handed to developers, at the frozen threshold", async (t) => {
  const folder = join(sharedData() ?? "", "nab");
  if (!existsSync(folder))
    return void t.pass("needs data", { skip: "shared/data/anomaly is not beside this checkout" });
  const labels = JSON.parse(readFileSync(join(folder, "windows.json"), "utf8")) as Record<string, [string, string][]>;
  const all = Object.entries(labels).map(([name, spans]) => {
    const table = readTable(join(folder, `${name}.gz`));
    const [at, of] = [columnOf(table, "timestamp"), columnOf(table, "value")];
    const times = table.rows.map((row) => timeOf(row[at] as string));
    const values = table.rows.map((row) => numberOf(row[of]));
    const windows = spans.map(([start, end]) => [times.indexOf(timeOf(start)), times.indexOf(timeOf(end))] as const);
    return { category: name.split("/")[0], windows, scores: nabScores(NAB_DETECTORS["auto"] as never, values, times) };
  });
  const standard = nabScore(all, { threshold: 0.5 }).score;
  const lowFp = nabScore(all, { threshold: 0.5, profile: "rewardLowFpRate" }).score;
  const lowFn = nabScore(all, { threshold: 0.5, profile: "rewardLowFnRate" }).score;
  // Leave one category out: its windows are scored at the threshold that is best for the others.
  let [held, windows] = [0, 0];
  for (const category of new Set(all.map((one) => one.category))) {
    const inside = all.filter((one) => one.category !== category);
    const outside = all.filter((one) => one.category === category);
    const { threshold } = nabScore(inside);
    const count = outside.reduce((sum, one) => sum + one.windows.length, 0);
    windows += count;
    if (count === 0) {
      const alarms = outside.reduce((sum, one) => sum + one.scores.filter((score) => score >= threshold).length, 0);
      held -= (100 * 0.11 * alarms) / 2; // no windows to normalise by: each false alarm at its full price
    } else held += nabScore(outside, { threshold }).score * count;
  }
  const leftOut = held / windows;
  const best = nabScore(all).score;
  t.comment(
    `standard ${standard.toFixed(2)}, low FP ${lowFp.toFixed(2)}, low FN ${lowFn.toFixed(2)}; best threshold ${best.toFixed(2)}, leave one category out ${leftOut.toFixed(2)}`,
  );
  t.ok(standard >= 73 && lowFp >= 65);
  t.ok(best - leftOut <= 2);
});

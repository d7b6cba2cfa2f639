import { existsSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { csvFiles } from "../bench/folder.js";
import { SKAB_DETECTORS, SKAB_SENSORS, skabScores } from "../bench/skab-run.js";
import { columnOf, numberOf, readTable } from "../src/cli/csv.js";
import { autoDetector, mahalanobis, pcaMonitor } from "../src/index.js";
import { golden, sharedData } from "./files.js";
import { Inputs } from "./inputs.js";

interface Case {
  seed: number;
  d: number;
  rows: number[][];
  train: number;
  t2: number[];
  limit: number;
  kept: number;
  pcaT2: number[];
  pcaQ: number[];
}
const file = golden<{ tool: string; tolerance: number; t2: Case[] }>("limits.json");
const NEVER = Number.POSITIVE_INFINITY;

t.test(`T-squared and its limit equal ${file.tool}`, async (t) => {
  for (const c of file.t2) {
    const detector = mahalanobis({ features: c.d, train: c.train, memory: NEVER });
    for (const row of c.rows.slice(0, c.train)) t.equal(detector.process(row), undefined);
    c.rows.slice(c.train).forEach((row, i) => {
      const want = (c.t2[i] as number) / c.limit;
      const got = detector.process(row) as number;
      t.ok(Math.abs(got - want) <= file.tolerance * want, `seed ${c.seed}: ${got} for ${want}`);
    });
  }
});

t.test(
  `principal components: the score is the larger of T-squared and Q of ${file.tool}, each by its limit`,
  async (t) => {
    for (const c of file.t2.filter((each) => each.kept < each.d)) {
      const detector = pcaMonitor({ features: c.d, train: c.train, memory: NEVER });
      for (const row of c.rows.slice(0, c.train)) detector.learnOne(row);
      const scores = c.rows.slice(c.train).map((row) => detector.scoreOne(row) as number);
      // The limits are ours; they must be the same two numbers behind every score.
      const limits = { t: 0, q: 0 };
      const pairs = scores.map((score, i) => ({ score, t2: c.pcaT2[i] as number, q: c.pcaQ[i] as number }));
      for (const a of pairs) limits.t = Math.max(limits.t, a.t2 / a.score);
      for (const a of pairs) limits.q = Math.max(limits.q, a.q / a.score);
      for (const { score, t2, q } of pairs) {
        const want = Math.max(t2 / limits.t, q / limits.q);
        t.ok(Math.abs(score - want) < 1e-6 * want, `seed ${c.seed}: ${score} for ${want}`);
      }
    }
  },
);

t.test("smoothing finds a small lasting shift that single rows hide; explain names the feature", async (t) => {
  const inputs = new Inputs(21);
  const row = (shift: number) => [inputs.real(), inputs.real() + shift, inputs.real()];
  const plain = mahalanobis({ features: 3, train: 400 });
  const smooth = mahalanobis({ features: 3, train: 400, span: 20 });
  for (let i = 0; i < 400; i++) {
    const x = row(0);
    plain.learnOne(x);
    smooth.learnOne(x);
  }
  let [plainHits, smoothHits] = [0, 0];
  for (let i = 0; i < 100; i++) {
    const x = row(0.9);
    if ((plain.process(x) as number) > 1) plainHits++;
    if ((smooth.process(x) as number) > 1) smoothHits++;
  }
  t.ok(smoothHits > 60 && plainHits < 40, `${smoothHits} against ${plainHits} of 100`);
  const shares = [...smooth.explain(row(0.9))];
  t.ok((shares[1] as number) > 0.7 && Math.abs(shares.reduce((a, b) => a + b) - 1) < 1e-9, `${shares}`);
});

t.test("false alarms stay near the risk asked for, smoothed or not, though rows to learn from are few", async (t) => {
  for (const span of [1, 10]) {
    let alarms = 0;
    let rows = 0;
    for (let seed = 1; seed <= 20; seed++) {
      const inputs = new Inputs(seed * 31);
      const detector = mahalanobis({ features: 4, train: 200, span, risk: 0.03, memory: NEVER });
      for (let i = 0; i < 600; i++) {
        const score = detector.process(Array.from({ length: 4 }, () => inputs.real()));
        if (score === undefined) continue;
        rows++;
        if (score > 1) alarms++;
      }
    }
    t.ok(alarms / rows < 0.06, `span ${span}: ${((100 * alarms) / rows).toFixed(2)} %`);
  }
});

t.test("a constant or redundant feature is no obstacle, and its first movement is an alarm", async (t) => {
  const inputs = new Inputs(2);
  for (const make of [mahalanobis, pcaMonitor]) {
    const detector = make({ features: ["a", "b", "still"], train: 150 });
    for (let i = 0; i < 150; i++) {
      const a = inputs.real();
      detector.learnOne({ a, b: 2 * a, still: 7 });
    }
    t.ok((detector.scoreOne({ a: 0.5, b: 1, still: 7 }) as number) < 1, detector.kind);
    t.ok((detector.scoreOne({ a: 0.5, b: -1, still: 7 }) as number) > 1, `${detector.kind}: pattern broken`);
    t.ok((detector.scoreOne({ a: 0.5, b: 1, still: 12 }) as number) > 1, `${detector.kind}: it moved`);
  }
});

t.test("autoDetector of several features says what happened", async (t) => {
  const inputs = new Inputs(12);
  const detector = autoDetector({ features: ["flow", "pressure"] });
  t.match(detector.describe({ flow: 1, pressure: 2 }), /^warming up/);
  for (let i = 0; i < 215; i++) detector.learnOne({ flow: inputs.real(), pressure: inputs.real() });
  for (let i = 0; i < 30; i++) detector.process({ flow: inputs.real(), pressure: 9 });
  t.ok((detector.scoreOne({ flow: 0, pressure: 9 }) as number) > 0.5);
  t.match(
    detector.describe({ flow: 0, pressure: 9 }),
    /times the limit away from normal, \d+ % of it through pressure$/,
  );
});

t.test("SKAB: F1 and false-alarm rate on the runs handed to developers, with normal rows inserted too", async (t) => {
  const folder = join(sharedData() ?? "", "skab");
  if (!existsSync(folder))
    return void t.pass("needs data", { skip: "shared/data/anomaly is not beside this checkout" });
  const runs = csvFiles(folder)
    .filter(({ name }) => !name.startsWith("anomaly-free"))
    .map(({ path }) => {
      const table = readTable(path);
      const columns = SKAB_SENSORS.map((sensor) => columnOf(table, sensor));
      const label = columnOf(table, "anomaly");
      return table.rows.map((row) => ({
        row: Float64Array.from(columns, (column) => numberOf(row[column])),
        bad: Number(row[label]) > 0,
      }));
    });
  const inputs = new Inputs(400);
  const results = [0, 100, 300].map((most) => {
    let [tp, fp, fn, tn] = [0, 0, 0, 0];
    for (const run of runs) {
      const normal = run.slice(0, 400).filter(({ bad }) => !bad);
      const extra = Array.from(
        { length: most === 0 ? 0 : inputs.below(most + 1) },
        () => normal[inputs.below(normal.length)],
      );
      const all = [...run.slice(0, 400), ...(extra as typeof run), ...run.slice(400)];
      const scores = skabScores(
        SKAB_DETECTORS["auto"] as never,
        all.map(({ row }) => row),
      );
      all.forEach(({ bad }, i) => {
        if (i < 400 || (i >= 400 && i < 400 + extra.length)) return;
        const alarm = (scores[i] as number) >= 0.5;
        if (bad) alarm ? tp++ : fn++;
        else alarm ? fp++ : tn++;
      });
    }
    return { f1: (2 * tp) / (2 * tp + fp + fn), far: fp / (fp + tn) };
  });
  t.comment(results.map(({ f1, far }) => `F1 ${f1.toFixed(4)} FAR ${far.toFixed(4)}`).join("; "));
  const [plain, ...inserted] = results as [{ f1: number; far: number }, ...{ f1: number; far: number }[]];
  t.ok(plain.f1 >= 0.82 && plain.far <= 0.18, `F1 ${plain.f1} FAR ${plain.far}`);
  for (const { f1 } of inserted) t.ok(Math.abs(f1 - plain.f1) < 0.02, `with rows inserted: ${f1}`);
});

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { lofBatch, lofNovelty, type Metric, slidingLof } from "../src/index.js";
import { golden, sharedData } from "./files.js";
import { Inputs } from "./inputs.js";

interface Case {
  seed: number;
  kind: string;
  metric: Metric;
  n: number;
  d: number;
  k: number;
  contamination: number | null;
  boundary: number;
  scores: number[];
  novelty: number[];
}
interface Stream {
  seed: number;
  d: number;
  window: number;
  k: number;
  metric: Metric;
  rows: number;
  scores: number[];
}
const file = golden<{ tool: string; tolerance: number; cases: Case[]; streams: Stream[] }>("lof.json");

function worstGap(got: ArrayLike<number>, want: readonly number[]): number {
  let worst = got.length === want.length ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < want.length; i++) {
    const b = want[i] as number;
    worst = Math.max(worst, Math.abs((got[i] as number) - b) / Math.abs(b));
  }
  return worst;
}

t.test(`batch and novelty equal ${file.tool} on ${file.cases.length} generated sets`, async (t) => {
  let worst = 0;
  for (const c of file.cases) {
    const inputs = new Inputs(c.seed);
    for (let i = 0; i < 3; i++) inputs.below(30); // n, d and k came first
    const rows = inputs.rows(c.n, c.d, c.kind);
    const queries = inputs.rows(3, c.d, c.kind);
    const options = { neighbours: c.k, metric: c.metric };
    const batch = lofBatch(rows, c.contamination === null ? options : { ...options, contamination: c.contamination });
    const novelty = lofNovelty(rows, options);
    const gaps = [
      worstGap(batch.scores, c.scores),
      worstGap([batch.boundary], [c.boundary]),
      worstGap(
        queries.map((q) => novelty.scoreOne(q)),
        c.novelty,
      ),
    ];
    const gap = Math.max(...gaps);
    if (gap > file.tolerance) t.fail(`seed ${c.seed} ${c.kind} ${c.metric} n=${c.n} d=${c.d} k=${c.k}: ${gaps}`);
    worst = Math.max(worst, gap);
  }
  t.comment(`worst relative gap ${worst}`);
  t.ok(worst <= file.tolerance);
});

t.test("the fixtures handed to developers", async (t) => {
  const path = join(sharedData() ?? "", "fixtures", "lof.json");
  if (!existsSync(path)) return void t.pass("needs data", { skip: "shared/data/anomaly is not beside this checkout" });
  const fixtures = JSON.parse(readFileSync(path, "utf8"));
  for (const c of fixtures.cases) {
    const novelty = lofNovelty(c.X, { neighbours: c.n_neighbors });
    const minus = (values: number[]) => values.map((v) => -v);
    const inSample = worstGap(novelty.scores, minus(c.negative_outlier_factor));
    const outside = worstGap(
      c.query.map((q: number[]) => novelty.scoreOne(q)),
      minus(c.score_samples),
    );
    t.ok(Math.max(inSample, outside) <= fixtures.tolerance, `${c.name}: worst gap ${inSample} / ${outside}`);
    t.equal(novelty.boundary, -c.offset);
  }
});

t.test("sliding equals scikit-learn refitted on the window at every step", async (t) => {
  for (const s of file.streams) {
    const rows = new Inputs(s.seed).rows(s.rows, s.d, "continuous");
    const lof = slidingLof({ features: s.d, window: s.window, neighbours: s.k, metric: s.metric });
    const scores = rows.map((row) => lof.process(row)).slice(s.k + 1) as number[];
    const gap = worstGap(scores, s.scores);
    t.ok(
      gap <= file.tolerance,
      `window ${s.window} k ${s.k} ${s.metric}: worst gap ${gap} over ${scores.length} scores`,
    );
  }
});

t.test("sliding equals our batch novelty on longer streams, through forgetting, and after save and load", async (t) => {
  for (const [window, k, d] of [
    [50, 5, 2],
    [33, 16, 1],
    [12, 11, 3],
    [2, 1, 1],
  ] as const) {
    const rows = new Inputs(window).rows(700, d, "continuous");
    let lof = slidingLof({ features: d, window, neighbours: k });
    let worst = 0;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i] as number[];
      if (i % 97 === 96) {
        const again = slidingLof({ features: d, window, neighbours: k });
        again.load(lof.save());
        lof = again;
      }
      const score = lof.process(row);
      if (i <= k) t.equal(score, undefined);
      else if (i % 7 === 0 || i < 2 * window) {
        const want = lofNovelty(rows.slice(Math.max(0, i - window), i), { neighbours: k }).scoreOne(row);
        worst = Math.max(worst, worstGap([score as number], [want]));
      }
    }
    t.ok(worst < 1e-9, `window ${window} k ${k}: worst gap ${worst}`);
  }
});

t.test("ties at the k-th distance: the older row is kept, whatever was forgotten in between", async (t) => {
  const rows = new Inputs(5).rows(400, 2, "lattice");
  const long = slidingLof({ features: 2, window: 40, neighbours: 6, resolution: 0.5 });
  for (let i = 0; i < rows.length; i++) {
    if (i >= 45 && i % 5 === 0) {
      const fresh = slidingLof({ features: 2, window: 40, neighbours: 6, resolution: 0.5 });
      for (const row of rows.slice(i - 40, i)) fresh.learnOne(row);
      t.equal(long.scoreOne(rows[i] as number[]), fresh.scoreOne(rows[i] as number[]), `row ${i}`);
    }
    long.learnOne(rows[i] as number[]);
  }
});

t.test("the resolution floor keeps repeated values from having infinite density", async (t) => {
  const plain = slidingLof({ window: 30, neighbours: 5 });
  const floored = slidingLof({ window: 30, neighbours: 5, resolution: 0.1 });
  for (let i = 0; i < 30; i++) {
    plain.learnOne(7);
    floored.learnOne(7);
  }
  t.ok((plain.scoreOne(7.1) as number) > 1e8, "without it a step of one resolution is astronomically far");
  t.ok((floored.scoreOne(7.1) as number) < 1.1);
  t.ok((floored.scoreOne(9) as number) > 15);
});

t.test("explain names the feature that moved", async (t) => {
  const lof = slidingLof({ features: ["a", "b"], window: 64, neighbours: 5 });
  const inputs = new Inputs(3);
  for (let i = 0; i < 64; i++) lof.learnOne({ a: inputs.real(), b: inputs.real() });
  const shares = lof.explain({ a: 0, b: 30 });
  t.ok((shares[1] as number) > 0.9);
  t.ok(Math.abs((shares[0] as number) + (shares[1] as number) - 1) < 1e-12);
});

t.test("a window above 4,096 saves its neighbour lists; forgetting goes on from them", async (t) => {
  const options = { window: 4100, neighbours: 4 };
  const inputs = new Inputs(41);
  const through = slidingLof(options);
  for (let i = 0; i < 4300; i++) through.learnOne(inputs.real());
  const bytes = through.save();
  const restarted = slidingLof(options);
  restarted.load(bytes);
  t.ok(Buffer.compare(restarted.save(), bytes) === 0, "the same bytes");
  for (let i = 0; i < 100; i++) {
    const x = inputs.real();
    if (!Object.is(restarted.process(x), through.process(x))) t.fail(`row ${i} differs`);
  }
  t.ok(Buffer.compare(restarted.save(), through.save()) === 0, "the same bytes later");
});

t.test("refusals", async (t) => {
  t.throws(() => slidingLof({ window: 10, neighbours: 10 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => slidingLof({ window: 100_001 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => slidingLof({ metric: "cosine" as Metric }), { code: "AD_OPTION_INVALID" });
  t.throws(() => lofBatch([[1], [Number.NaN]]), { code: "AD_INPUT_INVALID" });
  t.throws(() => lofBatch([[1], [1, 2]]), { code: "AD_INPUT_INVALID" });
  t.throws(() => lofBatch([[1]]), { code: "AD_INPUT_INVALID" });
  t.throws(() => slidingLof({ features: 2 }).learnOne([1]), { code: "AD_INPUT_INVALID" });
});

import t from "tap";
import { randomCutForest, rocAuc } from "../src/index.js";
import { golden } from "./files.js";
import { Inputs } from "./inputs.js";

interface Displacement {
  seed: number;
  d: number;
  last: number;
  kind: string;
  codisp: number;
}
interface Quality {
  seed: number;
  d: number;
  labels: string;
  trees: number;
  window: number;
  auc: number;
}
const file = golden<{ tool: string; displacement: Displacement[]; quality: Quality[] }>("rrcf.json");

t.test("displacements follow the law of random cut trees, though points came one by one", async (t) => {
  for (const c of file.displacement) {
    const rows = new Inputs(c.seed).rows(40, c.d, c.kind);
    const last = Array.from({ length: c.d }, () => c.last);
    let sum = 0;
    for (let seed = 1; seed <= 8; seed++) {
      const forest = randomCutForest({ features: c.d, trees: 1000, window: 64, warmUp: 10, seed });
      for (const row of rows) forest.learnOne(row);
      sum += forest.scoreOne(last) as number;
    }
    const got = sum / 8;
    t.ok(
      Math.abs(got - c.codisp) < 0.04 * c.codisp,
      `${c.kind} ${c.d}-D: ${got.toFixed(3)} for ${c.codisp.toFixed(3)}`,
    );
  }
});

t.test(`ROC AUC within 0.02 of ${file.tool} on three sets`, async (t) => {
  for (const c of file.quality) {
    const inputs = new Inputs(c.seed);
    const labels = [...c.labels].map(Number);
    const forest = randomCutForest({ features: c.d, trees: c.trees, window: c.window });
    const scores = labels.map((label) => {
      if ((inputs.below(20) === 0 ? 1 : 0) !== label) throw new Error("generator differs from make_rrcf.py");
      const centre = 3 * inputs.below(2);
      const row = Array.from(
        { length: c.d },
        () => inputs.real() * (label === 1 ? 2.5 : 0.6) + (label === 1 ? 0 : centre),
      );
      return forest.process(row) ?? 0;
    });
    const auc = rocAuc(labels.slice(64), scores.slice(64));
    t.ok(auc > c.auc - 0.02, `${c.d}-D: ${auc.toFixed(4)}, reference ${c.auc.toFixed(4)}`);
  }
});

t.test("a shingle sees an unusual sequence of usual values, and says at which lag", async (t) => {
  const forest = randomCutForest({ shingle: 4, window: 128, trees: 30 });
  const plain = randomCutForest({ window: 128, trees: 30 });
  const wave = (i: number) => [0, 5, 0, -5][i % 4] as number;
  const inputs = new Inputs(4);
  for (let i = 0; i < 400; i++) {
    const x = wave(i) + inputs.real() / 10;
    forest.learnOne(x);
    plain.learnOne(x);
  }
  const usual = forest.scoreOne(wave(400)) as number;
  const odd = forest.scoreOne(wave(402) + 5) as number; // after -5, 0, 5 were due 0
  t.ok(odd > 3 * usual, `${odd} against ${usual}`);
  t.ok((plain.scoreOne(wave(401)) as number) < 12, "single values are usual");
  const lags = [...forest.explainLags(5)];
  t.ok((lags[3] as number) > 0.5, `${lags.map((share) => share.toFixed(2))}`);
  t.same([...forest.explain(5)], [1]);
});

t.test("equal points share a leaf and outlive each other", async (t) => {
  const forest = randomCutForest({ window: 16, trees: 8, warmUp: 4 });
  const inputs = new Inputs(11);
  for (let i = 0; i < 500; i++) {
    const score = forest.process(inputs.below(3));
    if (score !== undefined && !(score >= 0 && score <= 16)) t.fail(`row ${i}: ${score}`);
  }
  const far = forest.scoreOne(100) as number;
  t.ok(far > 10, `${far} of at most 16`);
  t.ok((forest.scoreOne(1) as number) < 3);
});

t.test("memory of 50 trees of 256 rows of 8 features is below 1 MB; offsets do not cost resolution", async (t) => {
  t.ok(randomCutForest({ features: 8 }).memoryBytes() < 1_000_000);
  const near = randomCutForest({ trees: 20, window: 64 });
  const moved = randomCutForest({ trees: 20, window: 64 });
  const inputs = new Inputs(1);
  for (let i = 0; i < 100; i++) {
    const x = Math.round(inputs.real() * 1024) / 1024;
    near.learnOne(x);
    moved.learnOne(x + 2 ** 30);
  }
  t.equal(moved.scoreOne(5 + 2 ** 30), near.scoreOne(5));
});

t.test("imputes what is missing from the other features, and forecasts from a shingle", async (t) => {
  const forest = randomCutForest({ features: ["a", "b"], window: 200, trees: 40, missing: "forest" });
  const plain = randomCutForest({ features: ["a", "b"], window: 200, trees: 40 });
  const inputs = new Inputs(14);
  t.same([...forest.impute({ a: 3 })], [3, 0], "nothing known yet");
  for (let i = 0; i < 300; i++) {
    const a = inputs.real();
    forest.learnOne({ a, b: 10 + 3 * a });
    plain.learnOne({ a, b: 10 + 3 * a });
  }
  for (const a of [-1, 0, 0.7]) {
    const b = forest.impute({ a })[1] as number;
    t.ok(Math.abs(b - (10 + 3 * a)) < 1, `b of a = ${a}: ${b}`);
  }
  plain.learnOne({ a: 1.5, b: 14.5 });
  forest.learnOne({ a: 1.5, b: 14.5 });
  const gap = { a: -1.2 }; // the last b would be far from what belongs to it
  t.ok((plain.scoreOne(gap) as number) > 1.5 * (forest.scoreOne(gap) as number));
  const waves = randomCutForest({ shingle: 6, window: 256, trees: 40 });
  for (let i = 0; i < 500; i++) waves.learnOne(Math.sin(i / 4));
  let worst = 0;
  for (let i = 500; i < 540; i++) {
    worst = Math.max(worst, Math.abs((waves.impute(Number.NaN)[0] as number) - Math.sin(i / 4)));
    waves.learnOne(Math.sin(i / 4));
  }
  t.ok(worst < 0.3, `worst forecast ${worst}`);
});

t.test("refusals", async (t) => {
  t.throws(() => randomCutForest({ trees: 0 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => randomCutForest({ window: 20_000 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => randomCutForest({ missing: "zero" as "last" }), { code: "AD_OPTION_INVALID" });
  t.throws(() => randomCutForest({ seed: Number.NaN }), { code: "AD_OPTION_INVALID" });
});

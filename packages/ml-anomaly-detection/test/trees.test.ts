import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { averagePathLength, halfSpaceTrees, isolationForest, isolationForestBatch, rocAuc } from "../src/index.js";
import { HalfSpaceTrees } from "../src/trees/half-space.js";
import { golden, sharedData } from "./files.js";
import { Inputs } from "./inputs.js";

interface Hst {
  seed: number;
  d: number;
  height: number;
  window: number;
  trees: number;
  missing: number[];
  splits: [number, number][][];
  scores: number[];
}
interface Quality {
  seed: number;
  d: number;
  rows: number;
  labels: string;
  isolationForest: number[];
  halfSpaceTrees: number[];
}
const file = golden<{ tool: string; tolerance: number; hst: Hst[]; quality: Quality[] }>("trees.json");
const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;

t.test(`half-space trees score as ${file.tool} on the same splits, missing features included`, async (t) => {
  for (const c of file.hst) {
    const splits = {
      feature: Uint16Array.from(c.splits.flat(), ([feature]) => feature),
      threshold: Float64Array.from(c.splits.flat(), ([, threshold]) => threshold),
    };
    const names = Array.from({ length: c.d }, (_, j) => `f${j}`);
    const model = new HalfSpaceTrees({ features: names, trees: c.trees, height: c.height, window: c.window }, splits);
    const rows = new Inputs(c.seed).rows(260, c.d, "continuous");
    let worst = 0;
    rows.forEach((row, i) => {
      const x: Record<string, number> = {};
      row.forEach((value, j) => {
        if (j !== c.missing[i]) x[`f${j}`] = Math.min(Math.max((value + 2) / 4, 0), 1);
      });
      worst = Math.max(worst, Math.abs((model.process(x) ?? 0) - (c.scores[i] as number)));
    });
    t.ok(worst <= file.tolerance, `${c.d} features: worst gap ${worst}`);
  }
});

/** The rows of make_trees.py. */
function quality(c: Quality): { rows: number[][]; labels: number[] } {
  const inputs = new Inputs(c.seed);
  const labels = [...c.labels].map(Number);
  const rows = labels.map((label) => {
    if ((inputs.below(20) === 0 ? 1 : 0) !== label) throw new Error("generator differs from make_trees.py");
    const centre = 3 * inputs.below(2);
    return Array.from({ length: c.d }, () => inputs.real() * (label === 1 ? 2.5 : 0.6) + (label === 1 ? 0 : centre));
  });
  return { rows, labels };
}

t.test("ROC AUC within 0.02 of the references on three sets", async (t) => {
  for (const c of file.quality) {
    const { rows, labels } = quality(c);
    const forests: number[] = [];
    const trees: number[] = [];
    for (let seed = 1; seed <= 5; seed++) {
      const forest = isolationForestBatch(rows, { seed });
      forests.push(
        rocAuc(
          labels,
          rows.map((row) => forest.scoreOne(row)),
        ),
      );
      const model = halfSpaceTrees({ features: c.d, seed });
      const scores = rows.map((row) => model.process(row) ?? 0);
      trees.push(rocAuc(labels.slice(250), scores.slice(250)));
    }
    const [f, rf, h, rh] = [mean(forests), mean(c.isolationForest), mean(trees), mean(c.halfSpaceTrees)];
    t.comment(
      `${c.d}-D: isolation forest ${f.toFixed(4)} (reference ${rf.toFixed(4)}), half-space trees ${h.toFixed(4)} (${rh.toFixed(4)})`,
    );
    t.ok(f > rf - 0.02, "isolation forest");
    t.ok(h > rh - 0.02, "half-space trees");
  }
});

t.test("average path length equals scikit-learn's", async (t) => {
  const path = join(sharedData() ?? "", "fixtures", "iforest_cn.json");
  const [n, c] = existsSync(path)
    ? [JSON.parse(readFileSync(path, "utf8")).n, JSON.parse(readFileSync(path, "utf8")).c]
    : [
        [1, 2, 3, 256],
        [0, 1, 1.207392357589623, 10.244770920119917],
      ];
  (n as number[]).forEach((size, i) =>
    t.ok(Math.abs(averagePathLength(size) - c[i]) <= 1e-12 * (1 + c[i]), `c(${size})`),
  );
});

t.test(
  "half-space trees: a value far outside what the first window held stands out; explain names the feature",
  async (t) => {
    const inputs = new Inputs(3);
    const model = halfSpaceTrees({ features: ["a", "b", "c"] });
    const row = () => ({ a: inputs.real(), b: 100 * inputs.real(), c: 5 + inputs.real() });
    for (let i = 0; i < 600; i++) model.learnOne(row());
    const usual = Array.from({ length: 100 }, () => model.scoreOne(row()) as number);
    const far = model.scoreOne({ ...row(), b: 390 }) as number;
    t.ok(usual.filter((score) => score >= far).length <= 2, `${far}`);
    const shares = model.explain({ a: 0, b: 390, c: 5 });
    t.ok((shares[1] as number) > 0.8, `${shares}`);
  },
);

t.test("isolation forest: explain, refits and refusals", async (t) => {
  const inputs = new Inputs(3);
  const model = isolationForest({ features: 3, window: 256, refit: 128 });
  for (let i = 0; i < 127; i++) t.equal(model.process([inputs.real(), inputs.real(), inputs.real()]), undefined);
  for (let i = 0; i < 300; i++) model.learnOne([inputs.real(), inputs.real(), inputs.real()]);
  const shares = model.explain([0, 0, 9]);
  t.ok((shares[2] as number) > 0.8, `${shares}`);
  for (let i = 0; i < 256; i++) model.learnOne([50, 50, 50]);
  t.ok((model.scoreOne([50, 50, 50]) as number) <= 0.5, "forgot the old window");
  t.throws(() => isolationForestBatch([]), { code: "AD_INPUT_INVALID" });
  t.throws(() => isolationForestBatch([[1], [Number.NaN]]), { code: "AD_INPUT_INVALID" });
  t.throws(() => halfSpaceTrees({ limits: [[1, 1]] }), { code: "AD_OPTION_INVALID" });
  t.throws(
    () =>
      halfSpaceTrees({
        limits: [
          [0, 1],
          [0, 1],
        ],
      }),
    { code: "AD_OPTION_INVALID" },
  );
});

import t from "tap";
import { type LofScorer, lofScorer } from "../../../src/operators/index.js";

const OPTIONS = { width: 2, window: 64, neighbours: 5, warmUp: 20, threshold: 2, leastSpreads: 3, maxKeys: 3 };
/** Deterministic noise in [-1, 1]. */
const noise = (i: number): number => Math.sin(i * 12.9898) * Math.cos(i * 78.233);

function warm(scorer: LofScorer, key: string, rows: number): void {
  for (let i = 0; i < rows; i++) scorer.process(key, i, [50 + noise(i), 5 + noise(i + 1000)]);
}

t.test("silent while warming up, about 1 among the usual, an anomaly far away", async (t) => {
  const scorer = lofScorer(OPTIONS);
  for (let i = 0; i < 20; i++)
    t.equal(scorer.process("k", i, [50 + noise(i), 5 + noise(i + 1000)]), undefined, `row ${i}`);
  const usual = scorer.process("k", 20, [50, 5]);
  t.match(usual, { isAnomaly: false });
  t.ok((usual?.score ?? 9) < 1.5);
  const odd = scorer.process("k", 21, [50, 30]);
  t.match(odd, { isAnomaly: true, mostUnusual: 1 });
  t.ok(odd && odd.usual.low >= 4 && odd.usual.high <= 6, "usual is as of before the anomaly");
});

t.test("a vector whose every number is ordinary is no anomaly, however rare the combination", async (t) => {
  const scorer = lofScorer({ ...OPTIONS, threshold: 1.01, leastSpreads: 10 });
  warm(scorer, "k", 40);
  t.match(scorer.process("k", 41, [52, 3]), { isAnomaly: false });
});

t.test("a vector far away is no anomaly below the threshold", async (t) => {
  const scorer = lofScorer({ ...OPTIONS, threshold: 1e9 });
  warm(scorer, "k", 40);
  t.match(scorer.process("k", 41, [50, 30]), { isAnomaly: false });
});

t.test("keys are apart, bounded, and survive a restart with the same scores", async (t) => {
  const scorer = lofScorer(OPTIONS);
  for (const key of ["a", "b", "c"]) warm(scorer, key, 40);
  const saved = JSON.parse(JSON.stringify(scorer.save()));
  const loaded = lofScorer(OPTIONS);
  loaded.load(saved);
  t.same(JSON.parse(JSON.stringify(loaded.save())), saved);
  t.same(loaded.process("a", 50, [60, 5]), scorer.process("a", 50, [60, 5]));
  scorer.process("d", 51, [1, 1]);
  t.equal(scorer.process("b", 52, [50, 5]), undefined, "b was the longest unused: forgotten, warming up again");
});

t.test("wrong options are refused at once", async (t) => {
  t.throws(() => lofScorer({ ...OPTIONS, neighbours: 0 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => lofScorer({ ...OPTIONS, maxKeys: 0 }), { code: "MR_OPTION_INVALID" });
});

import t from "tap";
import { type LofScore, type LofScoreOptions, lofModel } from "../../../src/operators/index.js";
import { keyedKit } from "../support/keyed-kit.js";

type Vector = readonly number[];
const OPTIONS: LofScoreOptions<Vector> = {
  ...{ width: 2, window: 64, neighbours: 5, warmUp: 20, thresholdOf: () => 2, leastSpreads: 3 },
  vectorOf: (vector) => (vector.length === 2 ? vector : undefined),
};
/** Deterministic noise in [-1, 1]. */
const noise = (i: number): number => Math.sin(i * 12.9898) * Math.cos(i * 78.233);

function lofScorer(options: LofScoreOptions<Vector>, maxKeys = 3) {
  const kit = keyedKit<Vector, { found: LofScore | undefined }>(
    (vectors) =>
      vectors.score("lof", {
        model: () => lofModel(options),
        maxKeys,
        combine: (_vector, found) => ({ found }),
      }),
    false,
  );
  const process = (key: string, timeMs: number, value: Vector): LofScore | undefined => {
    kit.event(timeMs, { key, value });
    return kit.rows<{ found: LofScore | undefined }>().at(-1)?.found;
  };
  return { kit, process };
}

function warm({ process }: ReturnType<typeof lofScorer>, key: string, rows: number): void {
  for (let i = 0; i < rows; i++) process(key, i, [50 + noise(i), 5 + noise(i + 1000)]);
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
  const scorer = lofScorer({ ...OPTIONS, thresholdOf: () => 1.01, leastSpreads: 10 });
  warm(scorer, "k", 40);
  t.match(scorer.process("k", 41, [52, 3]), { isAnomaly: false });
});

t.test("a vector far away is no anomaly below the threshold", async (t) => {
  const scorer = lofScorer({ ...OPTIONS, thresholdOf: () => 1e9 });
  warm(scorer, "k", 40);
  t.match(scorer.process("k", 41, [50, 30]), { isAnomaly: false });
});

t.test("keys are apart, bounded, and survive a restart with the same scores", async (t) => {
  const scorer = lofScorer(OPTIONS);
  const restarted = lofScorer(OPTIONS);
  for (const key of ["a", "b", "c"]) for (const one of [scorer, restarted]) warm(one, key, 40);
  t.same(restarted.kit.cut(), scorer.kit.save());
  t.same(restarted.process("a", 50, [60, 5]), scorer.process("a", 50, [60, 5]));
  scorer.process("d", 51, [1, 1]);
  t.equal(scorer.process("b", 52, [50, 5]), undefined, "b was the longest unused: forgotten, warming up again");
});

t.test("what has no vector is neither scored nor learned", async (t) => {
  const [scorer, without] = [lofScorer(OPTIONS), lofScorer(OPTIONS)];
  warm(scorer, "k", 40);
  warm(without, "k", 40);
  t.equal(scorer.process("k", 40, []), undefined);
  t.same(scorer.process("k", 41, [50, 30]), without.process("k", 41, [50, 30]));
});

t.test("wrong options are refused at once", async (t) => {
  t.throws(() => lofScorer({ ...OPTIONS, neighbours: 0 }), { code: "AD_OPTION_INVALID" });
});

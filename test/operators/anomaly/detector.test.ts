import assert from "node:assert/strict";
import fc from "fast-check";
import * as detectors from "ml-anomaly-detection";
import t from "tap";
import { type DetectorScore, detectorModel, type KeyedDetector } from "../../../src/operators/index.js";
import { keyedKit } from "../support/keyed-kit.js";

const FEATURES = 3;
/** Every detector of the package by its name, small enough to leave its warm-up soon. */
const TABLE: Readonly<Record<string, Readonly<Record<string, () => detectors.Detector>>>> = {
  autoDetector: {
    one: () => detectors.autoDetector(),
    several: () => detectors.autoDetector({ features: FEATURES }),
  },
  slidingLof: {
    one: () => detectors.slidingLof({ window: 40, neighbours: 5, resolution: 0.01 }),
    several: () => detectors.slidingLof({ features: FEATURES, window: 40, neighbours: 5, metric: "manhattan" }),
  },
  halfSpaceTrees: {
    one: () => detectors.halfSpaceTrees({ window: 30, height: 5 }),
    several: () => detectors.halfSpaceTrees({ features: FEATURES, window: 30, height: 5, seed: 7 }),
  },
  isolationForest: {
    one: () => detectors.isolationForest({ window: 64, trees: 10, sample: 16 }),
    several: () => detectors.isolationForest({ features: FEATURES, window: 64, refit: 20, trees: 10, sample: 16 }),
  },
  randomCutForest: {
    one: () => detectors.randomCutForest({ trees: 8, window: 32, shingle: 4, warmUp: 16 }),
    several: () => detectors.randomCutForest({ features: FEATURES, trees: 8, window: 32, missing: "forest" }),
  },
  mahalanobis: {
    one: () => detectors.mahalanobis({ train: 40 }),
    several: () => detectors.mahalanobis({ features: FEATURES, span: 5, train: 60 }),
  },
  pcaMonitor: { several: () => detectors.pcaMonitor({ features: FEATURES, train: 60, explained: 0.7 }) },
  knnDistance: {
    one: () => detectors.knnDistance({ window: 40 }),
    several: () => detectors.knnDistance({ features: FEATURES, window: 30, neighbours: 3, metric: "manhattan" }),
  },
  robustZ: {
    one: () => detectors.robustZ({ window: 41 }),
    several: () => detectors.robustZ({ features: FEATURES, window: 30, warmUp: 10 }),
  },
  ewma: {
    one: () => detectors.ewma({ span: 20 }),
    several: () => detectors.ewma({ features: FEATURES, span: 50, warmUp: 10 }),
  },
  seasonalProfile: { one: () => detectors.seasonalProfile({ period: 12, depth: 3, window: 40 }) },
  discord: { one: () => detectors.discord({ length: 8, window: 60 }) },
  loda: {
    one: () => detectors.loda({ projections: 10, warmUp: 30 }),
    several: () => detectors.loda({ features: FEATURES, projections: 20, bins: 6, warmUp: 30 }),
  },
  rsHash: {
    one: () => detectors.rsHash({ components: 8, slots: 100, warmUp: 30 }),
    several: () => detectors.rsHash({ features: FEATURES, components: 8, tables: 2, slots: 100, warmUp: 30 }),
  },
  xStream: {
    one: () => detectors.xStream({ projections: 5, chains: 3, depth: 5, window: 40 }),
    several: () => detectors.xStream({ features: FEATURES, projections: 6, chains: 3, depth: 5, window: 40 }),
  },
  spot: { one: () => detectors.spot({ warmUp: 60, level: 0.9, risk: 0.01, depth: 10 }) },
  calibrated: {
    one: () => detectors.calibrated(lof(1), { boundary: { quantile: 0.95, window: 50 }, learnFlagged: false }),
    several: () => detectors.calibrated(lof(FEATURES), { boundary: { risk: 0.01, warmUp: 40 } }),
  },
};
const lof = (features: number) => detectors.slidingLof({ features, window: 40, neighbours: 5, resolution: 0.01 });
/** Functions of the package that make no detector: of drift, of whole tables, of alarms, and measures. */
const OTHERS = [
  ...["adwin", "ddm", "eddm", "hddmA", "hddmW", "klDrift", "kswin", "pageHinkley", "psiDrift", "wassersteinDrift"],
  ...["multivariateDrift", "stabilityIndex", "wassersteinDistance"],
  ...["lofBatch", "lofNovelty", "isolationForestBatch", "averagePathLength", "calibratedScore", "alarmLayer"],
  ...["pointScores", "rocAuc", "eventScores", "nabScore", "vusPr", "AnomalyError"],
];
const ROWS = 260; // autoDetector of three features scores from row 245 on

/** Noise in [-1, 1] by row and feature, with a row far off now and then and a value missing. */
function rowOf(seed: number, i: number, features: number): number | number[] {
  const of = (k: number): number => {
    if ((i + seed) % 53 === 17 && k === i % features) return Number.NaN;
    const noise = Math.sin((i + 1) * (12.9898 + k) + seed) * Math.cos((i + seed) * (78.233 - k));
    return noise + ((i + seed) % 41 === 0 ? 5 : 0);
  };
  return features === 1 ? of(0) : Array.from({ length: features }, (_, k) => of(k));
}
const timeOf = (i: number): number => i * 300_000;

interface Row {
  readonly row: number | readonly number[];
  readonly timeMs: number;
}

/** Runs `score` with detectors made by `create`, and gives the latest score. */
function scorer(create: () => KeyedDetector, options: { readonly threshold?: number; readonly maxKeys: number }) {
  const { maxKeys, threshold = 0.5 } = options;
  const model = () => {
    const [rowOf, timeMsOf] = [({ row }: Row) => row as number | number[], ({ timeMs }: Row) => timeMs];
    return detectorModel<Row>({ create, rowOf, timeMsOf, thresholdOf: () => threshold });
  };
  const kit = keyedKit<Row, { found: DetectorScore | undefined }>(
    (rows) => rows.score("scores", { model, maxKeys, combine: (_row, found) => ({ found }) }),
    false,
  );
  const process = (key: string, timeMs: number, row: number | number[]): DetectorScore | undefined => {
    kit.event(timeMs, { key, value: { row, timeMs } });
    return kit.rows<{ found: DetectorScore | undefined }>().at(-1)?.found;
  };
  return { kit, process };
}

t.test("the table holds every detector of the package", async (t) => {
  const made = Object.entries(detectors).filter(([, what]) => typeof what === "function");
  t.same(
    made.map(([name]) => name).sort(),
    [...Object.keys(TABLE), ...OTHERS].sort(),
    "a new one belongs into TABLE or OTHERS",
  );
});

for (const [name, kinds] of Object.entries(TABLE)) {
  for (const [kind, make] of Object.entries(kinds)) {
    t.test(
      `${name} of ${kind}: the scores of the package, bit for bit, over restarts and among other keys`,
      async (t) => {
        let scored = 0;
        const property = fc.property(
          fc.nat(1000),
          fc.uniqueArray(fc.nat(ROWS - 1), { maxLength: 4 }),
          (seed, restartsAt) => {
            const keys = [seed, seed + 1].map((own) => ({ name: `k${own}`, own, alone: make() }));
            const { kit, process } = scorer(make, { maxKeys: keys.length });
            for (let i = 0; i < ROWS; i++) {
              if (restartsAt.includes(i)) assert.deepEqual(kit.cut(), kit.save());
              for (const { name: key, own, alone } of keys) {
                const row = rowOf(own, i, alone.dimensions);
                const expected = (alone as KeyedDetector & { process: KeyedDetector["scoreOne"] }).process(
                  row,
                  timeOf(i),
                );
                const found = process(key, timeOf(i), row);
                assert.ok(Object.is(found?.score, expected), `row ${i}: ${found?.score}, alone ${expected}`);
                assert.equal(found?.isAnomaly, expected === undefined ? undefined : expected > 0.5);
                if (expected !== undefined) scored++;
              }
            }
            const saved = Buffer.from(kit.save());
            for (const { alone } of keys) assert.ok(saved.includes(Buffer.from(alone.save())), "and its state");
          },
        );
        fc.assert(property, { seed: 29, numRuns: 6 });
        t.ok(scored > 0, `${scored} scores`);
      },
    );
  }
}

t.test("an anomaly comes with the detector's reason, as of before it was learned", async (t) => {
  const { process } = scorer(() => detectors.autoDetector(), { maxKeys: 1 });
  const alone = detectors.autoDetector();
  for (let i = 0; i < 300; i++) {
    const value = i === 250 ? 9 : (rowOf(1, 2 * i + 1, 1) as number) % 1;
    const reason = alone.describe(value, timeOf(i));
    const score = alone.process(value, timeOf(i));
    const expected = score !== undefined && score > 0.5 ? reason : undefined;
    const found = process("k", timeOf(i), value);
    t.equal(found?.reason, expected);
    if (i === 250) t.match(found, { isAnomaly: true, reason: /^9 is [\d.]+ from the nearest earlier value/ });
  }
});

t.test("keys are bounded, the threshold is the caller's, wrong options and states are refused", async (t) => {
  const create = () => detectors.mahalanobis({ train: 40 });
  const { kit, process } = scorer(create, { threshold: -1, maxKeys: 1 });
  for (let i = 0; i < 41; i++) process("a", i, rowOf(2, 3 * i, 1));
  t.match(process("a", 41, 0.1), { isAnomaly: true, reason: undefined }, "any score is above -1");
  const saved = kit.save();
  process("b", 42, 1);
  t.equal(process("a", 43, 0.1), undefined, "forgotten for b, warming up again");
  t.throws(() => scorer(() => detectors.mahalanobis({ train: -1 }), { maxKeys: 1 }), { code: "AD_OPTION_INVALID" });
  const numbers = { rowOf: Number, timeMsOf: Number, thresholdOf: () => 0.5 };
  const other = detectorModel({ create: () => detectors.mahalanobis({ train: 41 }), ...numbers });
  t.ok(saved.length > 0);
  t.throws(() => other.load(create().save()), { code: "AD_STATE_INVALID" });
});

/**
 * ROC AUC of the detectors of several features on generated sets, mean of five seeds where chance is involved.
 *
 *   node dist/bench/quality.js      prints one JSON object
 */
import * as ad from "../src/index.js";
import { Inputs } from "../test/inputs.js";
import { aucOf, labelledRows } from "./quality-sets.js";

const SETS = [
  { kind: "spread", seed: 901, d: 2 },
  { kind: "spread", seed: 902, d: 5 },
  { kind: "spread", seed: 903, d: 8 },
  { kind: "one", seed: 904, d: 3 },
  { kind: "one", seed: 905, d: 6 },
];
const SEEDS = [0, 1, 2, 3, 4];

const FIXED: Readonly<Record<string, (features: number) => ad.Detector>> = {
  slidingLof: (features) => ad.slidingLof({ features }),
  knnDistance: (features) => ad.knnDistance({ features }),
  mahalanobis: (features) => ad.mahalanobis({ features }),
};
const SEEDED: Readonly<Record<string, (features: number, seed: number) => ad.Detector>> = {
  rsHash: (features, seed) => ad.rsHash({ features, seed }),
  xStream: (features, seed) => ad.xStream({ features, seed }),
  randomCutForest: (features, seed) => ad.randomCutForest({ features, seed }),
  isolationForest: (features, seed) => ad.isolationForest({ features, seed }),
  halfSpaceTrees: (features, seed) => ad.halfSpaceTrees({ features, seed }),
  loda: (features, seed) => ad.loda({ features, seed }),
};

const sets = SETS.map((set) => ({ ...set, ...labelledRows(set, new Inputs(set.seed)) }));
const round = (value: number) => Math.round(value * 1000) / 1000;
const fixed = Object.entries(FIXED).map(([name, make]) => [name, sets.map((set) => round(aucOf(make(set.d), set)))]);
const seeded = Object.entries(SEEDED).map(([name, make]) => [
  name,
  sets.map((set) => round(SEEDS.reduce((sum, seed) => sum + aucOf(make(set.d, seed), set), 0) / SEEDS.length)),
]);
const names = SETS.map(({ kind, d }) => `${kind}, ${d}-D`);
console.log(
  JSON.stringify({
    bench: "quality",
    unit: "ROC AUC",
    sets: names,
    detectors: Object.fromEntries([...fixed, ...seeded]),
  }),
);

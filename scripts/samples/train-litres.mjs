/**
 * Trains litres per haul cycle on the bundled Mine Z sample:  node scripts/samples/train-litres.mjs [--out folder]
 *
 * Nobody measures the litres of one cycle; the bay measures what goes in at a refuelling. So the sums over the cycles
 * between two refuellings are regressed on those litres, without an intercept: the weights then hold for one cycle too.
 * The model written is the one measured: trained on the earlier 70 % of the intervals, tested on the rest.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { FEATURES, LIMITS_H, PAYLOAD_RANGE_T, readWork, refuelIntervals, STEPS } from "./cycles.mjs";
import { readNdjsonGz } from "./files.mjs";
import { nonNegativeRidge } from "./nnls.mjs";
import { linearOnnx } from "./onnx.mjs";

const TRAIN_SHARE = 0.7;
// Ridge and LIMITS_H were chosen on the training part alone (trained on its first 4/7 and 5.5/7, judged on what follows).
const RIDGE = 0.003;
// Median of the plausible scale readings, close to the 306 t that the mine books where the scale gave none.
const PAYLOAD_DEFAULT_T = 303;

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const { values: options } = parseArgs({
  options: { out: { type: "string", default: `${root}/src/pipelines/mine/models` } },
});

const work = readWork(readings(`${root}/samples/mine/events.ndjson.gz`), PAYLOAD_DEFAULT_T);
const intervals = refuelIntervals(work).sort((a, b) => a.endMs - b.endMs);
const cut = Math.floor(intervals.length * TRAIN_SHARE);
const [train, test] = [intervals.slice(0, cut), intervals.slice(cut)];
const weights = nonNegativeRidge(
  train.map(({ sums }) => sums),
  train.map(({ litres }) => litres),
  RIDGE,
).map(Math.fround);

const meanLitres = average(train.map(({ litres }) => litres));
const predict = (row) => row.reduce((sum, value, j) => sum + value * weights[j], 0);
const measured = {
  cycles: work.cycles.length,
  cyclesSpoilt: work.spoilt,
  intervalsTrain: train.length,
  intervalsTest: test.length,
  testMaeL: round(average(test.map(({ litres, sums }) => Math.abs(litres - predict(sums))))),
  testMaeLOfMean: round(average(test.map(({ litres }) => Math.abs(litres - meanLitres)))),
  testMapePct: round(100 * average(test.map(({ litres, sums }) => Math.abs(litres - predict(sums)) / litres))),
  testBiasL: round(average(test.map(({ litres, sums }) => litres - predict(sums)))),
  testR2: round(rSquared(test)),
  litresPerCycleMean: round(average(work.cycles.map((cycle) => predict(FEATURES.map((name) => cycle[name]))))),
};

const sidecar = {
  about: "Litres one haul cycle burns, for Komatsu 930E trucks at Mine Z (MIT, samples/mine/LICENSE-minez.txt)",
  madeBy: "scripts/samples/train-litres.mjs",
  input: { name: "features", type: "float32", shape: ["N", FEATURES.length] },
  output: { name: "litres", type: "float32", shape: ["N", 1], unit: "L" },
  // In the order of the input. Times are event times of the truck's steps, in hours.
  features: [
    feature("efhEmptyKm", "km", "dumped.values.efhEmptyM / 1000"),
    feature("efhFullKm", "km", "dumped.values.efhFullM / 1000"),
    feature("payloadT", "t", "dumped.values.payloadT if within payloadRangeT (both ends in), else payloadDefaultT"),
    feature("travelEmptyH", "h", "min(arrived-load - assigned-load, travelLimitH)"),
    feature("travelFullH", "h", "min(arrived-dump - assigned-dump, travelLimitH)"),
    feature(
      "queueAndIdleH",
      "h",
      "(assigned-dump - arrived-load) + (dumped - arrived-dump) + min(pause, pauseLimitH); pause = assigned-load - dumped of the truck's previous complete cycle, 0 when there is none",
    ),
    feature("one", "1", "1"),
  ],
  constants: {
    payloadRangeT: PAYLOAD_RANGE_T,
    payloadDefaultT: PAYLOAD_DEFAULT_T,
    travelLimitH: LIMITS_H.travel,
    pauseLimitH: LIMITS_H.pause,
  },
  cycle: {
    steps: STEPS,
    rule: "a cycle counts when its six steps come in this order in the log; assigned-load begins one anew, any other step out of turn spoils it until the next assigned-load",
  },
  interval: {
    rule: "residual at a refuelling = litres - sum of the predictions of the truck's cycles dumped after the previous refuelling and not after this one",
    plausible: { cycles: [4, 30], hoursBelow: 40, litres: [1500, 5000] },
  },
  method: `non-negative ridge regression of litres per refuel interval on sums over its cycles, ridge ${RIDGE} on scaled columns, no intercept; earlier ${TRAIN_SHARE * 100} % of the intervals to train, the rest to test`,
  measured,
};

const model = linearOnnx({
  name: "litres-per-cycle",
  input: "features",
  output: "litres",
  weights,
  properties: { features: FEATURES.join(","), unit: "L" },
});
mkdirSync(options.out, { recursive: true });
writeFileSync(`${options.out}/litres-per-cycle.onnx`, model);
writeFileSync(`${options.out}/litres-per-cycle.json`, `${JSON.stringify(sidecar, undefined, 2)}\n`);
console.log(
  JSON.stringify(
    {
      ...measured,
      weights: Object.fromEntries(FEATURES.map((name, j) => [name, weights[j]])),
      modelBytes: model.length,
    },
    undefined,
    2,
  ),
);

// The good readings, each once. What the cutter planted is known by its id; the product finds it by the rule instead.
function readings(path) {
  const seen = new Set();
  return readNdjsonGz(path).flatMap(({ payload }) => {
    const [, id] = /^\{"id":"(mz-(?:f-)?\d+(?:-\d)?)"/.exec(payload ?? "") ?? [];
    if (!id || seen.has(id)) return [];
    seen.add(id);
    return [JSON.parse(payload)];
  });
}

function feature(name, unit, formula) {
  return { name, unit, formula, weightLPerUnit: weights[FEATURES.indexOf(name)] };
}

function average(numbers) {
  return numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
}

function rSquared(rows) {
  const mean = average(rows.map(({ litres }) => litres));
  const square = (of) => average(rows.map((row) => of(row) ** 2));
  return 1 - square(({ litres, sums }) => litres - predict(sums)) / square(({ litres }) => litres - mean);
}

function round(value) {
  return Math.round(value * 100) / 100;
}

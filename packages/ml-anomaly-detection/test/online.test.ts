import t from "tap";
import { aucOf, JUDGED_FROM, labelledRows } from "../bench/quality-sets.js";
import {
  type Detector,
  ewma,
  knnDistance,
  loda,
  robustZ,
  rocAuc,
  rsHash,
  seasonalProfile,
  xStream,
} from "../src/index.js";
import { golden } from "./files.js";
import { Inputs } from "./inputs.js";

interface Quality {
  kind: string;
  seed: number;
  d: number;
  labels: string;
  loda: number[];
  rsHash: number[];
  xStream: number[];
  knnDistance: number;
  knnScores: number[];
}
interface Stream {
  seed: number;
  kind: string;
  labels: string;
  start: number;
  robustZ: number[];
  robustZAuc: number;
  ewma: number[];
  ewmaAuc: number;
  seasonalProfile: (number | null)[];
  seasonalProfileAuc: number;
}
const file = golden<{ tool: string; quality: Quality[]; streams: Stream[] }>("online.json");
const SEEDS = [0, 1, 2, 3, 4];
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

/** `series` of make_online.py. */
function series({ seed, kind }: Stream): number[] {
  const inputs = new Inputs(seed);
  return Array.from({ length: 1500 }, (_, i) => {
    const far = inputs.below(25) === 0;
    let value = inputs.real();
    if (kind === "drift") value += 0.01 * i;
    if (kind === "wave") value = 0.3 * value + Math.abs((i % 48) - 24) / 6;
    return value + (far ? 1.5 + inputs.below(1000) / 1000 : 0);
  });
}

const truthOf = (labels: string) => Array.from(labels, Number);
const scoresOf = (detector: Detector, rows: readonly (number | number[])[]) =>
  rows.map((row) => detector.process(row) ?? 0);
const aucFrom = (start: number, labels: string, scores: readonly number[]) =>
  rocAuc(truthOf(labels).slice(start), scores.slice(start));
const relative = (a: number, b: number) => Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b), 1e-300);

t.test(`ROC AUC within 0.02 of ${file.tool}: detectors with chance of their own, five seeds each`, async (t) => {
  for (const set of file.quality) {
    const made = labelledRows(set, new Inputs(set.seed));
    t.equal(made.truth.map(Number).join(""), set.labels);
    const detectors = {
      loda: (seed: number) => loda({ features: set.d, seed }),
      rsHash: (seed: number) => rsHash({ features: set.d, seed }),
      xStream: (seed: number) => xStream({ features: set.d, seed }),
    };
    for (const name of ["loda", "rsHash", "xStream"] as const) {
      const ours = mean(SEEDS.map((seed) => aucOf(detectors[name](seed), made)));
      const theirs = mean(set[name]);
      t.ok(
        ours > theirs - 0.02,
        `${set.kind}, ${set.d}-D, ${name}: ${ours.toFixed(4)} (reference ${theirs.toFixed(4)})`,
      );
    }
  }
});

t.test(`scores equal ${file.tool} to 1e-9, and so does ROC AUC`, async (t) => {
  for (const set of file.quality) {
    const scores = scoresOf(knnDistance({ features: set.d }), labelledRows(set, new Inputs(set.seed)).rows);
    const worst = Math.max(...set.knnScores.map((want, i) => relative(scores[JUDGED_FROM + i] as number, want)));
    t.ok(worst < 1e-9, `${set.d}-D knnDistance: ${worst}`);
    t.ok(Math.abs(aucFrom(JUDGED_FROM, set.labels, scores) - set.knnDistance) < 1e-3);
  }
  for (const stream of file.streams) {
    const values = series(stream);
    const found = {
      robustZ: scoresOf(robustZ({ window: 101 }), values),
      ewma: scoresOf(ewma({ span: 60 }), values),
      seasonalProfile: scoresOf(seasonalProfile({ period: 48, window: 300 }), values),
    };
    for (const name of ["robustZ", "ewma", "seasonalProfile"] as const) {
      const gaps = stream[name].map((want, i) => relative(found[name][stream.start + i] as number, want ?? 0));
      // PySAD adds 1e-10 to the deviation, we take the larger of the two.
      t.ok(Math.max(...gaps) < 2e-9, `${stream.kind} ${name}: ${Math.max(...gaps)}`);
      const auc = aucFrom(stream.start, stream.labels, found[name]);
      const want = stream[`${name}Auc`];
      t.ok(Math.abs(auc - want) < 1e-3, `${stream.kind} ${name}: ROC AUC ${auc.toFixed(4)} (${want.toFixed(4)})`);
    }
  }
});

t.test("explain names the feature that moved; names, arrays and numbers read the same", async (t) => {
  const features = ["a", "b", "c", "d"];
  const detectors = [
    knnDistance({ features }),
    loda({ features }),
    rsHash({ features }),
    xStream({ features }),
    robustZ({ features }),
    ewma({ features }),
  ];
  for (const detector of detectors) {
    const inputs = new Inputs(77);
    for (let i = 0; i < 600; i++)
      detector.learnOne({ a: inputs.real(), b: inputs.real(), c: inputs.real(), d: inputs.real() });
    const shares = detector.explain({ a: 0.1, b: -0.1, c: 9, d: 0.2 });
    t.ok((shares[2] as number) > 0.5, `${detector.kind}: ${shares}`);
    const named = detector.scoreOne({ a: 0.1, b: -0.1, c: 9, d: 0.2 });
    t.equal(detector.scoreOne(Float64Array.of(0.1, -0.1, 9, 0.2)), named, `${detector.kind}: ${named}`);
  }
});

t.test("missing values: left out, replaced by the last, or silent, as each says", async (t) => {
  const features = ["a", "b"];
  const row = (inputs: Inputs) => ({ a: inputs.real(), b: inputs.real() });
  for (const make of [robustZ, ewma]) {
    const detector = make({ features });
    const inputs = new Inputs(5);
    for (let i = 0; i < 100; i++) detector.learnOne(row(inputs));
    t.ok((detector.scoreOne({ b: 9 }) as number) > 5, "judged by the feature that is there");
    t.equal(detector.scoreOne({}), undefined);
  }
  const model = loda({ features });
  const inputs = new Inputs(5);
  for (let i = 0; i < 300; i++) model.learnOne(row(inputs));
  t.ok((model.scoreOne({ b: 9 }) as number) > (model.scoreOne({ b: 0 }) as number));
  t.equal(model.scoreOne({}), undefined);
  const daily = seasonalProfile({ period: 10, depth: 3 });
  for (let i = 0; i < 100; i++) daily.learnOne(i % 10 === 3 ? Number.NaN : (i % 10) + inputs.real() / 100);
  t.equal(daily.scoreOne(Number.NaN), undefined);
  t.ok((daily.scoreOne(5) as number) > 100, "5 is usual, but not at phase 0");
  daily.learnOne(0);
  t.ok((daily.scoreOne(1) as number) < 10, "the phase went on through the gaps");
});

t.test("rs-hash forgets, loda does not; a value far outside what was ever seen is found by both", async (t) => {
  const [forgetful, faithful] = [rsHash(), loda()];
  const inputs = new Inputs(9);
  for (let i = 0; i < 600; i++) for (const model of [forgetful, faithful]) model.learnOne(inputs.real());
  const before = [forgetful.scoreOne(0.1), faithful.scoreOne(0.1)] as number[];
  for (let i = 0; i < 600; i++) for (const model of [forgetful, faithful]) model.learnOne(1.5 + inputs.real() / 10);
  t.ok((forgetful.scoreOne(0.1) as number) > (before[0] as number) + 1, "what was usual 600 rows ago is odd now");
  t.ok((faithful.scoreOne(0.1) as number) < (faithful.scoreOne(-40) as number), "old rows still count");
  t.ok((forgetful.scoreOne(-40) as number) > (forgetful.scoreOne(1.5) as number));
});

t.test("refusals", async (t) => {
  t.throws(() => knnDistance({ neighbours: 300 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => knnDistance({ warmUp: 2 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => robustZ({ resolution: 0 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => ewma({ span: 0.5 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => seasonalProfile({ period: 1 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => seasonalProfile({ period: 24, features: 2 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => loda({ bins: 5 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => rsHash({ decay: 0 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => xStream({ window: 1e6 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => xStream({ features: 2 }).scoreOne([1]), { code: "AD_INPUT_INVALID" });
});

import { execFile } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import * as ort from "onnxruntime-node";
import t from "tap";
import { packageRoot } from "../../src/core/root.js";

const ROOT = packageRoot();
const MODELS = join(ROOT, "src/pipelines/mine/models");
const MODEL = join(MODELS, "litres-per-cycle.onnx");
const SEED = 1;

interface Sidecar {
  readonly features: readonly { name: string; unit: string; formula: string; weightLPerUnit: number }[];
  readonly measured: Readonly<Record<string, number>>;
}

const sidecar: Sidecar = JSON.parse(readFileSync(join(MODELS, "litres-per-cycle.json"), "utf8"));
const weights = sidecar.features.map(({ weightLPerUnit }) => weightLPerUnit);

// One thread: with more, sums may be split differently from batch to batch.
const open = () => ort.InferenceSession.create(MODEL, { intraOpNumThreads: 1, interOpNumThreads: 1 });

async function run(session: ort.InferenceSession, rows: readonly Float32Array[]): Promise<Float32Array> {
  const flat = Float32Array.from(rows.flatMap((row) => [...row]));
  const features = new ort.Tensor("float32", flat, [rows.length, weights.length]);
  const { litres } = await session.run({ features });
  if (!(litres?.data instanceof Float32Array)) throw new Error("the output litres is not float32");
  if (`${litres.dims}` !== `${rows.length},1`) throw new Error(`the output litres is ${litres.dims}, not [N, 1]`);
  return litres.data;
}

/** Rows over the range that cycles have (lehmer generator, seed printed), float32 as the model sees them. */
function cycles(count: number): Float32Array[] {
  const spread = [20, 20, 300, 1, 1, 2.5];
  let state = SEED;
  const random = () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  return Array.from({ length: count }, () => Float32Array.from([...spread.map((width) => width * random()), 1]));
}

t.test("the model is small and runs: N rows of 7 features in, N rows of litres out", async (t) => {
  t.ok(statSync(MODEL).size <= 10 * 1024, `${statSync(MODEL).size} bytes`);
  const session = await open();
  t.same([...session.inputNames], ["features"]);
  t.same([...session.outputNames], ["litres"]);
  t.equal(weights.length, 7);
  t.comment(`seed ${SEED}`);
  const rows = cycles(256);
  const litres = await run(session, rows);
  let worst = 0;
  for (const [i, row] of rows.entries()) {
    const plain = row.reduce((sum, value, j) => sum + value * (weights[j] ?? Number.NaN), 0);
    worst = Math.max(worst, Math.abs((litres[i] ?? Number.NaN) - plain) / plain);
  }
  t.ok(worst < 1e-5, `largest relative difference to plain JavaScript ${worst}`);
  await session.release();
});

t.test("a row's litres do not depend on the rows it is served with", async (t) => {
  const session = await open();
  const rows = cycles(64);
  const alone = new Map<number, number | undefined>();
  for (const [i, row] of rows.entries()) alone.set(i, (await run(session, [row]))[0]);
  const differing: string[] = [];
  for (let size = 1; size <= 64; size++) {
    // Slide the batch, so that a row is seen at its start, middle and end.
    for (const start of new Set([0, Math.floor((64 - size) / 2), 64 - size])) {
      const batch = await run(session, rows.slice(start, start + size));
      for (const [i, litres] of batch.entries())
        if (litres !== alone.get(start + i)) differing.push(`row ${start + i} in a batch of ${size}`);
    }
  }
  t.same(differing, []);
  await session.release();
});

t.test("nothing saves fuel, and a cycle of Mine Z burns what the mine says", async (t) => {
  for (const { name, weightLPerUnit } of sidecar.features) t.ok(weightLPerUnit >= 0, `${name}: ${weightLPerUnit}`);
  const { testMaeL = Number.NaN, testMaeLOfMean = Number.NaN, litresPerCycleMean = Number.NaN } = sidecar.measured;
  t.ok(testMaeL < 0.75 * testMaeLOfMean, `${testMaeL} L against ${testMaeLOfMean} L of the mean`);
  t.ok(Math.abs(litresPerCycleMean - 182) < 5, `182 L a cycle over all shifts; here ${litresPerCycleMean}`);
});

t.test("the committed script makes the committed model, byte for byte", async (t) => {
  const out = t.testdir();
  await promisify(execFile)(process.execPath, [join(ROOT, "scripts/samples/train-litres.mjs"), "--out", out]);
  for (const file of ["litres-per-cycle.onnx", "litres-per-cycle.json"])
    t.ok(readFileSync(join(out, file)).equals(readFileSync(join(MODELS, file))), file);
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import { isMillraceError } from "../../../src/core/index.js";
import { BLOCK_ROWS, createInference } from "../../../src/workers/inference/index.js";
import { linearModels, stumpForest, twoColumns } from "./onnx-writer.js";

const SEED = 20260607;
const WIDTH = 5;
const random = lcg(SEED);
const weights = Array.from({ length: WIDTH }, () => random() * 30 - 10);
const forest = Array.from({ length: 300 }, () => ({
  feature: Math.floor(random() * WIDTH),
  threshold: random() * 1000,
  low: random() - 0.5,
  high: random() - 0.5,
}));
const { reduceSum, ...linear } = linearModels(weights, 41.5);
const models: Record<string, Uint8Array> = { ...linear, forest: stumpForest(forest, WIDTH) };

t.test("a row's result depends on that row alone", async (t) => {
  t.comment(`seed ${SEED}`);
  const inference = createInference({ models });
  t.teardown(() => inference.close());
  const count = 3 * BLOCK_ROWS + 17;
  const rows = Float32Array.from({ length: count * WIDTH }, () => random() * 1000);
  for (const name of Object.keys(models)) {
    const alone = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      alone.set(await inference.run(name, rows.slice(i * WIDTH, (i + 1) * WIDTH), WIDTH), i);
    }
    const cuts = fc.array(fc.integer({ min: 1, max: 2 * BLOCK_ROWS + 1 }), { minLength: 1, maxLength: 12 });
    const sameBits = fc.asyncProperty(cuts, async (sizes) => {
      for (let from = 0, k = 0; from < count; k++) {
        const size = Math.min(sizes[k % sizes.length] ?? 1, count - from);
        const part = await inference.run(name, rows.slice(from * WIDTH, (from + size) * WIDTH), WIDTH);
        for (let j = 0; j < size; j++) if (!Object.is(part[j], alone[from + j])) return false;
        from += size;
      }
      return true;
    });
    await t.resolves(fc.assert(sameBits, { seed: SEED, numRuns: 12 }), name);
  }
});

t.test("linear models say x·w + b, a forest the sum of its leaves", async (t) => {
  const inference = createInference({ models });
  t.teardown(() => inference.close());
  const row = Float32Array.from([10, 20, 30, 40, 50]);
  const product = row.reduce((sum, value, i) => sum + value * (weights[i] ?? 0), 41.5);
  for (const name of Object.keys(linear)) {
    const [value] = await inference.run(name, row, WIDTH);
    t.ok(Math.abs((value ?? 0) - product) < 1e-3, `${name}: ${value} is ${product}`);
  }
  const leaves = forest.reduce(
    (sum, { feature, threshold, low, high }) => sum + ((row[feature] ?? 0) <= threshold ? low : high),
    0,
  );
  const [value] = await inference.run("forest", row, WIDTH);
  t.ok(Math.abs((value ?? 0) - leaves) < 1e-3, `forest: ${value} is ${leaves}`);
});

t.test("a model may be a file; runs may overlap; closing twice is harmless", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "millrace-onnx-"));
  t.teardown(() => rm(directory, { recursive: true }));
  const path = join(directory, "gemm.onnx");
  await writeFile(path, models.gemm ?? new Uint8Array());
  const inference = createInference({ models: { file: path } });
  const rows = Float32Array.from({ length: 100 * WIDTH }, (_, i) => i);
  const [a, b] = await Promise.all([inference.run("file", rows, WIDTH), inference.run("file", rows, WIDTH)]);
  t.same(a, b);
  t.equal((await inference.run("file", new Float32Array(0), WIDTH)).length, 0);
  await inference.close();
  await inference.close();
});

t.test("what cannot be served is refused with its name", async (t) => {
  const inference = createInference({
    models: {
      ...models,
      missing: "/nowhere/model.onnx",
      broken: Uint8Array.from([1, 2, 3]),
      twoColumns: twoColumns(),
      reduceSum: reduceSum ?? new Uint8Array(),
    },
  });
  t.teardown(() => inference.close());
  const refusals: readonly [string, Float32Array, number, RegExp][] = [
    ["other", new Float32Array(5), 5, /other: no such model/],
    ["missing", new Float32Array(5), 5, /missing from \/nowhere\/model.onnx/],
    ["broken", new Float32Array(5), 5, /broken from 3 bytes/],
    ["gemm", new Float32Array(4), 5, /4 values are not rows of 5/],
    ["gemm", new Float32Array(4), 0, /rows of 0/],
    ["matmul", new Float32Array(6), 6, /on \[64,6\]/],
    ["twoColumns", new Float32Array(2), 2, /one float32 a row/],
    ["reduceSum", new Float32Array(5), 5, /depends on its place in the batch/],
  ];
  for (const [name, rows, width, message] of refusals) {
    const error = await inference.run(name, rows, width).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    t.ok(isMillraceError(error, "MR_OPTION_INVALID"), name);
    t.match((error as Error | undefined)?.message, message);
  }
});

/** Numbers in [0, 1) from a seed. */
function lcg(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

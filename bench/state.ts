import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { LogMessage, TaskContext } from "../src/core/index.js";
import {
  count,
  max,
  mean,
  min,
  pipeline,
  sum,
  testSource,
  testTarget,
  tumbling,
} from "../src/operators/engine/index.js";

/**
 * npm run bench:state -- [keys] [--json]: one million keys of windowed state {count, sum, min, max, mean}, 16-byte keys, one open window.
 * Prints as JSON, asked or not, bytes a key, the time of a save and of a load.
 */
const { positionals } = parseArgs({ options: { json: { type: "boolean" } }, allowPositionals: true });
const KEYS = Number(positionals[0] ?? 1_000_000);
const CONTEXT: TaskContext = {
  task: "state/0",
  partition: 0,
  partitions: 1,
  inference: { run: () => Promise.reject(new Error("none")) },
};

function topology() {
  return pipeline("bench.state")
    .from(testSource<{ key: string; x: number }>())
    .map(({ value }) => value)
    .keyBy(({ key }) => key)
    .window("w", tumbling({ sizeMs: 60_000 }))
    .aggregate({ n: count(), sum: sum("x"), min: min("x"), max: max("x"), mean: mean("x") })
    .to(testTarget());
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

function bytesInUse(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function keyOf(i: number): string {
  return `key-${String(i).padStart(12, "0")}`;
}

const EMPTY = new Uint8Array(0);
const before = bytesInUse();
let program = topology().create(CONTEXT);
function feed(i: number): void {
  const key = Buffer.from(keyOf((i * 7_919) % KEYS)).toString("latin1"); // flat, as a decoder makes it
  const message = {
    sequence: i,
    subject: "test.0.event",
    data: EMPTY,
    header: () => undefined,
    sent: { timeMs: i % 60_000, value: { key, x: i } },
  };
  program.apply(message as LogMessage, undefined, () => undefined);
}

const startedAt = performance.now();
for (let i = 0; i < 2 * KEYS; i++) feed(i);
const fedS = (performance.now() - startedAt) / 1_000;
const bytesPerKey = (bytesInUse() - before) / KEYS;
const saveAt = performance.now();
const saved = program.save();
const saveS = (performance.now() - saveAt) / 1_000;
const pauses: number[] = [];
const stepwise = program.beginSave();
for (let i = 0, done = false; !done; i++) {
  const stepAt = performance.now();
  done = stepwise.step();
  pauses.push(performance.now() - stepAt);
  for (let j = 0; j < 500; j++) feed(i * 7 + j * 1_009);
}
pauses.sort((a, b) => a - b);
const same = Buffer.concat(stepwise.parts).equals(saved);
program = topology().create(CONTEXT);
const loadAt = performance.now();
program.load(saved);
const loadS = (performance.now() - loadAt) / 1_000;
const round = (n: number): number => Number(n.toFixed(2));
console.log(
  JSON.stringify({
    keys: KEYS,
    eventsPerS: Math.round((2 * KEYS) / fedS),
    bytesPerKey: round(bytesPerKey),
    savedBytes: saved.length,
    saveS: round(saveS),
    steps: pauses.length,
    stepMsP99: round(pauses[Math.floor(pauses.length * 0.99)] as number),
    stepMsMax: round(pauses.at(-1) as number),
    sameBytes: same,
    loadS: round(loadS),
    node: process.version,
  }),
);

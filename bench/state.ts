import { readFileSync } from "node:fs";
import { constants, PerformanceObserver } from "node:perf_hooks";
import { setImmediate as turn, setTimeout as wait } from "node:timers/promises";
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
import { type Result, report } from "./support/report.js";

/**
 * npm run bench:state -- [keys] [--operator window|process] [--minutes N] [--rate N] [--json]
 *
 * One million keys of 16 bytes: one open window of {count, sum, min, max, mean}, or a process function's object of two numbers and a
 * text. Bytes a key, the pauses of a save in steps while events go on, and a load.
 * With --minutes it goes on for so long at `rate` events a second, saving every 10 s, and says how long the garbage collector stopped
 * the program; windows then end every minute of event time.
 */
const { positionals, values: flags } = parseArgs({
  options: {
    json: { type: "boolean" },
    operator: { type: "string", default: "window" },
    minutes: { type: "string" },
    rate: { type: "string", default: "50000" },
  },
  allowPositionals: true,
});
const KEYS = Number(positionals[0] ?? 1_000_000);
const CONTEXT: TaskContext = {
  task: "state/0",
  partition: 0,
  partitions: 1,
  inference: { run: () => Promise.reject(new Error("none")) },
};
const SAVE_EVERY_MS = 10_000;
/** Events between two steps of a save. */
const BETWEEN = 500;

/** An entry of type `gc`. */
interface Collection {
  readonly startTime: number;
  readonly duration: number;
  readonly detail: { readonly kind: number };
}

type Event = { readonly key: string; readonly x: number };

function topology() {
  const keyed = pipeline("bench.state")
    .from(testSource<Event>())
    .map(({ value }) => value)
    .keyBy(({ key }) => key);
  if (flags.operator === "process") {
    return keyed
      .process<{ readonly n: number; readonly last: number; readonly text: string }, never>("p", {
        ttlMs: 600_000,
        init: () => ({ n: 0, last: 0, text: "" }),
        onEvent: ({ n }, { key, x }) => ({ n: n + 1, last: x, text: key }),
      })
      .to(testTarget());
  }
  return keyed
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

const EMPTY = new Uint8Array(0);
const ignore = (): void => undefined;
const program = topology().create(CONTEXT);

function feed(i: number, timeMs: number): void {
  // Flat, as a decoder makes it.
  const key = Buffer.from(`key-${String((i * 7_919) % KEYS).padStart(12, "0")}`).toString("latin1");
  const message = {
    sequence: i,
    subject: "test.0.event",
    data: EMPTY,
    header: () => undefined,
    sent: { timeMs, value: { key, x: i } },
  };
  program.apply(message as LogMessage, undefined, ignore);
}

/** What is due fires in steps, as a task does them; undefined when nothing is left to do. */
function tick(t: number): Iterator<void> | undefined {
  const data = Buffer.from(JSON.stringify({ source: "live", t, mark: t }));
  const message = { sequence: 0, subject: "test.0._tick.live", data, header: () => undefined };
  return program.applyInSteps(message, undefined, ignore);
}

/** What this thread has had of a processor so far, ms; undefined where the system does not tell. */
function hadMs(): number | undefined {
  try {
    return Number.parseInt(readFileSync("/proc/thread-self/schedstat", "latin1"), 10) / 1e6;
  } catch {
    return undefined;
  }
}

/** Stretches of time in which others had the processor for a while, with what this thread had of it. */
const shared: { readonly fromMs: number; readonly toMs: number; readonly hadMs: number }[] = [];
let noted = { atMs: performance.now(), hadMs: hadMs() };

/** Ends a stretch and begins the next. */
function noteStretch(): void {
  const now = { atMs: performance.now(), hadMs: hadMs() };
  const had = (now.hadMs ?? Number.NaN) - (noted.hadMs ?? Number.NaN);
  if (had < now.atMs - noted.atMs - 0.5) shared.push({ fromMs: noted.atMs, toMs: now.atMs, hadMs: had });
  noted = now;
}

/** No more of a pause than the thread had of its stretch: about what it would have been on a machine of its own. */
function ownMs({ startTime, duration }: Collection): number {
  const stretch = shared.find(({ fromMs, toMs }) => startTime >= fromMs && startTime < toMs);
  return Math.min(duration, stretch?.hadMs ?? duration);
}

function percentile(values: readonly number[], part01: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part01))] ?? 0;
}

function measure(): Result[] {
  const before = bytesInUse();
  const startedAt = performance.now();
  for (let i = 0; i < 2 * KEYS; i++) feed(i, i % 60_000);
  const fedS = (performance.now() - startedAt) / 1_000;
  const bytesPerKey = (bytesInUse() - before) / KEYS;
  const steps: number[] = [];
  const beganAt = performance.now();
  const stepwise = program.beginSave();
  steps.push(performance.now() - beganAt);
  const twin = topology().create(CONTEXT);
  for (let i = 0, done = false; !done; i++) {
    const stepAt = performance.now();
    done = stepwise.step();
    steps.push(performance.now() - stepAt);
    for (let j = 0; j < BETWEEN; j++) feed(i * 7 + j * 1_009, 1);
  }
  const saved = Buffer.concat(stepwise.parts as Uint8Array[]);
  const loadAt = performance.now();
  twin.load(saved);
  const loadS = (performance.now() - loadAt) / 1_000;
  if (!Buffer.from(twin.save()).equals(saved)) throw new Error("what was loaded is not what was saved: void");
  const saveAt = performance.now();
  program.save();
  const saveS = (performance.now() - saveAt) / 1_000;
  const name = `${KEYS} keys, ${flags.operator}`;
  const lower = { name, better: "lower" } as const;
  const window = flags.operator === "window";
  return [
    { name, metric: "events", value: (2 * KEYS) / fedS, unit: "1/s", limit: null, better: "higher" },
    { ...lower, metric: "state", value: bytesPerKey, unit: "bytes/key", limit: window ? 120 : null },
    { ...lower, metric: "saved", value: saved.length / KEYS, unit: "bytes/key", limit: null },
    { ...lower, metric: "save in one go", value: saveS, unit: "s", limit: null },
    { ...lower, metric: "pause of a save, p99", value: percentile(steps, 0.99), unit: "ms", limit: 10 },
    { ...lower, metric: "pause of a save, longest", value: percentile(steps, 1), unit: "ms", limit: null },
    { ...lower, metric: "steps of a save", value: steps.length, unit: "steps", limit: null },
    { ...lower, metric: "load", value: loadS, unit: "s", limit: 2 },
  ];
}

async function fire(t: number, steps: number[]): Promise<void> {
  let startedAt = performance.now();
  const rest = tick(t);
  for (let done = rest === undefined; ; ) {
    steps.push(performance.now() - startedAt);
    if (done) return;
    noteStretch();
    await turn();
    startedAt = performance.now();
    done = rest?.next().done === true;
  }
}

/** Goes on for `minutes`, paced; returns what the garbage collector did. */
async function endure(minutes: number): Promise<Result[]> {
  const collections: Collection[] = [];
  const observer = new PerformanceObserver((list) => {
    collections.push(...(list.getEntries() as unknown as readonly Collection[]));
  });
  observer.observe({ entryTypes: ["gc"] });
  const perSlice = Math.max(1, Math.round(Number(flags.rate) / 100));
  const startedAt = performance.now();
  const endAt = startedAt + minutes * 60_000;
  const steps: number[] = [];
  const firing: number[] = [];
  let save: ReturnType<typeof program.beginSave> | undefined;
  let savedAt = startedAt;
  let [saves, i, tickedMs] = [0, 0, 0];
  for (let now = startedAt; now < endAt; now = performance.now()) {
    const timeMs = Math.floor(now - startedAt);
    for (let j = 0; j < perSlice; j++) feed(i++, timeMs);
    if (timeMs >= tickedMs + 1_000) {
      tickedMs = timeMs;
      await fire(timeMs - 100, firing);
    }
    if (save === undefined && now >= savedAt + SAVE_EVERY_MS) {
      savedAt = now;
      save = program.beginSave();
    }
    if (save !== undefined) {
      for (let n = 0; n < 4 && save !== undefined; n++) {
        const stepAt = performance.now();
        const done: boolean = save.step();
        steps.push(performance.now() - stepAt);
        if (!done) continue;
        save = undefined;
        saves++;
      }
    }
    noteStretch();
    const leftMs = startedAt + (i / Number(flags.rate)) * 1_000 - performance.now();
    if (leftMs > 1) await wait(leftMs);
    else await turn();
  }
  await turn();
  observer.disconnect();
  const all = collections.map(({ duration }) => duration);
  const lower = { name: `${KEYS} keys, ${minutes} min`, better: "lower" } as const;
  const kinds = [
    ["minor collections", constants.NODE_PERFORMANCE_GC_MINOR],
    ["major collections", constants.NODE_PERFORMANCE_GC_MAJOR],
    ["steps of marking", constants.NODE_PERFORMANCE_GC_INCREMENTAL],
  ] as const;
  return [
    { ...lower, metric: "events", value: i / (minutes * 60), unit: "1/s", limit: null, better: "higher" },
    { ...lower, metric: "saves", value: saves, unit: "saves", limit: null },
    { ...lower, metric: "pause of a save, p99", value: percentile(steps, 0.99), unit: "ms", limit: 10 },
    { ...lower, metric: "step of a firing, p99", value: percentile(firing, 0.99), unit: "ms", limit: null },
    { ...lower, metric: "steps of firings", value: firing.length, unit: "steps", limit: null },
    { ...lower, metric: "garbage collection, longest pause", value: percentile(all, 1), unit: "ms", limit: 50 },
    {
      ...lower,
      metric: "the same, without waiting for others",
      value: percentile(collections.map(ownMs), 1),
      unit: "ms",
      limit: null,
    },
    { ...lower, metric: "garbage collection, p99", value: percentile(all, 0.99), unit: "ms", limit: null },
    ...kinds.flatMap(([metric, kind]): Result[] => {
      const some = collections.filter(({ detail }) => detail.kind === kind).map(({ duration }) => duration);
      return [
        { ...lower, metric, value: some.length, unit: "pauses", limit: null },
        { ...lower, metric: `${metric}, longest`, value: percentile(some, 1), unit: "ms", limit: null },
      ];
    }),
  ];
}

const results = flags.minutes === undefined ? measure() : await endure(Number(flags.minutes));
report("state", results);

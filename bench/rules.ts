import type { LogMessage, TaskContext } from "../src/core/index.js";
import {
  count,
  type KeyedStream,
  pipeline,
  sum,
  type Target,
  type Topology,
  testSource,
  tumbling,
} from "../src/operators/engine/index.js";
import { median, type Result, report } from "./support/report.js";

/**
 * npm run bench:rules -- [--json]: 1, 10, 100 and 1,000 rules over one stream, what each costs an event.
 *
 * shared: the rules share key and window, so one aggregate serves them all and each looks at its rows; apart: each rule has a filter
 * and a window of its own. Sub-linear: a thousand shared rules cost far less than a thousand times one.
 */
const CONTEXT: TaskContext = {
  task: "bench/0",
  partition: 0,
  partitions: 1,
  inference: { run: () => Promise.reject(new Error("none")) },
};
const EMPTY = new Uint8Array(0);
const KEYS = 1_000;
const RATE_PER_MS = 20;
const RUNS = 5;

interface Reading {
  readonly key: number;
  readonly x: number;
}
type Keyed = KeyedStream<number, Reading>;

const RULES: Readonly<Record<string, (readings: Keyed, rules: number, into: Target<unknown>) => Topology>> = {
  shared(readings, rules, into) {
    const rows = readings.window("w", tumbling({ sizeMs: 10_000 })).aggregate({ n: count(), sum: sum("x") });
    for (let i = 0; i < rules; i++) rows.filter(({ sum }) => sum > 1_000_000 + i).to(into);
    return rows.topology;
  },
  apart(readings, rules, into) {
    for (let i = 0; i < rules; i++) {
      const own = readings.filter(({ x }) => x === i).window(`w${i}`, tumbling({ sizeMs: 10_000 }));
      own.aggregate({ n: count() }).to(into);
    }
    return readings.topology;
  },
};

/** ns an event. */
function cost(build: (typeof RULES)[string], rules: number, events: number): number {
  const readings = pipeline("bench")
    .from(testSource<Reading>())
    .map(({ value }) => value)
    .keyBy(({ key }) => key);
  const program = build(readings, rules, { stream: "", write: () => undefined }).create(CONTEXT);
  const ignore = (): void => undefined;
  const startedAt = performance.now();
  let tickedMs = 0;
  for (let i = 0; i < events; i++) {
    const timeMs = Math.floor(i / RATE_PER_MS);
    if (timeMs >= tickedMs + 1_000) {
      tickedMs = timeMs;
      const data = Buffer.from(JSON.stringify({ source: "live", t: timeMs, mark: timeMs }));
      program.apply({ sequence: i, subject: "test.0._tick.live", data, header: () => undefined }, undefined, ignore);
    }
    const sent = { timeMs, value: { key: (i * 7_919) % KEYS, x: i & 1_023 } };
    const message = { sequence: i, subject: "test.0.e", data: EMPTY, header: () => undefined, sent };
    program.apply(message as LogMessage, undefined, ignore);
  }
  return ((performance.now() - startedAt) / events) * 1e6;
}

const results: Result[] = [];
const one: Record<string, number> = {};
for (const rules of [1, 10, 100, 1_000]) {
  for (const [name, build] of Object.entries(RULES)) {
    const events = Math.round(40_000_000 / (rules + 200));
    cost(build, rules, events / 4); // warm-up
    const ns = median(Array.from({ length: RUNS }, () => cost(build, rules, events)));
    one[name] ??= ns;
    const about = { name: `${rules} rules, ${name}`, better: "lower" } as const;
    results.push({ ...about, metric: "an event", value: ns, unit: "ns", limit: null });
    results.push({ ...about, metric: "an event and rule", value: ns / rules, unit: "ns", limit: null });
    // Where rules share, ten times as many may cost at most half of ten times as much.
    const limit = name === "shared" && rules === 1_000 ? rules / 8 : null;
    results.push({ ...about, metric: "times one rule", value: ns / (one[name] as number), unit: "x", limit });
  }
}
report("rules", results);

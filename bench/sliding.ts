import { parseArgs } from "node:util";
import type { LogMessage, TaskContext } from "../src/core/index.js";
import {
  count,
  hopping,
  max,
  pipeline,
  sum,
  sumIntegers,
  type Target,
  testSource,
  tumbling,
  type WindowSpec,
} from "../src/operators/engine/index.js";
import { median, type Result, report } from "./support/report.js";

/**
 * npm run bench:sliding -- [events] [events per ms] [--json]: a 60 s window sliding by 100 ms over 10,000 keys beside a tumbling one.
 * Medians of 5 runs, interleaved, after one to warm up. Events per second of event time decide how many rows an event causes; it is printed.
 */
const CONTEXT: TaskContext = {
  task: "bench/0",
  partition: 0,
  partitions: 1,
  inference: { run: () => Promise.reject(new Error("none")) },
};
const EMPTY = new Uint8Array(0);
const KEYS = 10_000;
const RUNS = 5;

interface Reading {
  readonly key: number;
  readonly x: number;
}

/** Seconds for `events` over the topology, with a tick each 100 ms of event time. */
function seconds(
  build: (into: Target<unknown>) => {
    create(context: TaskContext): { apply(message: LogMessage, ahead: unknown, emit: () => void): void };
  },
  events: number,
  ratePerMs: number,
): { s: number; rows: number } {
  let rows = 0;
  const program = build({ stream: "", write: () => void rows++ }).create(CONTEXT);
  const startedAt = performance.now();
  let tickedMs = 0;
  for (let i = 0; i < events; i++) {
    const timeMs = Math.floor(i / ratePerMs);
    if (timeMs >= tickedMs + 100) {
      tickedMs = timeMs;
      const data = Buffer.from(JSON.stringify({ source: "live", t: timeMs, mark: timeMs }));
      program.apply(
        { sequence: i, subject: "test.0._tick.live", data, header: () => undefined },
        undefined,
        () => undefined,
      );
    }
    const message = {
      sequence: i,
      subject: "test.0.e",
      data: EMPTY,
      header: () => undefined,
      sent: { timeMs, value: { key: (i * 7_919) % KEYS, x: i & 1_023 } },
    };
    program.apply(message as LogMessage, undefined, () => undefined);
  }
  return { s: (performance.now() - startedAt) / 1_000, rows };
}

const keyed = () =>
  pipeline("bench")
    .from(testSource<Reading>())
    .map(({ value }) => value)
    .keyBy(({ key }) => key);
const windowed = (spec: WindowSpec, stacks: boolean) => (into: Target<unknown>) =>
  keyed()
    .window("w", spec)
    .aggregate(stacks ? { n: count(), sum: sum("x"), max: max("x") } : { n: count(), sum: sumIntegers("x") })
    .to(into);

const { positionals } = parseArgs({ options: { json: { type: "boolean" } }, allowPositionals: true });
const EVENTS = Number(positionals[0] ?? 2_000_000);
const RATE_PER_MS = Number(positionals[1] ?? 20);
/** Times the tumbling window: panes, no cliff. */
const LIMIT = 3;
const results: Result[] = [];

for (const stacks of [false, true]) {
  const flatS: number[] = [];
  const slidingS: number[] = [];
  let rows = 0;
  for (let run = -1; run < RUNS; run++) {
    const flat = seconds(windowed(tumbling({ sizeMs: 60_000 }), stacks), EVENTS, RATE_PER_MS);
    const sliding = seconds(windowed(hopping({ sizeMs: 60_000, slideMs: 100 }), stacks), EVENTS, RATE_PER_MS);
    if (run < 0) continue; // warm-up
    flatS.push(flat.s);
    slidingS.push(sliding.s);
    rows = sliding.rows;
  }
  const name = stacks ? "two stacks" : "subtract";
  const shown = { name, limit: null, better: "higher" } as const;
  results.push(
    {
      name,
      metric: "times tumbling",
      value: median(slidingS) / median(flatS),
      unit: "x",
      limit: LIMIT,
      better: "lower",
    },
    { ...shown, metric: "tumbling", value: EVENTS / median(flatS), unit: "events/s" },
    { ...shown, metric: "sliding", value: EVENTS / median(slidingS), unit: "events/s" },
    { ...shown, metric: "rows an event", value: rows / EVENTS, unit: "rows" },
  );
}
report("sliding", results);

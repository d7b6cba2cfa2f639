import {
  argmax,
  argmin,
  collect,
  count,
  countOf,
  custom,
  distinct,
  distinctExact,
  duration,
  ewma,
  first,
  histogram,
  hopping,
  integral,
  last,
  max,
  mean,
  min,
  pipeline,
  quantiles,
  rate,
  type ScoreModel,
  session,
  stddev,
  sum,
  sumIntegers,
  type TestKit,
  type Topology,
  testSource,
  testTarget,
  top,
  tumbling,
  variance,
} from "../../../../src/operators/engine/index.js";
import type { Reading, Step } from "./arrivals.js";
import { readingOf } from "./run.js";

const x = ({ x }: Reading): number => x;
const id = ({ id }: Reading): number => id;
const pair = (a: Reading, b: Reading): readonly number[] => [a.id, b.id];

/** Every aggregate there is, by the name of the function that makes it; `determinism.test.ts` checks that none is missing. */
export const EVERY_AGGREGATE = {
  count: count(),
  sum: sum(x),
  sumIntegers: sumIntegers(x),
  mean: mean(x),
  min: min(x),
  max: max(x),
  variance: variance(x),
  stddev: stddev(x),
  argmin: argmin(x, id),
  argmax: argmax(x, id),
  first: first(id),
  last: last(id),
  integral: integral(x),
  duration: duration<Reading>(({ x }) => x > 0),
  rate: rate(x),
  ewma: ewma(x, { halfLifeMs: 10 }),
  quantiles: quantiles(x, [0.1, 0.5, 0.9]),
  distinct: distinct(x),
  distinctExact: distinctExact(x),
  top: top(x, { k: 3 }),
  histogram: histogram(x, [-10, 0, 10]),
  collect: collect(id, { limit: 5 }),
  custom: custom<Reading, number, number>({
    name: "own",
    init: () => 0,
    add: (a, value) => a + value.x,
    merge: (a, b) => a + b,
    result: (a) => a,
  }),
};

/** Every kind of window there is. */
export const EVERY_WINDOW = {
  tumbling: tumbling({ sizeMs: 10, latenessMs: 5, retract: true, earlyEveryMs: 4 }),
  hopping: hopping({ sizeMs: 20, slideMs: 5 }),
  session: session({ gapMs: 10, latenessMs: 5 }),
  countOf: countOf(3),
};

class Mean implements ScoreModel<Reading, number> {
  #n = 0;
  #total = 0;
  scoreOne = ({ x }: Reading): number | undefined => (this.#n === 0 ? undefined : x - this.#total / this.#n);
  learnOne = ({ x }: Reading): void => {
    this.#n++;
    this.#total += x;
  };
  save = (): unknown => [this.#n, this.#total];
  load = (saved: unknown): void => {
    [this.#n, this.#total] = saved as [number, number];
  };
}

/** A topology in which every step of the public API takes part; `determinism.test.ts` checks that none is missing. */
export function everything(): Topology {
  const topology = pipeline("test.everything");
  const rates = topology.table<number>("rates", {
    kind: "rate",
    read: (body) => body as { key: string; value: number; fromMs: number },
    keepVersionsMs: 50,
  });
  const readings = topology.from(testSource<Reading>()).map(readingOf).dedupe("dedupe", { id, ttlMs: 1_000 });
  const { low, rest } = readings.branch({ low: ({ x }) => x < -25 });
  low
    .union(rest)
    .filter(({ x }) => x !== 0)
    .flatMap<Reading>((reading, emit) => {
      for (let i = 0; i < reading.id % 3; i++) emit(reading);
    })
    .inOrder("in order", { order: ({ id }) => String(id) })
    .lookup(
      rates,
      ({ key }) => key,
      (reading, rate) => [reading.id, rate ?? null],
    )
    .to(testTarget("unkeyed"));
  readings
    .embed<string>("embedded", () => {
      let n = 0;
      return {
        take: (_reading, at, emit) => emit(`${++n} at ${at.timeMs}`),
        advance: () => undefined,
        save: () => n,
        load: (saved) => {
          n = saved as number;
        },
      };
    })
    .to(testTarget("embedded"));

  const keyed = readings.keyBy(({ key }) => key);
  for (const [name, spec] of Object.entries(EVERY_WINDOW))
    keyed.window(name, spec).aggregate(EVERY_AGGREGATE).to(testTarget(name));
  keyed
    .window("changes", tumbling({ sizeMs: 10, latenessMs: 5, retract: true }))
    .aggregate({ n: count() })
    .values()
    .keyBy(({ startMs }) => startMs)
    .window("of changes", tumbling({ sizeMs: 20, latenessMs: 10 }))
    .aggregate({ n: count(), total: sumIntegers("n") }, { retracts: ({ kind }) => kind === "retract" })
    .to(testTarget("changes"));
  keyed
    .windowPerKey("per key", { sizeMs: 10, disorderMs: 3, maxDelayMs: 40 }, { n: count(), total: sum(x) })
    .to(testTarget("per key"));
  keyed
    .filter(({ x }) => x > -40)
    .map((reading) => reading)
    .flatMap<Reading>((reading, emit) => emit(reading))
    .lag("lag", { ttlMs: 100 })
    .to(testTarget("lag"));
  keyed.hadChanged("changed", { of: ({ x }) => x > 0, ttlMs: 100 }).to(testTarget("changed"));
  keyed
    .process<number, unknown>("process", {
      ttlMs: 30,
      init: () => 0,
      onEvent: (n, { x }, at) => {
        at.setTimer(at.timeMs + 5);
        if (x > 20) at.cancelTimer(at.timeMs + 5);
        return n + 1;
      },
      onTimer: (n, timeMs, at) => {
        at.emit([at.key, n, timeMs]);
        return n > 3 ? undefined : n;
      },
    })
    .to(testTarget("process"));
  keyed
    .pattern("pattern", {
      first: ({ x }) => x > 0,
      second: ({ x }) => x < 0,
      withinMs: 20,
      matched: pair,
      absent: ({ id }) => [id],
    })
    .to(testTarget("pattern"));
  keyed
    .request("request", {
      id: ({ x }) => x % 3,
      ask: testTarget("questions"),
      answers: { kind: "answer", read: (body) => body as { id: number; answer: number } },
      timeoutMs: 15,
      answered: ({ id }, answer) => [id, answer],
      timedOut: ({ id }) => [id],
    })
    .to(testTarget("request"));
  keyed
    .score("score", { model: () => new Mean(), combine: ({ id }, score) => [id, score ?? null] })
    .to(testTarget("score"));
  const high = keyed.filter(({ x }) => x > 10);
  keyed
    .joinInterval("interval", high, { beforeMs: 5, afterMs: 5, combine: pair, unmatched: ({ id }) => [id] })
    .to(testTarget("interval"));
  keyed.joinWindow("windowed", high, { sizeMs: 10, combine: pair }).to(testTarget("windowed"));
  keyed
    .lookup(
      rates,
      ({ key }) => key,
      ({ id }, rate) => [id, rate ?? null],
    )
    .to(testTarget("looked up"));
  topology.control("command", (body) => body as { n: number }).to(testTarget("commands"));
  topology.silence("silence", { afterMs: 50 }).to(testTarget("silence"));
  return topology;
}

/** One step of a run: every fifth event brings control messages along. */
export function feed(kit: TestKit<Reading>, step: Step): void {
  if (step.kind === "mark") {
    kit.watermark(step.timeMs);
    return;
  }
  const { id, key, timeMs, x } = step.event;
  kit.event(timeMs, step.event, { id: String(id) });
  if (id % 5 !== 0) return;
  kit.control("rate", { key, value: x, fromMs: timeMs }).control("command", { n: id });
  kit.control("answer", { id: x % 3, answer: id });
}

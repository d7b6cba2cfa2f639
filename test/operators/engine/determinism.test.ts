import assert from "node:assert/strict";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";
import fc from "fast-check";
import t from "tap";
import {
  argmax,
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
  type KeyedStream,
  last,
  max,
  mean,
  min,
  pipeline,
  quantiles,
  rate,
  session,
  stddev,
  sum,
  sumIntegers,
  testSource,
  testTarget,
  top,
  tumbling,
  variance,
} from "../../../src/operators/engine/index.js";
import { type Reading, type Step, steps } from "./support/arrivals.js";
import { readingOf, run } from "./support/run.js";

type Keyed = KeyedStream<string, Reading>;
const x = ({ x }: Reading): number => x;

const EVERY_AGGREGATE = {
  count: count(),
  sum: sum(x),
  sumIntegers: sumIntegers(x),
  mean: mean(x),
  min: min(x),
  max: max(x),
  variance: variance(x),
  stddev: stddev(x),
  argmax: argmax(x, ({ id }: Reading) => id),
  first: first(({ id }: Reading) => id),
  last: last(({ id }: Reading) => id),
  integral: integral(x),
  duration: duration<Reading>(({ x }) => x > 0),
  rate: rate(x),
  ewma: ewma(x, { halfLifeMs: 10 }),
  quantiles: quantiles(x, [0.1, 0.5, 0.9]),
  distinct: distinct(x),
  distinctExact: distinctExact(x),
  top: top(x, { k: 3 }),
  histogram: histogram(x, [-10, 0, 10]),
  collect: collect(({ id }: Reading) => id, { limit: 5 }),
  custom: custom<Reading, number, number>({
    name: "own",
    init: () => 0,
    add: (a, value) => a + value.x,
    merge: (a, b) => a + b,
    result: (a) => a,
  }),
};

/** Every operator of the engine at once. */
function everything() {
  const topology = pipeline("test.everything");
  const keyed: Keyed = topology
    .from(testSource<Reading>())
    .map(readingOf)
    .dedupe("dedupe", { id: ({ id }) => id, ttlMs: 1_000 })
    .keyBy(({ key }) => key);
  const windows = {
    tumbling: tumbling({ sizeMs: 10, latenessMs: 5, retract: true }),
    hopping: hopping({ sizeMs: 20, slideMs: 5 }),
    session: session({ gapMs: 10, latenessMs: 5 }),
    count: countOf(3),
  };
  for (const [name, spec] of Object.entries(windows))
    keyed.window(name, spec).aggregate(EVERY_AGGREGATE).to(testTarget(name));
  keyed.lag("lag", { ttlMs: 100 }).to(testTarget("lag"));
  keyed.hadChanged("changed", { of: ({ x }) => x > 0, ttlMs: 100 }).to(testTarget("changed"));
  keyed
    .pattern("pattern", {
      first: ({ x }) => x > 0,
      second: ({ x }) => x < 0,
      withinMs: 20,
      matched: (a, b) => [a.id, b.id],
      absent: ({ id }) => [id],
    })
    .to(testTarget("pattern"));
  keyed
    .joinInterval(
      "interval",
      keyed.filter(({ x }) => x > 10),
      { beforeMs: 5, afterMs: 5, combine: (a, b) => [a.id, b.id], unmatched: ({ id }) => [id] },
    )
    .to(testTarget("interval"));
  keyed
    .joinWindow(
      "windowed",
      keyed.filter(({ x }) => x > 10),
      { sizeMs: 10, combine: (a, b) => [a.id, b.id] },
    )
    .to(testTarget("windowed"));
  topology.silence("silence", { afterMs: 50 }).to(testTarget("silence"));
  return topology;
}

function outcome(all: readonly Step[], cuts: readonly number[]): { outputs: unknown; state: string } {
  const { kit, state } = run(everything(), all, cuts);
  return { outputs: kit.take(), state };
}

/** Replaces everything impure by something that throws. */
function poison(): () => void {
  const bomb = (what: string) => () => {
    throw new Error(`an operator used ${what}`);
  };
  const globals = globalThis as unknown as Record<string, unknown>;
  const kept = ["Date", "setTimeout", "setInterval", "setImmediate", "queueMicrotask", "fetch", "performance"].map(
    (name) => [name, Object.getOwnPropertyDescriptor(globals, name)] as const,
  );
  for (const [name] of kept)
    Object.defineProperty(globals, name, { value: bomb(name), configurable: true, writable: true });
  const { random } = Math;
  const { hrtime } = process;
  const { connect } = net;
  Math.random = bomb("Math.random");
  process.hrtime = bomb("process.hrtime") as never;
  net.connect = bomb("net.connect") as never;
  syncBuiltinESMExports();
  return () => {
    for (const [name, descriptor] of kept)
      if (descriptor !== undefined) Object.defineProperty(globals, name, descriptor);
    Math.random = random;
    process.hrtime = hrtime;
    net.connect = connect;
    syncBuiltinESMExports();
  };
}

t.test(
  "every operator with clock, chance, timers and network poisoned: same outputs, same state bytes, with any cuts",
  async (t) => {
    const property = fc.property(steps({ maxEvents: 60 }), fc.array(fc.nat(60)), (all, cuts) => {
      const free = outcome(all, []);
      const heal = poison();
      let poisoned: typeof free;
      try {
        poisoned = outcome(all, cuts);
      } finally {
        heal();
      }
      assert.deepEqual(poisoned.outputs, free.outputs);
      // Where a cut falls must not show in the bytes either; sums of floats are compared to the last bit.
      assert.equal(outcome(all, []).state, free.state);
      assert.equal(poisoned.state, free.state);
    });
    t.doesNotThrow(() => fc.assert(property, { seed: 61, numRuns: 100 }));
  },
);

t.test(
  "table order never shows: permuting the keys that arrive at one time changes no row and no byte of the windows",
  async (t) => {
    const topology = () => {
      const keyed = pipeline("test.order")
        .from(testSource<Reading>())
        .map(readingOf)
        .keyBy(({ key }) => key);
      for (const [name, spec] of Object.entries({
        a: tumbling({ sizeMs: 10 }),
        b: hopping({ sizeMs: 20, slideMs: 5 }),
        c: session({ gapMs: 10 }),
      })) {
        keyed
          .window(name, spec)
          .aggregate({ n: count(), total: sum(x), kinds: distinct(x) })
          .to(testTarget());
      }
      keyed
        .process<number, unknown>("p", {
          ttlMs: 50,
          init: () => 0,
          onEvent: (n, _value, at) => {
            at.setTimer(at.timeMs + 5);
            return n + 1;
          },
          onTimer: (n, timeMs, at) => {
            at.emit([at.key, n, timeMs]);
            return n;
          },
        })
        .to(testTarget());
      return keyed.topology;
    };
    const keys = fc.uniqueArray(fc.oneof(fc.string({ maxLength: 4 }), fc.string({ unit: "binary", maxLength: 3 })), {
      minLength: 2,
      maxLength: 40,
    });
    const property = fc.property(
      keys.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
      ([one, other]) => {
        const feed = (order: readonly string[]): Step[] => [
          ...[3, 12].flatMap((timeMs) =>
            order.map((key): Step => ({ kind: "event", event: { id: 0, key, timeMs, x: key.length } })),
          ),
          { kind: "mark", timeMs: 8 },
        ];
        const end: Step = { kind: "mark", timeMs: 1_000 };
        assert.equal(run(topology(), feed(one)).state, run(topology(), feed(other)).state);
        assert.deepEqual(run(topology(), [...feed(one), end]).rows, run(topology(), [...feed(other), end]).rows);
      },
    );
    t.doesNotThrow(() => fc.assert(property, { seed: 62, numRuns: 100 }));
  },
);

t.test("time may pass in any steps: many small ticks or one large one give the same rows", async (t) => {
  const property = fc.property(steps(), (all) => {
    const fine = all.flatMap((step, i): Step[] => {
      if (step.kind === "event") return [step];
      const before =
        all
          .slice(0, i)
          .flatMap((other) => (other.kind === "mark" ? [other.timeMs] : []))
          .at(-1) ?? -200;
      const between: Step[] = [];
      for (let timeMs = Math.max(before, step.timeMs - 200) + 1; timeMs < step.timeMs; timeMs += 7)
        between.push({ kind: "mark", timeMs });
      return [...between, step];
    });
    assert.deepEqual(run(everything(), fine).rows, run(everything(), all).rows);
    for (const stream of ["tumbling", "hopping", "session", "pattern", "interval", "windowed"]) {
      assert.deepEqual(run(everything(), fine).kit.rows(stream), run(everything(), all).kit.rows(stream), stream);
    }
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 63, numRuns: 40 }));
});

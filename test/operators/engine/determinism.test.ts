import assert from "node:assert/strict";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";
import fc from "fast-check";
import t from "tap";
import * as engine from "../../../src/operators/engine/index.js";
import {
  count,
  distinct,
  hopping,
  pipeline,
  session,
  sum,
  TestKit,
  testSource,
  testTarget,
  tumbling,
} from "../../../src/operators/engine/index.js";
import { type Reading, type Step, steps } from "./support/arrivals.js";
import { EVERY_AGGREGATE, EVERY_WINDOW, everything, feed } from "./support/everything.js";
import { readingOf, run } from "./support/run.js";

t.setTimeout(120_000);
const x = ({ x }: Reading): number => x;

function outcome(all: readonly Step[], cuts: readonly number[]): { outputs: readonly unknown[]; state: string } {
  const kit = new TestKit<Reading>(everything());
  all.forEach((step, i) => {
    if (cuts.includes(i)) kit.cut();
    feed(kit, step);
  });
  return { outputs: kit.take(), state: Buffer.from(kit.save()).toString("hex") };
}

/** Public methods of a class that steps are made with; accessors are none. */
function methodsOf(prototype: object): string[] {
  return Object.entries(Object.getOwnPropertyDescriptors(prototype)).flatMap(([name, { value }]) =>
    typeof value === "function" && name !== "constructor" ? [name] : [],
  );
}

t.test("everything is everything: each step, aggregate and window of the public API takes part", async (t) => {
  const topology = pipeline("test.classes");
  const stream = topology.from(testSource<Reading>());
  const keyed = stream.keyBy(() => "all");
  const classes = {
    Topology: topology,
    Stream: stream,
    KeyedStream: keyed,
    Windowed: keyed.window("w", tumbling({ sizeMs: 1 })),
  };
  // How a program is made from a topology and what a topology declares with: no steps of their own.
  const notSteps = ["Topology.create", "Topology.declare", "Topology.decodeWith"];
  const missing = new Set<string>();
  const undo: (() => void)[] = [];
  for (const [name, one] of Object.entries(classes)) {
    const prototype = Object.getPrototypeOf(one) as Record<string, (...args: unknown[]) => unknown>;
    for (const method of methodsOf(prototype)) {
      const original = prototype[method] as (...args: unknown[]) => unknown;
      missing.add(`${name}.${method}`);
      prototype[method] = function (this: unknown, ...args: unknown[]) {
        missing.delete(`${name}.${method}`);
        return original.apply(this, args);
      };
      undo.push(() => {
        prototype[method] = original;
      });
    }
  }
  everything();
  for (const heal of undo) heal();
  t.same(
    [...missing].filter((name) => !notSteps.includes(name)),
    [],
    "steps that everything() leaves out",
  );

  const made = [...Object.keys(EVERY_AGGREGATE), ...Object.keys(EVERY_WINDOW)];
  const others = [
    ...["days", "hours", "milliseconds", "minutes", "seconds"],
    ...["jsonFields", "jsonLines", "jsonSource", "packed", "source", "pipeline", "Topology"],
    ...["forgetTime", "lint", "topologyJson", "topologyMermaid", "topologyText"],
    ...["TestKit", "testSource", "testTarget"],
  ];
  t.same(Object.keys(engine).sort(), [...made, ...others].sort(), "what the door exports is known here");
});

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
    const streams = new Set<string>();
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
      for (const { stream } of free.outputs as { stream: string }[]) streams.add(stream);
    });
    t.doesNotThrow(() => fc.assert(property, { seed: 61, numRuns: 30 }));
    t.same(
      [...streams].sort(),
      everything().writes.filter((stream) => stream !== "dead"),
      "every step said something",
    );
  },
);

t.test(
  "metrics: every stateful step by its name, keys and bytes as its state grows, none when all is over",
  async (t) => {
    const kit = new TestKit<Reading>(everything());
    const stateful = everything()
      .nodes.filter(({ stateful }) => stateful)
      .map(({ name }) => name);
    const sizes = () => new Map(kit.metrics().map(({ name, keys, bytes }) => [name, { keys, bytes }] as const));
    t.same([...sizes().keys()].sort(), [...stateful].sort());
    t.ok([...sizes().values()].every(({ keys }) => keys === 0));
    kit.watermark(-100);
    for (let id = 1; id <= 200; id++) {
      // Falling and rising numbers of many keys: something of everything is held at the end.
      const reading = { id, key: `key ${id % 50}`, timeMs: id % 9, x: ((id * 37) % 90) - 45 };
      feed(kit, { kind: "event", event: reading });
    }
    const full = sizes();
    for (const name of ["dedupe", "tumbling", "hopping", "session", "countOf", "lag", "changed", "process", "per key"])
      t.ok(
        (full.get(name)?.keys ?? 0) >= 25 && (full.get(name)?.bytes ?? 0) > 100,
        `${name}: ${JSON.stringify(full.get(name))}`,
      );
    for (const name of ["interval", "windowed", "score", "rates", "pattern", "request"])
      t.ok((full.get(name)?.keys ?? 0) > 0, `${name}: ${JSON.stringify(full.get(name))}`);
    t.same(
      [...full.values()].filter(({ bytes }) => !(bytes >= 0)),
      [],
    );
    kit.cut();
    t.same(
      [...sizes()].map(([name, { keys }]) => [name, keys]),
      [...full].map(([name, { keys }]) => [name, keys]),
      "a cut changes no number of keys",
    );
    kit.watermark(100_000);
    const left = [...sizes()].filter(([, { keys }]) => keys > 0).map(([name]) => name);
    t.same(left.sort(), ["countOf", "rates", "score", "silence"], "what has no end in time");
  },
);

t.test(
  "equal times: events of different keys may come in any order, and no row of any keyed step differs",
  async (t) => {
    const KEYS = ["b", "a", "\ud83d\ude80", "ä"];
    const moment = fc.record({
      timeMs: fc.integer({ min: -50, max: 50 }),
      xs: fc.tuple(fc.nat(40), fc.nat(40), fc.nat(40), fc.nat(40)),
    });
    const property = fc.property(
      fc.array(moment, { minLength: 1, maxLength: 6 }),
      fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }),
      (moments, order) => {
        const rowsIn = (places: readonly number[]): Map<string, string[]> => {
          const kit = new TestKit<Reading>(everything());
          moments.forEach(({ timeMs, xs }, i) => {
            for (const place of places) {
              const reading = { id: i * 4 + place, key: KEYS[place] as string, timeMs, x: (xs[place] as number) - 20 };
              kit.event(timeMs, reading, { id: String(reading.id) });
            }
          });
          kit.watermark(1_000);
          const rows = new Map<string, string[]>();
          for (const { stream, record } of kit.take())
            rows.set(stream, [...(rows.get(stream) ?? []), JSON.stringify(record)]);
          return rows;
        };
        const [one, other] = [rowsIn([0, 1, 2, 3]), rowsIn(order)];
        // Fired by time: the same rows in the same order. Said at once, with the event: the same rows.
        for (const stream of ["tumbling", "hopping", "session", "process", "windowed", "changes"])
          assert.deepEqual(other.get(stream), one.get(stream), stream);
        for (const stream of ["lag", "changed", "interval", "countOf", "score", "looked up", "per key"])
          assert.deepEqual(other.get(stream)?.sort(), one.get(stream)?.sort(), stream);
      },
    );
    t.doesNotThrow(() => fc.assert(property, { seed: 64, numRuns: 30 }));
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
    t.doesNotThrow(() => fc.assert(property, { seed: 62, numRuns: 30 }));
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
    const [small, large] = [run(everything(), fine).kit, run(everything(), all).kit];
    for (const stream of ["hopping", "session", "pattern", "interval", "windowed", "process", "request", "changes"])
      assert.deepEqual(small.rows(stream), large.rows(stream), stream);
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 63, numRuns: 25 }));
});

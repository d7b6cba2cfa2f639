import assert from "node:assert/strict";
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
  hopping,
  type KeyedStream,
  last,
  pipeline,
  quantiles,
  session,
  sum,
  TestKit,
  testSource,
  testTarget,
  top,
  tumbling,
  type WindowSpec,
} from "../../../../src/operators/engine/index.js";
import { type Reading, type Step, steps } from "../support/arrivals.js";
import { readingOf, run } from "../support/run.js";

t.setTimeout(120_000);
/** Every seventh event throws, behind everything that could have changed state before. */
const fails = ({ id }: Reading): boolean => id % 7 === 3;

function explode(value: Reading): Reading {
  if (fails(value)) throw new Error("planted");
  return value;
}

const AGGREGATES = {
  n: count(),
  total: sum<Reading>(({ x }) => x),
  best: argmax(
    ({ x }: Reading) => x,
    ({ id }) => id,
  ),
  newest: last(({ id }: Reading) => id),
  some: collect(({ id }: Reading) => id, { limit: 3 }),
  q: quantiles<Reading>(({ x }) => x, [0.5]),
  kinds: distinct<Reading>(({ x }) => x),
  exact: distinctExact<Reading>(({ x }) => x),
  common: top<Reading>(({ x }) => x, { k: 2, capacity: 3 }),
  own: custom<Reading, number, number>({
    name: "own",
    init: () => 0,
    add: (a, { x }) => a + x,
    merge: (a, b) => a + b,
    result: (a) => a,
  }),
};

type Keyed = KeyedStream<string, Reading>;

/** Each operator, declared before the step that throws: its state changes first and must be taken back. */
const OPERATORS: Readonly<Record<string, (keyed: Keyed) => unknown>> = {
  ...Object.fromEntries(
    Object.entries({
      tumbling: tumbling({ sizeMs: 10 }),
      lateness: tumbling({ sizeMs: 10, latenessMs: 30, retract: true, earlyEveryCount: 2 }),
      hopping: hopping({ sizeMs: 20, slideMs: 5, latenessMs: 10 }),
      session: session({ gapMs: 10, latenessMs: 20, maxLengthMs: 50 }),
      count: countOf(3),
    } satisfies Record<string, WindowSpec>).map(([name, spec]) => [
      name,
      (keyed: Keyed) => keyed.window(name, spec).aggregate(AGGREGATES).to(testTarget()),
    ]),
  ),
  lag: (keyed) => keyed.lag("lag", { ttlMs: 50 }).to(testTarget()),
  hadChanged: (keyed) => keyed.hadChanged("changes", { of: ({ x }) => x > 0, ttlMs: 50 }).to(testTarget()),
  dedupe: (keyed) =>
    keyed
      .values()
      .dedupe("dedupe", { id: ({ x }) => x, ttlMs: 50 })
      .to(testTarget()),
  pattern: (keyed) =>
    keyed
      .pattern("pattern", {
        first: ({ x }) => x > 0,
        second: ({ x }) => x < 0,
        withinMs: 20,
        matched: (a, b) => [a.id, b.id],
        absent: (a) => [a.id],
      })
      .to(testTarget()),
  process: (keyed) =>
    keyed
      .process<{ n: number }, unknown>("process", {
        ttlMs: 40,
        init: () => ({ n: 0 }),
        onEvent: ({ n }, value, at) => {
          at.setTimer(at.timeMs + 5);
          at.emit({ n, id: value.id });
          return value.x === 0 ? undefined : { n: n + 1 };
        },
        onTimer: ({ n }, timeMs, at) => {
          at.emit({ n, timeMs, key: at.key });
          return { n: n + 100 };
        },
      })
      .to(testTarget()),
  joinInterval: (keyed) =>
    keyed
      .joinInterval(
        "join",
        keyed.filter(({ x }) => x > 0),
        {
          beforeMs: 10,
          afterMs: 10,
          combine: (a, b) => [a.id, b.id],
          unmatched: (a) => [a.id],
        },
      )
      .to(testTarget()),
  joinWindow: (keyed) =>
    keyed
      .joinWindow(
        "join",
        keyed.filter(({ x }) => x > 0),
        { sizeMs: 10, combine: (a, b, { startMs }) => [a.id, b.id, startMs] },
      )
      .to(testTarget()),
};

function topology(name: string, failing: boolean) {
  const keyed = pipeline(`test.${name}`)
    .from(testSource<Reading>())
    .map(readingOf)
    .keyBy(({ key }) => key);
  OPERATORS[name]?.(keyed);
  // Declared last: consumers are called in the order of declaration.
  if (failing) keyed.map(explode).to(testTarget("passed"));
  else keyed.to(testTarget("passed"));
  return keyed.topology;
}

for (const name of Object.keys(OPERATORS)) {
  t.test(`${name}: an event that throws leaves no trace but its dead letter; cuts never show`, async (t) => {
    const property = fc.property(steps(), fc.array(fc.nat(40)), (all, cuts) => {
      const failing = run(topology(name, true), all);
      const without = all.filter((step: Step) => step.kind === "mark" || !fails(step.event));
      const clean = run(topology(name, false), without);
      assert.deepEqual(failing.rows, clean.rows);
      assert.deepEqual(failing.late, clean.late);
      const { deadLettered, received, accepted, duplicates } = failing.kit.counters();
      assert.equal(received, accepted + duplicates + deadLettered);
      assert.equal(deadLettered, all.length - without.length);
      assert.equal(operatorBytes(failing.state), operatorBytes(clean.state));
      assert.deepEqual(run(topology(name, true), all, cuts).rows, failing.rows);
      assert.equal(run(topology(name, true), all, "always").state, failing.state);
    });
    t.doesNotThrow(() => fc.assert(property, { seed: 11, numRuns: 80 }));
  });
}

/** The operators' part of the state: counters differ by what was left out, and a failed event's time was seen in the log. */
function operatorBytes(state: string): string {
  const live = state.indexOf("6c697665"); // the source `live`, then four doubles and a flag
  return state.slice(live + 8 + 4 * 16 + 2);
}

t.test("a dead letter says where, why and with what stack; no path of this machine in it", async (t) => {
  const kit = new TestKit<Reading>(topology("tumbling", true));
  kit.event(1, { id: 3, key: "a", timeMs: 1, x: 1 }, { id: "three" });
  const [dead] = kit.dead();
  t.match(dead, { eventId: "three", reason: "map threw: planted" });
  t.match(dead?.stack, /^at explode \(rollback\.test\.[jt]s:\d+:\d+\)/);
  t.notMatch(dead?.stack, /\//);
});

t.test("policy fail: the task stops with the user's error", async (t) => {
  const failing = pipeline("test.fail")
    .from(testSource<Reading>())
    .map(({ value }) => explode(value), { onError: "fail" })
    .to(testTarget());
  t.throws(() => new TestKit<Reading>(failing).event(1, { id: 3, key: "a", timeMs: 1, x: 1 }), { message: "planted" });
});

t.test("what throws behind a window's result takes that result along, and no other", async (t) => {
  const topology = pipeline("test.behind")
    .from(testSource<Reading>())
    .map(readingOf)
    .keyBy(({ key }) => key)
    .window("w", tumbling({ sizeMs: 10 }))
    .aggregate({ n: count() })
    .lag("lag", { ttlMs: 100 })
    .map((pair) => {
      if (pair.value.key === "b") throw new Error("not b");
      return pair.value.key;
    })
    .to(testTarget());
  const kit = new TestKit<Reading>(topology);
  for (const key of ["c", "b", "a"]) kit.event(1, { id: 1, key, timeMs: 1, x: 1 });
  kit.watermark(10);
  t.same(kit.rows(), ["a", "c"]);
  t.match(kit.dead(), [{ reason: "map threw: not b" }]);
  t.equal(kit.metrics().find(({ name }) => name === "lag")?.keys, 2, "b left nothing in lag");
});

t.test(
  "an aggregate of the user's own that throws sets its result aside; the other keys' and the task go on",
  async (t) => {
    const explode = (when: string, where: string, on: boolean): void => {
      if (when === where && on) throw new Error(`planted in ${where}`);
    };
    const WINDOWS: Readonly<Record<string, WindowSpec>> = {
      tumbling: tumbling({ sizeMs: 10 }),
      lateness: tumbling({ sizeMs: 10, latenessMs: 50 }),
      hopping: hopping({ sizeMs: 10, slideMs: 5 }),
      session: session({ gapMs: 10 }),
      count: countOf(2),
    };
    for (const where of ["add", "merge", "result"]) {
      for (const [name, spec] of Object.entries(WINDOWS)) {
        const own = custom<Reading, readonly number[], number>({
          name: "own",
          init: () => [],
          add: (all, { x }) => {
            explode("add", where, x === 7);
            return [...all, x];
          },
          merge: (a, b) => {
            explode("merge", where, a.includes(7) || b.includes(7));
            return [...a, ...b];
          },
          result: (all) => {
            explode("result", where, all.includes(7));
            return all.length;
          },
        });
        const kit = new TestKit<Reading>(
          pipeline("test.own")
            .from(testSource<Reading>())
            .map(readingOf)
            .keyBy(({ key }) => key)
            .window("w", spec)
            .aggregate({ own })
            .to(testTarget()),
        );
        for (const [key, x, timeMs] of [
          ["a", 1, 1],
          ["b", 7, 2],
          ["a", 2, 6],
          ["b", 3, 8],
          ["c", 4, 3],
          ["c", 4, 4],
        ] as const)
          kit.event(timeMs, { id: timeMs, key, timeMs, x });
        kit.watermark(40);
        for (const timeMs of [60, 61]) kit.event(timeMs, { id: timeMs, key: "d", timeMs, x: 1 });
        kit.watermark(100).cut();
        const said = new Set(kit.rows<{ key: string; own: number }>().map(({ key }) => key));
        t.ok(said.has("d"), `${name}, ${where}: what comes later is said`);
        const merges = where === "merge" && name !== "hopping";
        if (merges) continue; // nothing to merge here
        t.ok(kit.dead().length > 0, `${name}, ${where}: ${kit.dead().length} dead letters`);
        t.ok(kit.dead().every(({ reason }) => reason.endsWith(`threw: planted in ${where}`)));
        if (where !== "merge") t.ok(said.has("a") && said.has("c"), `${name}, ${where}: neighbours are said`);
      }
    }
  },
);

import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { planAggregates } from "../../../../src/operators/engine/aggregates/plan.js";
import {
  argmax,
  argmin,
  type Collected,
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
  session,
  stddev,
  sum,
  sumIntegers,
  TestKit,
  type TopEntry,
  testSource,
  testTarget,
  top,
  tumbling,
  variance,
  type WindowRow,
  type WindowSpec,
} from "../../../../src/operators/engine/index.js";
import { Undo } from "../../../../src/operators/engine/state/undo.js";

/** An event whose numbers may be missing, of the wrong kind, or no numbers at all: aggregates skip those. */
interface Odd {
  readonly id: number;
  readonly key: string;
  readonly timeMs: number;
  readonly x: number | null;
  /** As x, but infinite at times. */
  readonly y: number | null;
  readonly whole: number | null;
  readonly text: string | null;
}

t.setTimeout(120_000);
const LIMIT = 3;
const GAP_MS = 12;
const BOUNDS = [-10, 0, 10];
const HALF_LIFE_MS = 10;
const QS = [0, 0.25, 0.5, 0.9, 1];
const isHigh = ({ x }: Odd): boolean => typeof x === "number" && x > 0;

const MERGED = {
  count: count(),
  sum: sum("y"),
  mean: mean("y"),
  min: min("x"),
  max: max("x"),
  variance: variance("y"),
  stddev: stddev("y"),
  argmin: argmin<Odd, number>(
    ({ x }) => x,
    ({ id }) => id,
  ),
  argmax: argmax<Odd, number>(
    ({ x }) => x,
    ({ id }) => id,
  ),
  first: first(({ id }: Odd) => id),
  last: last(({ id }: Odd) => id),
  integral: integral("y", { maxGapMs: GAP_MS }),
  duration: duration<Odd>(isHigh, { maxGapMs: GAP_MS }),
  rate: rate("y"),
  ewma: ewma("y", { halfLifeMs: HALF_LIFE_MS }),
  distinct: distinct("text"),
  top: top("text", { k: 2 }),
  collect: collect(({ id }: Odd) => id, { limit: LIMIT }),
  own: custom<Odd, readonly number[], string>({
    name: "ids",
    init: () => [],
    add: (ids, { id }) => [...ids, id],
    merge: (a, b) => [...a, ...b],
    result: (ids) => [...ids].sort((a, b) => a - b).join(" "),
  }),
};

/** What can be taken away exactly: sliding windows then subtract. */
const SUBTRACTED = {
  count: count(),
  sumIntegers: sumIntegers("whole"),
  distinctExact: distinctExact("text"),
  histogram: histogram("x", BOUNDS),
  quantiles: quantiles("y", QS),
  own: custom<Odd, number, number>({
    name: "sum of ids",
    init: () => 0,
    add: (total, { id }) => total + id,
    merge: (a, b) => a + b,
    subtract: (a, b) => a - b,
    result: (total) => total,
  }),
};

const finite = (values: readonly (number | null)[]): number[] =>
  values.filter((value): value is number => typeof value === "number" && Number.isFinite(value));
const byTime = (events: readonly Odd[]): Odd[] => [...events].sort((a, b) => a.timeMs - b.timeMs);
const total = (values: readonly number[]): number =>
  Number(values.reduce((all, value) => all + BigInt(value * 8), 0n)) / 8;

/** Two-pass, from the mean of the exact sum. */
function varianceOf(values: readonly number[]): number {
  const centre = total(values) / values.length;
  return values.length < 2
    ? Number.NaN
    : values.reduce((all, value) => all + (value - centre) ** 2, 0) / (values.length - 1);
}

function best(events: readonly Odd[], beats: (a: number, b: number) => boolean): number | undefined {
  let found: Odd | undefined;
  for (const event of byTime(events)) {
    if (typeof event.x !== "number" || Number.isNaN(event.x)) continue;
    if (found === undefined || beats(event.x, found.x as number)) found = event;
  }
  return found?.id;
}

const samples = (events: readonly Odd[]): { readonly timeMs: number; readonly y: number }[] =>
  byTime(events).flatMap(({ timeMs, y }) => (finite([y]).length === 1 ? [{ timeMs, y: y as number }] : []));

function pairs<S extends { readonly timeMs: number }>(all: readonly S[]): { a: S; b: S; gapMs: number }[] {
  return all.slice(1).map((b, i) => ({ a: all[i] as S, b, gapMs: b.timeMs - (all[i] as S).timeMs }));
}

function tally(values: readonly (string | null)[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) if (typeof value === "string") counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

/** Every aggregate from the plain list of a window's events, in the order they came. */
const NAIVE: Readonly<Record<string, (events: readonly Odd[]) => unknown>> = {
  count: (events) => events.length,
  sum: (events) => total(finite(events.map(({ y }) => y))),
  mean: (events) => total(finite(events.map(({ y }) => y))) / finite(events.map(({ y }) => y)).length,
  min: (events) => {
    const values = finite(events.map(({ x }) => x));
    return values.length === 0 ? Number.NaN : Math.min(...values);
  },
  max: (events) => {
    const values = finite(events.map(({ x }) => x));
    return values.length === 0 ? Number.NaN : Math.max(...values);
  },
  variance: (events) => varianceOf(finite(events.map(({ y }) => y))),
  stddev: (events) => Math.sqrt(varianceOf(finite(events.map(({ y }) => y)))),
  argmin: (events) => best(events, (a, b) => a < b),
  argmax: (events) => best(events, (a, b) => a > b),
  first: (events) => byTime(events)[0]?.id,
  last: (events) => byTime(events).at(-1)?.id,
  integral: (events) =>
    pairs(samples(events))
      .filter(({ gapMs }) => gapMs <= GAP_MS)
      .reduce((area, { a, b, gapMs }) => area + ((a.y + b.y) / 2) * gapMs, 0) / 3_600_000,
  duration: (events) =>
    pairs(byTime(events))
      .filter(({ a, gapMs }) => isHigh(a) && gapMs <= GAP_MS)
      .reduce((all, { gapMs }) => all + gapMs, 0),
  rate: (events) => {
    const all = samples(events);
    const [from, to] = [all[0], all.at(-1)];
    return from === undefined || to === undefined || to.timeMs === from.timeMs
      ? Number.NaN
      : ((to.y - from.y) / (to.timeMs - from.timeMs)) * 1_000;
  },
  ewma: (events) => {
    const all = samples(events);
    const newest = all.at(-1)?.timeMs ?? 0;
    const weighted = all.map(({ timeMs, y }) => ({ y, weight: 0.5 ** ((newest - timeMs) / HALF_LIFE_MS) }));
    const weight = weighted.reduce((sum, one) => sum + one.weight, 0);
    return weighted.reduce((sum, one) => sum + one.y * one.weight, 0) / weight;
  },
  distinct: (events) => tally(events.map(({ text }) => text)).size,
  top: (events) =>
    [...tally(events.map(({ text }) => text))]
      .sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
      .slice(0, 2)
      .map(([key, n]) => ({ key, count: n, error: 0 })),
  own: (events) =>
    events
      .map(({ id }) => id)
      .sort((a, b) => a - b)
      .join(" "),
  sumIntegers: (events) => finite(events.map(({ whole }) => whole)).reduce((a, b) => a + b, 0),
  distinctExact: (events) => tally(events.map(({ text }) => text)).size,
  histogram: (events) =>
    [Number.NEGATIVE_INFINITY, ...BOUNDS].map(
      (low, i) => finite(events.map(({ x }) => x)).filter((x) => x >= low && x < (BOUNDS[i] ?? Infinity)).length,
    ),
};

function check(name: string, found: unknown, events: readonly Odd[]): void {
  if (name === "collect") {
    const { items, dropped } = found as Collected<number>;
    const times = items.map((id) => events.find((event) => event.id === id)?.timeMs as number);
    assert.equal(items.length, Math.min(LIMIT, events.length));
    assert.equal(dropped, events.length - items.length);
    assert.deepEqual(
      times,
      [...times].sort((a, b) => a - b),
    );
    return;
  }
  if (name === "quantiles") {
    const sorted = finite(events.map(({ y }) => y)).sort((a, b) => a - b);
    QS.forEach((q, i) => {
      const estimate = (found as readonly number[])[i] as number;
      const exact = sorted[Math.floor(q * (sorted.length - 1))];
      if (exact === undefined) assert.ok(Number.isNaN(estimate));
      else
        assert.ok(Math.abs(estimate - exact) <= Math.abs(exact) * 0.0100001, `quantile ${q}: ${estimate} of ${exact}`);
    });
    return;
  }
  const expected = name === "own" && typeof found === "number" ? sumOfIds(events) : NAIVE[name]?.(events);
  if (typeof expected === "number" && Number.isFinite(expected)) {
    // Moments of far-apart magnitudes are the least exact; sums are compensated.
    const scale = Math.max(...finite(events.map(({ y }) => y)).map(Math.abs), 0);
    const slack = name === "sum" || name === "mean" ? 2 ** -50 * Math.abs(expected) : spread(name, scale, expected);
    assert.ok(Math.abs((found as number) - expected) <= slack, `${name}: ${found} for ${expected}`);
  } else {
    assert.deepEqual(found, expected, name);
  }
}

const sumOfIds = (events: readonly Odd[]): number => events.reduce((all, { id }) => all + id, 0);

function spread(name: string, scale: number, expected: number): number {
  if (name === "variance") return 1e-9 * Math.abs(expected) + 1e-9 * scale;
  if (name === "stddev") return 1e-7 * Math.abs(expected) + 1e-6;
  return ["integral", "rate", "ewma"].includes(name) ? 1e-9 * (Math.abs(expected) + scale) : 0;
}

const number = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: -160, max: 160 }).map((n) => n / 8) },
  { weight: 1, arbitrary: fc.constantFrom(1e15, -1e15, 1 / 8, 10, 0, -10) },
  { weight: 1, arbitrary: fc.constantFrom(null, undefined as never, Number.NaN, "7" as never) },
);
const event = fc.record({
  key: fc.constantFrom("a", "b"),
  timeMs: fc.integer({ min: -40, max: 60 }),
  x: number,
  y: fc.oneof({ weight: 8, arbitrary: number }, { weight: 1, arbitrary: fc.constantFrom(Infinity, -Infinity) }),
  whole: fc.oneof(fc.integer({ min: -50, max: 50 }), fc.constantFrom(null, undefined as never)),
  text: fc.oneof(fc.constantFrom("p", "q", "r", "ä", "longer"), fc.constantFrom(null, undefined as never)),
});
const events = fc.array(event, { maxLength: 40 }).map((all) => all.map((one, id): Odd => ({ id: id + 1, ...one })));

const WINDOWS: Readonly<Record<string, WindowSpec>> = {
  tumbling: tumbling({ sizeMs: 20 }),
  hopping: hopping({ sizeMs: 20, slideMs: 5 }),
  session: session({ gapMs: 10 }),
  count: countOf(3),
};

function kitOf(spec: WindowSpec): TestKit<Odd> {
  const keyed = pipeline("test.oracle")
    .from(testSource<Odd>())
    .map(({ value }) => value)
    .keyBy(({ key }) => key);
  keyed.window("merged", spec).aggregate(MERGED).to(testTarget("merged"));
  keyed.window("subtracted", spec).aggregate(SUBTRACTED).to(testTarget("subtracted"));
  return new TestKit<Odd>(keyed.topology);
}

for (const [kind, spec] of Object.entries(WINDOWS)) {
  t.test(`${kind}: every aggregate equals its plain computation, in any order and with any cuts`, async (t) => {
    const property = fc.property(events, fc.array(fc.nat(40)), (all, cuts) => {
      const kit = kitOf(spec);
      all.forEach((one, i) => {
        if (cuts.includes(i)) kit.cut();
        kit.event(one.timeMs, one);
      });
      kit.cut();
      kit.watermark(10_000);
      assert.deepEqual(kit.dead(), []);
      for (const stream of ["merged", "subtracted"]) {
        const seen = new Map<string, number>();
        for (const row of kit.rows<WindowRow<string, Record<string, unknown>>>(stream)) {
          const { key, startMs, endMs, kind: said, revision, ...results } = row;
          assert.deepEqual([said, revision], ["final", 0]);
          const nth = seen.get(key) ?? 0;
          seen.set(key, nth + 1);
          const own = all.filter((one) => one.key === key);
          const within =
            kind === "count"
              ? own.slice(nth * 3, nth * 3 + 3)
              : own.filter(({ timeMs }) => timeMs >= startMs && timeMs < endMs);
          assert.ok(within.length > 0, "a row has events");
          for (const [name, found] of Object.entries(results)) check(name, found, within);
        }
      }
    });
    t.doesNotThrow(() => fc.assert(property, { seed: 75, numRuns: 120 }));
  });
}

t.test("every aggregate by itself, folded in one part or in two that are merged", async (t) => {
  const property = fc.property(events, fc.nat(40), (all, cut) => {
    for (const aggregates of [MERGED, SUBTRACTED]) {
      const plan = planAggregates<Odd>(aggregates as typeof MERGED);
      const undo = new Undo();
      const rows = new Float64Array(plan.stride * 2);
      const cells = plan.cells.map((cell) => [cell.create(), cell.create()]);
      for (const slot of [0, 1]) plan.init(rows, slot * plan.stride);
      for (const [i, one] of all.entries()) {
        const slot = i < cut ? 0 : 1;
        plan.addParts(rows, slot * plan.stride, one, one.timeMs);
        plan.addCells(cells, slot, one, one.timeMs, undo);
      }
      plan.mergeParts(rows, 0, rows, plan.stride);
      for (const [i, cell] of plan.cells.entries()) cell.merge?.(cells[i]?.[0], cells[i]?.[1]);
      if (all.length === 0) continue;
      const row = plan.result(rows, 0, cells, 0, "a", 0, 1, "final", 0) as Record<string, unknown>;
      for (const name of plan.names) {
        // Of equals, parts that are merged in the order of panes, not of time, may choose another.
        const isChoice = ["argmin", "argmax", "first", "last", "rate", "integral", "duration"].includes(name);
        const isInOrder = new Set(all.map(({ timeMs }) => timeMs)).size === all.length;
        if (!isChoice || isInOrder || cut >= all.length) check(name, row[name], all);
      }
    }
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 74, numRuns: 300 }));
});

t.test("distinct: merged panes estimate what one sketch over all of them estimates, saved or not", async (t) => {
  const size = 4_000;
  const at = (i: number): number => (i * 7) % size;
  for (const name of [(i: number) => `name ${i}`, (i: number) => i / 3, (i: number) => -i]) {
    const keyed = pipeline("test.sketches")
      .from(testSource<number>())
      .map(({ value }) => name(value))
      .keyBy(() => "all");
    const kinds = { n: distinct((value: string | number) => value) };
    keyed
      .window("whole", tumbling({ sizeMs: size }))
      .aggregate(kinds)
      .to(testTarget("whole"));
    keyed
      .window("panes", hopping({ sizeMs: size, slideMs: 1_000 }))
      .aggregate(kinds)
      .to(testTarget("panes"));
    const kit = new TestKit<number>(keyed.topology);
    for (let i = 0; i < size; i++) {
      if (i === 2_000) kit.cut();
      kit.event(at(i), i);
    }
    kit.cut();
    kit.watermark(100_000);
    const [whole] = kit.rows<{ n: number }>("whole");
    const same = kit.rows<{ n: number; startMs: number }>("panes").find(({ startMs }) => startMs === 0);
    t.equal(whole?.n, same?.n);
    t.ok(Math.abs((whole?.n as number) - size) < size * 4 * 0.0163, `${whole?.n} of ${size}`);
  }
});

t.test("top: with fewer counters than values, counts stay within their stated error, merged or not", async (t) => {
  const property = fc.property(fc.array(fc.tuple(fc.nat(12), fc.nat(39)), { maxLength: 60 }), (all) => {
    const keyed = pipeline("test.top")
      .from(testSource<number>())
      .map(({ value }) => value)
      .keyBy(() => "all");
    const few = { common: top((value: number) => value, { k: 3, capacity: 4 }) };
    keyed
      .window("t", tumbling({ sizeMs: 40 }))
      .aggregate(few)
      .to(testTarget("t"));
    keyed
      .window("h", hopping({ sizeMs: 40, slideMs: 10 }))
      .aggregate(few)
      .to(testTarget("h"));
    const kit = new TestKit<number>(keyed.topology);
    for (const [value, timeMs] of all) kit.event(timeMs, value);
    kit.cut();
    kit.watermark(1_000);
    assert.deepEqual(kit.dead(), []);
    for (const row of ["t", "h"].flatMap((stream) =>
      kit.rows<WindowRow<string, { common: readonly TopEntry[] }>>(stream),
    )) {
      const within = all.filter(([, timeMs]) => timeMs >= row.startMs && timeMs < row.endMs).map(([value]) => value);
      for (const { key, count: counted, error } of row.common) {
        const exact = within.filter((value) => value === key).length;
        assert.ok(exact <= counted && counted - error <= exact, `${key}: ${counted} ± ${error} for ${exact}`);
        assert.ok(error <= within.length, `${error} of ${within.length}`);
      }
      const counts = row.common.map(({ count: counted }) => counted);
      assert.deepEqual(
        counts,
        [...counts].sort((a, b) => b - a),
      );
    }
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 76, numRuns: 200 }));
});

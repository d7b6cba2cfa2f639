import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import type { Aggregate, Cell, Part } from "../../../../src/operators/engine/aggregates/aggregate.js";
import { planAggregates } from "../../../../src/operators/engine/aggregates/plan.js";
import {
  collect,
  count,
  custom,
  distinct,
  first,
  last,
  max,
  mean,
  min,
  quantiles,
  rate,
  sum,
  sumIntegers,
  top,
  variance,
} from "../../../../src/operators/engine/index.js";
import { ByteReader, ByteWriter } from "../../../../src/operators/engine/state/bytes.js";
import { Undo } from "../../../../src/operators/engine/state/undo.js";
import type { Reading } from "../support/arrivals.js";
import { EVERY_AGGREGATE } from "../support/everything.js";

const x = (reading: Reading): number => reading.x;
/** Every aggregate, and sketches so small that they fill. */
const EVERY: Readonly<Record<string, Aggregate<Reading, unknown>>> = {
  ...(EVERY_AGGREGATE as unknown as Record<string, Aggregate<Reading, unknown>>),
  few: top(x, { k: 2, capacity: 3 }),
  texts: top<Reading>(({ x }) => `${x}`, { k: 2, capacity: 3 }),
  wide: distinct<Reading>(({ id, x }) => id * 100 + x, { precision: 4 }),
  taken: custom<Reading, number, number>({
    name: "taken",
    init: () => 0,
    add: (total, { x }) => total + x,
    merge: (a, b) => a + b,
    subtract: (a, b) => a - b,
    retract: (total, { x }) => total - x,
    result: (total) => total,
  }),
};
const PARTS = Object.entries(EVERY).flatMap(([name, { parts }]) => parts.map((part) => [name, part] as const));
const CELLS = Object.entries(EVERY).flatMap(([name, { cell }]) =>
  cell === undefined ? [] : [[name, cell as Cell<Reading, object>] as const],
);

const readings = fc
  .array(fc.record({ timeMs: fc.integer({ min: 0, max: 9 }), x: fc.integer({ min: -4, max: 4 }) }), { maxLength: 12 })
  .map((all) => all.map((one, id): Reading => ({ id, key: "a", ...one })));
const MARGIN = 5;

/** The part alone in the middle of a row that holds something else already. */
function rowOf({ width, init, add }: Part<Reading>, all: readonly Reading[]): Float64Array {
  const rows = new Float64Array(2 * MARGIN + width).fill(7.5);
  init(rows, MARGIN);
  for (const reading of all) add(rows, MARGIN, reading, reading.timeMs);
  assert.ok(
    rows.every((value, i) => (i >= MARGIN && i < MARGIN + width) || value === 7.5),
    "nothing beside it changes",
  );
  return rows;
}

const isNear = (a: number, b: number): boolean => a === b || Math.abs(a - b) <= 1e-12 * Math.max(1, Math.abs(b));

t.test("parts: keep to their place in the row, begin anew in a used one, and take away just what came", async (t) => {
  const property = fc.property(readings, readings, (ours, theirs) => {
    for (const [name, part] of PARTS) {
      const [rows, from] = [rowOf(part, ours), rowOf(part, theirs)];
      const clean = new Float64Array(part.width);
      part.init(clean, 0);
      const none = rowOf(part, []);
      assert.deepEqual(none.subarray(MARGIN, MARGIN + part.width), clean, name);
      const merged = rows.slice();
      part.merge(merged, MARGIN, from, MARGIN);
      assert.deepEqual(from, rowOf(part, theirs), "what is merged stays as it was");
      for (const [a, b] of [
        [rows, none],
        [none, rows],
        [none, none],
      ] as const) {
        const same = a.slice();
        part.merge(same, MARGIN, b, MARGIN);
        const isSame = (a === none ? b : a).every((value, i) => isNear(same[i] as number, value));
        assert.ok(isSame, `${name}: merged with none, ${same.join(" ")}`);
      }
      if (part.subtract !== undefined) {
        part.subtract(merged, MARGIN, from, MARGIN);
        assert.deepEqual(merged, rows, `${name}: subtracted again`);
      }
      if (part.retract !== undefined) {
        for (const reading of theirs) part.add(merged, MARGIN, reading, reading.timeMs);
        for (const reading of theirs) part.retract(merged, MARGIN, reading, reading.timeMs);
        assert.deepEqual(merged, rows, `${name}: retracted again`);
      }
    }
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 77, numRuns: 90 }));
});

function saved(cell: Cell<Reading, object>, state: object): string {
  const writer = new ByteWriter();
  cell.save(writer, state);
  return Buffer.from(writer.finish()).toString("hex");
}

function folded(cell: Cell<Reading, object>, all: readonly Reading[], state = cell.create()): object {
  const undo = new Undo();
  for (const reading of all) {
    undo.begin();
    cell.add(state, reading, reading.timeMs, undo);
    undo.commit();
  }
  return state;
}

function loaded(cell: Cell<Reading, object>, bytes: string): object {
  return cell.load(new ByteReader(Buffer.from(bytes, "hex")));
}

t.test("cells: taken back, saved and loaded, merged, subtracted, retracted: as if it had been said so", async (t) => {
  const property = fc.property(readings, readings, (ours, theirs) => {
    for (const [name, cell] of CELLS) {
      const before = saved(cell, folded(cell, ours));
      const both = saved(cell, folded(cell, [...ours, ...theirs]));
      const state = folded(cell, ours);
      const undo = new Undo();
      for (let round = 0; round < 2; round++) {
        undo.begin();
        undo.keep("something else");
        for (const reading of theirs) cell.add(state, reading, reading.timeMs, undo);
        assert.equal(saved(cell, state), both, name);
        undo.rollback();
        assert.equal(saved(cell, state), before, `${name}: taken back`);
      }
      assert.equal(saved(cell, folded(cell, theirs, loaded(cell, before))), both, `${name}: loaded, it goes on`);
      assert.equal(saved(cell, folded(cell, theirs, state)), both, `${name}: taken back, it goes on`);
      checkMerges(name, cell, ours, theirs);
      if (cell.retract === undefined) continue;
      undo.begin();
      for (const reading of theirs) cell.retract(state, reading, reading.timeMs, undo);
      assert.equal(saved(cell, state), before, `${name}: retracted`);
      undo.rollback();
      assert.equal(saved(cell, state), both, `${name}: the retraction taken back`);
    }
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 78, numRuns: 90 }));
});

function checkMerges(name: string, cell: Cell<Reading, object>, ours: readonly Reading[], theirs: readonly Reading[]) {
  const from = folded(cell, theirs);
  const into = folded(cell, ours);
  cell.merge?.(into, from);
  assert.equal(saved(cell, from), saved(cell, folded(cell, theirs)), `${name}: what is merged stays as it was`);
  // Which keys a full sketch keeps depends on the order, and a choice between equals on the time alone.
  if (!["few", "texts", "last", "collect"].includes(name))
    assert.equal(saved(cell, into), saved(cell, folded(cell, [...ours, ...theirs])), `${name}: merged`);
  if (cell.subtract === undefined) return;
  cell.subtract(into, from);
  assert.equal(saved(cell, into), saved(cell, folded(cell, ours)), `${name}: subtracted`);
}

/** The result over a list of events, of two panes that are merged when `cut` is given. */
function fold<R>(aggregate: Aggregate<Reading, R>, all: readonly Reading[], cut = all.length): R {
  const plan = planAggregates<Reading>({ r: aggregate });
  const undo = new Undo();
  const [rows, cells] = [new Float64Array(plan.stride * 2), plan.cells.map((cell) => [cell.create(), cell.create()])];
  for (const slot of [0, 1]) plan.init(rows, slot * plan.stride);
  for (const [i, reading] of all.entries()) {
    const slot = i < cut ? 0 : 1;
    plan.addParts(rows, slot * plan.stride, reading, reading.timeMs);
    plan.addCells(cells, slot, reading, reading.timeMs, undo);
  }
  plan.mergeParts(rows, 0, rows, plan.stride);
  for (const [i, cell] of plan.cells.entries()) cell.merge?.(cells[i]?.[0], cells[i]?.[1]);
  return (plan.result(rows, 0, cells, 0, "a", 0, 1, "final", 0) as { r: R }).r;
}

const at = (...all: readonly (readonly [timeMs: number, x: number | null | undefined])[]): Reading[] =>
  all.map(([timeMs, x], id) => ({ id, key: "a", timeMs, x: x as number }));

t.test("sums: what is lost is kept whichever is the larger, and when panes are merged", async (t) => {
  const sums = (...xs: number[]) => at(...xs.map((x, i) => [i, x] as const));
  for (const cut of [0, 1, 2, 4]) {
    t.equal(fold(sum(x), sums(1, 1e100, 1, -1e100), cut), 2);
    t.equal(fold(sum(x), sums(1e16, 1, 1, -1e16), cut), 2);
  }
  t.equal(fold(sumIntegers(x), at([0, 5], [1, null], [2, undefined])), 5, "what is missing adds nothing");
});

t.test("of equal times the first in the log is the earliest, and the last the latest", async (t) => {
  const same = at([5, 1], [0, 2], [0, 3], [5, 4], [5, 5], [0, 6]);
  t.equal(fold(first(x), same), 2);
  t.equal(fold(last(x), same), 5);
  t.equal(fold(rate(x), same), ((5 - 2) / 5) * 1_000);
  t.same(fold(rate(x), at([5, 1], [5, 9])), Number.NaN, "no time between them");
  t.same(fold(collect(x, { limit: 9 }), same).items, [2, 3, 6, 1, 4, 5]);
  const plain = (name: string): unknown => {
    const aggregate = EVERY[name] as Aggregate<Reading, unknown>;
    return fold(aggregate, same);
  };
  t.equal(plain("integral"), (((6 + 1) / 2) * 5) / 3_600_000, "from the last at 0 to the first at 5");
  t.equal(plain("duration"), 5);
});

t.test("collect: panes that are merged drop what all events together would drop", async (t) => {
  const all = at([0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [5, 6], [6, 7]);
  for (let cut = 0; cut <= all.length; cut++) {
    t.same(fold(collect(x, { limit: 2 }), all, cut).dropped, 5, `${cut} in the first`);
    t.equal(fold(collect(x, { limit: 2 }), all, cut).items.length, 2);
    t.same(fold(collect(x, { limit: 7 }), all, cut), { items: [1, 2, 3, 4, 5, 6, 7], dropped: 0 });
  }
});

t.test("quantiles: two values of any distance and sign, added in either order", async (t) => {
  const gamma = 1.01 / 0.99;
  const both = quantiles(x, [0, 1]);
  for (let bins = -45; bins <= 45; bins++) {
    for (const sign of [1, -1]) {
      const values = [sign * 3, sign * 3 * gamma ** bins];
      for (const [cut, list] of [
        [2, values],
        [1, values],
        [0, [...values].reverse()],
      ] as const) {
        const found = fold(both, at(...list.map((x, i) => [i, x] as const)), cut);
        const sorted = [...values].sort((a, b) => a - b);
        const isWithin = sorted.every((value, i) => Math.abs((found[i] as number) / value - 1) <= 0.0100001);
        assert.ok(isWithin, `${found} for ${sorted}`);
      }
    }
  }
  const near = (value: number): number => fold(quantiles(x, [0.5]), at([0, value]))[0] as number;
  t.ok(Math.abs(near(1e-12) / 1e-12 - 1) <= 0.0100001 && Math.abs(near(-1e-12) / -1e-12 - 1) <= 0.0100001);
  t.same([near(9e-13), near(-9e-13), near(0)], [0, 0, 0], "smaller magnitudes count as zero");
  const thrice = at([0, 2], [0, 2], [0, 2], [0, -3], [0, -3], [0, 0], [0, 0], [0, 40]);
  for (const cut of [3, 5, 8]) {
    const ranks = fold(quantiles(x, [0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1]), thrice, cut);
    t.same(
      ranks.map((value) => Math.round(value)),
      [-3, -3, 0, 0, 2, 2, 2, 40],
    );
  }
  t.same(fold(quantiles(x, [0.5]), []), [Number.NaN]);
});

t.test("each aggregate is called what the function is called that makes it", async (t) => {
  const { custom: own, ...others } = EVERY_AGGREGATE;
  for (const [name, aggregate] of Object.entries(others)) t.equal(aggregate.name, name);
  t.equal(own.name, "own");
});

t.test("a plan keeps equal parts once, and knows what it can merge and subtract", async (t) => {
  const widths = (aggregates: Record<string, Aggregate<never, unknown>>): number =>
    planAggregates<never>(aggregates).extraAt;
  t.equal(widths({ a: count(), b: count(), c: count() }), 1);
  t.equal(widths({ sum: sum("x"), mean: mean("x"), again: mean("x") }), 3, "a sum, and how many");
  t.equal(widths({ mean: mean("x"), other: mean("y") }), 6);
  t.equal(widths({ a: sum(x), b: sum(x) }), 4, "functions have no identity");
  t.equal(planAggregates<Reading>({ n: count(), low: min("x"), n2: count(), high: max("x") }, 2).stride, 5);
  const own = (more: object): Aggregate<Reading, number> =>
    custom<Reading, number, number>({ name: "own", init: () => 0, add: (n) => n + 1, result: (n) => n, ...more });
  const merge = (a: number, b: number): number => a + b;
  for (const [aggregates, mergeable, subtractable] of [
    [{ n: count(), total: sumIntegers("x") }, true, true],
    [{ n: count(), total: sum("x") }, true, false],
    [{ total: sum("x"), n: count() }, true, false],
    [{ v: variance("x") }, true, false],
    [{ n: count(), own: own({}) }, false, false],
    [{ n: count(), own: own({ merge }) }, true, false],
    [{ n: count(), own: own({ merge, subtract: merge }) }, true, true],
    [{ a: own({ merge, subtract: merge }), b: own({ merge }) }, true, false],
    [{ a: own({ merge }), b: own({}) }, false, false],
  ] as const) {
    const plan = planAggregates<Reading>(aggregates as never);
    t.same([plan.mergeable, plan.subtractable], [mergeable, subtractable], Object.keys(aggregates).join());
  }
  t.throws(() => planAggregates({ ["__proto__"]: count() }), {
    code: "MR_OPTION_INVALID",
    message: "an aggregate cannot be called __proto__: every result has that field",
  });
});

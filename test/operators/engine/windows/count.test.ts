import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import {
  collect,
  count,
  countOf,
  pipeline,
  sum,
  testSource,
  testTarget,
  type WindowRow,
} from "../../../../src/operators/engine/index.js";
import { eventsOf, type Reading, steps } from "../support/arrivals.js";
import { readingOf, run } from "../support/run.js";

interface Folded {
  readonly n: number;
  readonly total: number;
  readonly ids: { readonly items: readonly number[] };
}

t.test("every n events of a key as they come, from the earliest to just after the latest, with any cuts", async (t) => {
  const property = fc.property(steps(), fc.array(fc.nat(40)), fc.integer({ min: 1, max: 5 }), (all, cuts, size) => {
    const topology = () =>
      pipeline("test.count")
        .from(testSource<Reading>())
        .map(readingOf)
        .keyBy(({ key }) => key)
        .window("w", countOf(size))
        .aggregate({ n: count(), total: sum("x"), ids: collect(({ id }: Reading) => id, { limit: 9 }) })
        .to(testTarget());
    const open = new Map<string, Reading[]>();
    const expected: unknown[] = [];
    for (const event of eventsOf(all)) {
      const own = [...(open.get(event.key) ?? []), event];
      open.set(event.key, own.length === size ? [] : own);
      if (own.length < size) continue;
      const times = own.map(({ timeMs }) => timeMs);
      expected.push({
        key: event.key,
        startMs: Math.min(...times),
        endMs: Math.max(...times) + 1,
        kind: "final",
        revision: 0,
        n: size,
        total: own.reduce((sum, { x }) => sum + x, 0),
        ids: own.map(({ id }) => id).sort((a, b) => a - b),
      });
    }
    const whole = run(topology(), all);
    const rows = (whole.rows as WindowRow<string, Folded>[]).map((row) => ({
      ...row,
      ids: [...row.ids.items].sort((a, b) => a - b),
    }));
    assert.deepEqual(rows, expected);
    const waiting = [...open.values()].filter((own) => own.length > 0).length;
    assert.deepEqual(
      whole.kit.metrics().map(({ name, keys, bytes }) => [name, keys, bytes > 0]),
      [["w", waiting, true]],
    );
    assert.deepEqual(whole.late, [], "time has no part in it");
    assert.deepEqual(run(topology(), all, cuts).rows, whole.rows);
    assert.equal(run(topology(), all, "always").state, whole.state);
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 13, numRuns: 200 }));
});

t.test("a window whose completing row throws behind it is open again, and complete with the next", async (t) => {
  const topology = pipeline("test.count")
    .from(testSource<Reading>())
    .map(readingOf)
    .keyBy(({ key }) => key)
    .window("w", countOf(2))
    .aggregate({ ids: collect(({ id }: Reading) => id, { limit: 9 }), n: count() })
    .map((row) => {
      if (row.ids.items.includes(2)) throw new Error("not with 2");
      return row.ids.items.join(" ");
    })
    .to(testTarget());
  const all = [1, 2, 3, 4, 5].map((id) => ({
    kind: "event" as const,
    event: { id, key: "a", timeMs: id, x: 0 },
  }));
  const { rows, dead } = run(topology, all, "always");
  t.same(rows, ["1 3", "4 5"]);
  t.same(dead, ["2"]);
});

import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { compileFilter } from "../../../src/ws/channels/filter.js";
import type { Filter } from "../../../src/ws/protocol.js";

const data = { a: 1, s: "truck-07", yes: true, nothing: null, list: [1], deep: { er: { n: 0.5 } }, "dot.ted": 1 };

t.test("each test, on what it matches and on what it does not", async (t) => {
  const table: [filter: Filter, matches: boolean][] = [
    [{ eq: ["a", 1] }, true],
    [{ eq: ["a", "1"] }, false],
    [{ eq: ["yes", true] }, true],
    [{ eq: ["nothing", null] }, true],
    [{ eq: ["missing", null] }, false],
    [{ eq: ["deep.er.n", 0.5] }, true],
    [{ eq: ["deep.er", 0.5] }, false],
    [{ eq: ["a.b", 1] }, false],
    [{ eq: ["dot.ted", 1] }, false],
    [{ eq: ["constructor.name", "Object"] }, false],
    [{ eq: ["__proto__", null] }, false],
    [{ in: ["s", ["x", "truck-07"]] }, true],
    [{ in: ["s", ["x"]] }, false],
    [{ in: ["missing", [null]] }, false],
    [{ prefix: ["s", "truck-"] }, true],
    [{ prefix: ["s", "ruck"] }, false],
    [{ prefix: ["a", "1"] }, false],
    [{ range: ["a", { gte: 1 }] }, true],
    [{ range: ["a", { gt: 1 }] }, false],
    [{ range: ["a", { lte: 1 }] }, true],
    [{ range: ["a", { lt: 1 }] }, false],
    [{ range: ["a", { gt: 0, lt: 2 }] }, true],
    [{ range: ["a", { gt: 0, lt: "2" }] }, false],
    [{ range: ["s", { gte: "truck-07", lt: "truck-08" }] }, true],
    [{ range: ["s", { gt: 0 }] }, false],
    [{ range: ["yes", { gte: 0 }] }, false],
    [{ not: { eq: ["missing", 1] } }, true],
    [{ and: [{ eq: ["a", 1] }, { eq: ["a", 2] }] }, false],
    [{ or: [{ eq: ["a", 1] }, { eq: ["a", 2] }] }, true],
  ];
  for (const [filter, expected] of table)
    t.equal(compileFilter(filter)?.matches(data), expected, JSON.stringify(filter));
  for (const odd of [undefined, null, 7, "text", []]) t.equal(compileFilter({ eq: ["a", 1] })?.matches(odd), false);
});

t.test("32 tests and no more; the order of fields does not matter", async (t) => {
  const many = (count: number): Filter => ({ or: Array.from({ length: count }, () => ({ eq: ["a", 1] as const })) });
  t.ok(compileFilter(many(31)));
  t.equal(compileFilter(many(32)), undefined);
  const key = (filter: Filter) => compileFilter(filter)?.key;
  t.equal(key({ range: ["a", { gt: 1, lt: 2 }] }), key({ range: ["a", { lt: 2, gt: 1 }] }));
  t.not(key({ eq: ["a", 1] }), key({ eq: ["a", "1"] }));
});

t.test("not, and, or are what logic says, on any data", async (t) => {
  const leaf: fc.Arbitrary<Filter> = fc.oneof(
    fc.tuple(fc.constantFrom("a", "b", "c.d"), fc.oneof(fc.nat(3), fc.constantFrom("x", null))).map((eq) => ({ eq })),
    fc.nat(3).map((gt): Filter => ({ range: ["a", { gt }] })),
  );
  const property = fc.property(leaf, leaf, fc.object({ key: fc.constantFrom("a", "b", "c", "d") }), (p, q, value) => {
    const ask = (filter: Filter) => compileFilter(filter)?.matches(value);
    assert.equal(ask({ not: p }), !ask(p));
    assert.equal(ask({ and: [p, q] }), ask(p) && ask(q));
    assert.equal(ask({ or: [p, q] }), ask(p) || ask(q));
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 500, seed: 20_261_120 }));
});

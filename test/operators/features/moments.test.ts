import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { addMoment, emptyMoments, standardDeviation } from "../../../src/operators/index.js";

t.test("of none, one and few", async (t) => {
  const moments = emptyMoments();
  t.equal(standardDeviation(moments), 0);
  addMoment(moments, 5, 1);
  t.match(moments, { count: 1, mean: 5, min: 5, max: 5, last: 5 });
  t.equal(standardDeviation(moments), 0);
  for (const [i, value] of [2, 4, 4, 4, 5, 5, 7, 9].entries()) addMoment(moments, value, i + 2);
  t.equal(moments.count, 9);
  t.equal(moments.last, 9);
});

t.test("last is the latest, of equal times the larger, in either order", async (t) => {
  for (const values of [
    [3, 4],
    [4, 3],
  ]) {
    const moments = emptyMoments();
    for (const value of values) addMoment(moments, value, 7);
    addMoment(moments, 100, 6);
    t.equal(moments.last, 4);
  }
});

t.test("agrees with two passes, also far from zero", async (t) => {
  const property = fc.property(
    fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 2 }),
    fc.constantFrom(0, 1e9),
    (values, far) => {
      const moments = emptyMoments();
      for (const value of values) addMoment(moments, value + far, 0);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
      assert.ok(Math.abs(moments.mean - mean - far) < 1e-6);
      assert.ok(Math.abs(standardDeviation(moments) - Math.sqrt(variance)) < 1e-4);
    },
  );
  t.doesNotThrow(() => fc.assert(property, { seed: 3 }));
});

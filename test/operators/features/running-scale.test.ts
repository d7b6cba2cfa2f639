import t from "tap";
import { emptyScale, learnScale, scaled, usualRange } from "../../../src/operators/features/running-scale.js";

t.test("mean and spread of the first rows, then fading", async (t) => {
  const scale = emptyScale(2, 1e-9);
  for (const value of [8, 12, 8, 12]) learnScale(scale, [value, 5]);
  t.same(scale.mean, [10, 5]);
  t.same(scale.variance, [4, 0]);
  t.same(scaled(scale, [14, 5]), [2, 0]);
  t.equal(scaled(scale, [10, 5.05])[1]?.toFixed(6), "1.000000", "a constant's spread is a hundredth of it");
  for (let i = 0; i < 2000; i++) learnScale(scale, [100, 5]);
  t.ok(Math.abs((scale.mean[0] as number) - 100) < 0.01, "old rows fade");
});

t.test("no spread below the least; usual is two spreads, as far as it ever went", async (t) => {
  const scale = emptyScale(1, 1);
  for (const value of [0, 0, 0, 1]) learnScale(scale, [value]);
  t.same(scaled(scale, [3.25]), [3]);
  t.same(usualRange(scale, 0), { low: 0, high: 1 });
});

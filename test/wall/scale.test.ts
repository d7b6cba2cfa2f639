import fc from "fast-check";
import t from "tap";
import { linear, niceRange, timeTicks } from "../../dashboards/wall/scale.js";

t.test("a linear scale maps its ends, an empty one the middle", async (t) => {
  const scale = linear(10, 20, 100, 0);
  t.same([scale.at(10), scale.at(15), scale.at(20)], [100, 50, 0]);
  t.equal(linear(5, 5, 0, 100).at(5), 50);
});

t.test("ranges of round numbers", async (t) => {
  t.same(niceRange(3, 48, 4), { min: 0, max: 60, ticks: [0, 20, 40, 60] });
  t.same(niceRange(0.1, 0.3, 2), { min: 0, max: 0.4, ticks: [0, 0.2, 0.4] });
  t.same(niceRange(980, 1_010, 3), { min: 980, max: 1_010, ticks: [980, 990, 1_000, 1_010] });
  t.same(niceRange(-3, 5, 4), { min: -4, max: 6, ticks: [-4, -2, 0, 2, 4, 6] });
  t.same(niceRange(0, 0, 3).ticks.length >= 2, true);
  t.same(niceRange(2.5e-323, 2.5e-323, 1), { min: -2, max: 2, ticks: [-2, 0, 2] }, "too small to divide");
  t.same(niceRange(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3), { min: 0, max: 1, ticks: [0, 1] });
});

t.test("every range holds its values, its ticks rise and are few", async (t) => {
  const value = fc.double({ min: -1e9, max: 1e9, noNaN: true });
  const property = fc.property(value, value, fc.integer({ min: 1, max: 8 }), (a, b, wanted) => {
    const { min, max, ticks } = niceRange(a, b, wanted);
    const rising = ticks.every((tick, i) => i === 0 || tick > (ticks[i - 1] ?? 0));
    const slack = 1e-6 * Math.max(1, Math.abs(a), Math.abs(b));
    return min <= Math.min(a, b) + slack && max >= Math.max(a, b) - slack && rising && ticks.length <= wanted + 3;
  });
  t.doesNotThrow(() => fc.assert(property));
});

t.test("times fall on whole steps of UTC", async (t) => {
  const start = Date.parse("2026-11-07T09:07:00Z");
  const hours = timeTicks(start, start + 6 * 3_600_000, 7);
  t.equal(hours.daily, false);
  t.same(
    hours.ticks.map((ms) => new Date(ms).toISOString().slice(11, 16)),
    ["10:00", "11:00", "12:00", "13:00", "14:00", "15:00"],
  );
  const days = timeTicks(start, start + 6 * 86_400_000, 4);
  t.equal(days.daily, true);
  t.ok(days.ticks.every((ms) => ms % 86_400_000 === 0) && days.ticks.length <= 4);
  t.ok(timeTicks(0, 40 * 365 * 86_400_000, 5).ticks.length <= 6, "decades too");
  t.same(timeTicks(start, start, 5).ticks.length <= 1, true);
});

import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { random } from "../../../../bench/nexmark/generator.js";
import {
  type Aggregate,
  argmin,
  distinct,
  distinctExact,
  duration,
  ewma,
  histogram,
  integral,
  mean,
  pipeline,
  quantiles,
  rate,
  stddev,
  sum,
  sumIntegers,
  TestKit,
  testSource,
  testTarget,
  top,
  tumbling,
  variance,
} from "../../../../src/operators/engine/index.js";

interface Point {
  readonly timeMs: number;
  readonly x: number;
}

/** The aggregate over one window of points; `parts` > 1 folds them in so many panes that are merged in the end. */
function fold<R>(aggregate: Aggregate<Point, R>, points: readonly Point[]): R {
  const topology = pipeline("test.aggregate")
    .from(testSource<Point>())
    .map(({ value }) => value)
    .keyBy(() => "all")
    .window("w", tumbling({ sizeMs: 1_000_000 }))
    .aggregate({ r: aggregate })
    .to(testTarget());
  const kit = new TestKit<Point>(topology);
  for (const point of points) kit.event(point.timeMs, point);
  kit.watermark(1_000_000);
  return (kit.rows()[0] as { r: R }).r;
}

const at = (values: readonly number[]): Point[] => values.map((x, timeMs) => ({ timeMs, x }));
const numbers = fc.array(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 }), {
  minLength: 1,
  maxLength: 50,
});

t.test("sums are compensated: what plain addition loses is kept, in any order", async (t) => {
  t.equal(
    fold(
      sum<Point>(({ x }) => x),
      at([1e16, 1, -1e16]),
    ),
    1,
  );
  t.equal(fold(sum("x"), at(Array.from({ length: 10_000 }, () => 0.1))), 1_000);
  const property = fc.property(numbers, (values) => {
    const scale = 2 ** 40; // exact reference: integers of a fixed point
    const rounded = values.map((value) => Math.round(value * 1_024) / 1_024);
    const exact =
      Number(rounded.reduce((total, value) => total + BigInt(value * 1_024) * BigInt(scale), 0n) / BigInt(scale)) /
      1_024;
    assert.equal(fold(sum("x"), at(rounded)), exact);
    assert.ok(
      Math.abs(fold(mean("x"), at(rounded)) - exact / rounded.length) <= Math.abs(exact / rounded.length) * 1e-15,
    );
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 71, numRuns: 200 }));
  t.equal(fold(sumIntegers("x"), at([3, -5, 2 ** 52])), 2 ** 52 - 2);
});

t.test("variance: no cancellation far from zero", async (t) => {
  const shifted = [4, 7, 13, 16].map((value) => 1e9 + value);
  t.equal(fold(variance("x"), at(shifted)), 30);
  t.equal(fold(stddev("x"), at(shifted)), Math.sqrt(30));
  t.ok(Number.isNaN(fold(variance("x"), at([1]))));
});

t.test("integral, duration, rate: by event time, whatever the order of arrival; long gaps count nothing", async (t) => {
  const hour = 3_600_000;
  const litres = (points: Point[], maxGapMs?: number) =>
    fold(integral("x", maxGapMs === undefined ? {} : { maxGapMs }), points);
  const ramp = [
    { timeMs: 0, x: 0 },
    { timeMs: 900_000, x: 40 },
    { timeMs: 300_000, x: 20 },
  ];
  t.equal(litres(ramp), (20 / 2) * (300_000 / hour) + 30 * (600_000 / hour));
  t.equal(litres(ramp, 300_000), (10 * 300_000) / hour);
  t.equal(
    fold(
      duration<Point>(({ x }) => x > 10),
      ramp,
    ),
    600_000,
  );
  t.equal(fold(rate("x"), ramp), 40 / 900);
});

t.test("ewma: half a weight each half-life, in any order", async (t) => {
  const points = [
    { timeMs: 0, x: 8 },
    { timeMs: 10, x: 2 },
  ];
  const expected = (8 * 0.5 + 2) / 1.5;
  t.equal(fold(ewma("x", { halfLifeMs: 10 }), points), expected);
  t.equal(fold(ewma("x", { halfLifeMs: 10 }), [...points].reverse()), expected);
});

t.test("quantiles: within the stated relative error of the exact rank", async (t) => {
  const qs = [0, 0.01, 0.25, 0.5, 0.9, 0.99, 1];
  const wide = fc.array(
    fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e12, max: 1e12 }),
      fc.constant(0),
      fc.double({ min: 1e-6, max: 1, noNaN: true }),
    ),
    { minLength: 1, maxLength: 200 },
  );
  let worst = 0;
  const property = fc.property(wide, (values) => {
    const sorted = [...values].sort((a, b) => a - b);
    const found = fold(quantiles("x", qs), at(values));
    qs.forEach((q, i) => {
      const exact = sorted[Math.floor(q * (sorted.length - 1))] as number;
      const error = Math.abs((found[i] as number) - exact);
      if (Math.abs(exact) > 1e-9) worst = Math.max(worst, error / Math.abs(exact));
      assert.ok(error <= 0.01 * Math.abs(exact) + 1e-12, `${q}: ${found[i]} for ${exact}`);
    });
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 72, numRuns: 200 }));
  t.comment(`worst relative error ${worst.toExponential(2)} of 1e-2`);
});

t.test("distinct: exact up to 128, then within 4 standard errors over seeds", async (t) => {
  t.equal(fold(distinct("x"), at([...Array(500).keys()].map((i) => i % 128))), 128);
  let worst = 0;
  for (const n of [200, 1_000, 10_000, 40_000]) {
    for (const seed of [1, 2, 3]) {
      const chance = random(seed);
      const values = Array.from({ length: n }, () => chance());
      const exact = new Set(values).size;
      const error = Math.abs(fold(distinct("x"), at(values)) - exact) / exact;
      worst = Math.max(worst, error);
    }
  }
  t.ok(worst < 4 * 0.0163, `worst error ${(worst * 100).toFixed(2)} %`);
  t.equal(fold(distinctExact("x"), at([1, 2, 2, 3])), 3);
});

t.test("top: never too low, at most `error` too high, and error at most events / capacity", async (t) => {
  const property = fc.property(
    fc.array(fc.nat(30), { minLength: 1, maxLength: 300 }),
    fc.integer({ min: 3, max: 12 }),
    (values, capacity) => {
      const exact = new Map<number, number>();
      for (const value of values) exact.set(value, (exact.get(value) ?? 0) + 1);
      const found = fold(top("x", { k: 3, capacity }), at(values));
      for (const { key, count, error } of found) {
        const real = exact.get(key as number) as number;
        assert.ok(count >= real && count - error <= real && error <= values.length / capacity);
      }
      const mustBeThere = [...exact].filter(([, n]) => n > values.length / capacity).length;
      assert.ok(found.length >= Math.min(3, mustBeThere));
    },
  );
  t.doesNotThrow(() => fc.assert(property, { seed: 73, numRuns: 300 }));
});

t.test("histogram, argmin: classes are half-open; of equals the earliest", async (t) => {
  t.same(fold(histogram("x", [0, 10]), at([-1, 0, 9, 10, 11, Number.NaN])), [1, 2, 2]);
  t.equal(
    fold(
      argmin<Point, number>(
        ({ x }) => x,
        ({ timeMs }) => timeMs,
      ),
      [
        { timeMs: 5, x: 1 },
        { timeMs: 3, x: 1 },
        { timeMs: 4, x: 2 },
      ],
    ),
    3,
  );
  t.throws(() => histogram("x", [1, 1]));
});

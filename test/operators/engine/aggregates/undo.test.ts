import t from "tap";
import { random } from "../../../../bench/nexmark/generator.js";
import {
  type Aggregates,
  argmax,
  argmin,
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
  integral,
  last,
  max,
  mean,
  min,
  pipeline,
  quantiles,
  rate,
  session,
  sum,
  sumIntegers,
  TestKit,
  testSource,
  testTarget,
  top,
  tumbling,
  variance,
  type WindowSpec,
} from "../../../../src/operators/engine/index.js";

interface Reading {
  readonly id: number;
  readonly x: number;
  readonly timeMs: number;
}

const x = (reading: Reading): number => reading.x;
const id = (reading: Reading): number => reading.id;

/** Sketches of few counters, so that they fill, widen and push values out. */
const EVERY: Aggregates<Reading> = {
  count: count(),
  sum: sum(x),
  sumIntegers: sumIntegers(id),
  mean: mean(x),
  min: min(x),
  max: max(x),
  variance: variance(x),
  argmin: argmin(x, id),
  argmax: argmax(x, id),
  first: first(id),
  last: last(id),
  integral: integral(x),
  duration: duration<Reading>(({ x }) => x > 0),
  rate: rate(x),
  ewma: ewma(x, { halfLifeMs: 50 }),
  quantiles: quantiles(x, [0.1, 0.9]),
  distinct: distinct(x, { precision: 5 }),
  wide: distinct<Reading>(({ x }) => `value ${x}`),
  distinctExact: distinctExact(x),
  top: top<Reading>(({ x }) => Math.round(x / 10), { k: 2, capacity: 3 }),
  histogram: histogram(x, [-50, 0, 50]),
  collect: collect(id, { limit: 4 }),
  custom: custom<Reading, number, number>({
    name: "own",
    init: () => 0,
    add: (a, { id }) => a + id,
    merge: (a, b) => a + b,
    result: (a) => a,
  }),
};

const WINDOWS: Readonly<Record<string, WindowSpec>> = {
  tumbling: tumbling({ sizeMs: 100_000 }),
  session: session({ gapMs: 100_000 }),
  count: countOf(100_000),
};

/** Events of one key, of which every third throws behind the window. */
function run(spec: WindowSpec, failing: boolean): { readonly bytes: string; readonly rows: readonly unknown[] } {
  const keyed = pipeline("test.undo")
    .from(testSource<Reading>())
    .map(({ value }) => value)
    .keyBy(() => "all");
  keyed.window("w", spec).aggregate(EVERY).to(testTarget());
  keyed
    .map((reading) => {
      if (reading.id % 3 === 1) throw new Error("planted");
    })
    .to(testTarget("passed"));
  const kit = new TestKit<Reading>(keyed.topology);
  const chance = random(9);
  for (let i = 0; i < 900; i++) {
    const reading = { id: i, x: Math.floor(chance() * 2_000) / 8 - 125, timeMs: Math.floor(chance() * 1_000) };
    if (failing || i % 3 !== 1) kit.event(reading.timeMs, reading);
    if (i === 450) kit.cut();
  }
  const whole = Buffer.from(kit.save()).toString("latin1");
  kit.watermark(1_000_000);
  return { bytes: whole.slice(whole.lastIndexOf("\u0002w")), rows: kit.rows() };
}

for (const [name, spec] of Object.entries(WINDOWS)) {
  t.test(`${name}: of an event that throws no aggregate keeps anything, filled or not`, async (t) => {
    const [failed, clean] = [run(spec, true), run(spec, false)];
    t.same(failed.rows, clean.rows);
    t.ok(failed.bytes.length > 1_000, "the operator's part of the state");
    t.equal(failed.bytes, clean.bytes);
  });
}

t.test("what does not depend on the order of events is saved as the same bytes in any order", async (t) => {
  const save = (values: readonly (number | string)[]): string => {
    const keyed = pipeline("test.canonical")
      .from(testSource<number | string>())
      .map(({ value }) => value)
      .keyBy(() => "all");
    const number = (value: number | string): number => Number(String(value).length);
    keyed
      .window("w", tumbling({ sizeMs: 10 }))
      .aggregate({
        few: distinct((value: number | string) => value),
        many: distinct((value: number | string) => `${value} ${number(value)}`, { precision: 4 }),
        exact: distinctExact((value: number | string) => value),
        common: top((value: number | string) => value, { k: 300 }),
        middle: quantiles(number, [0.5]),
        classes: histogram(number, [2]),
      })
      .to(testTarget());
    const kit = new TestKit<number | string>(keyed.topology);
    for (const value of values) kit.event(1, value);
    return Buffer.from(kit.save()).toString("hex");
  };
  for (const count of [5, 120, 300]) {
    const values = Array.from({ length: count }, (_, i) => (i % 3 === 0 ? i * 7 - 50 : `value ${i}`));
    t.equal(save([...values].reverse()), save(values), `${count} values`);
  }
});

t.test("sums of integers: what would make them inexact is a dead letter, and leaves them as they were", async (t) => {
  const keyed = pipeline("test.inexact")
    .from(testSource<number>())
    .map(({ value }) => value)
    .keyBy(() => "all");
  keyed
    .window("w", tumbling({ sizeMs: 10 }))
    .aggregate({ total: sumIntegers((n: number) => n) })
    .to(testTarget());
  const kit = new TestKit<number>(keyed.topology);
  for (const n of [2 ** 52, 0.5, 2 ** 53, 2 ** 52, -5, Number.NaN]) kit.event(1, n);
  kit.watermark(10);
  t.match(kit.rows(), [{ total: 2 ** 52 - 5 }]);
  t.match(
    kit.dead().map(({ reason }) => reason),
    [0.5, 2 ** 53, 2 ** 52, Number.NaN].map((n) => `keyBy threw: sum of integers: ${n} makes it inexact`),
  );
});

t.test("options out of range are refused with what was given", async (t) => {
  const refused = (call: () => unknown, message: string): void => {
    t.throws(call, { code: "MR_OPTION_INVALID", message });
  };
  for (const precision of [3, 19, 4.5])
    refused(() => distinct("x", { precision }), `distinct needs a precision from 4 to 18, got ${precision}`);
  for (const accuracy of [0, 1, -1, Number.NaN])
    refused(() => quantiles("x", [0.5], { accuracy }), `quantile accuracy must lie between 0 and 1, got ${accuracy}`);
  for (const [k, capacity] of [
    [0, 5],
    [2.5, 5],
    [3, 2],
  ] as const)
    refused(
      () => top("x", { k, capacity }),
      `top needs a positive k and a capacity of at least k, got ${k} and ${capacity}`,
    );
  refused(() => histogram("x", [1, 1]), "histogram bounds must ascend, got 1, 1");
  refused(() => histogram("x", [Number.NaN]), "histogram bounds must ascend, got NaN");
  for (const precision of [4, 18]) t.ok(distinct("x", { precision }));
  t.ok(top("x", { k: 3, capacity: 3 }));
});

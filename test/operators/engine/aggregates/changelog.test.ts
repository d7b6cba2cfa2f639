import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import {
  count,
  countOf,
  custom,
  distinctExact,
  histogram,
  hopping,
  max,
  pipeline,
  quantiles,
  session,
  sum,
  sumIntegers,
  TestKit,
  testSource,
  testTarget,
  tumbling,
  type WindowRow,
  type WindowSpec,
} from "../../../../src/operators/engine/index.js";
import { type Reading, steps } from "../support/arrivals.js";
import { readingOf } from "../support/run.js";

/** A row of a changelog: said, or taken back. */
interface Change {
  readonly id: number;
  readonly timeMs: number;
  readonly x: number;
  readonly taken: boolean;
}

const ids = custom<Change, readonly number[], string>({
  name: "ids",
  init: () => [],
  add: (held, { id }) => [...held, id],
  retract: (held, { id }) => [...held, -id],
  merge: (a, b) => [...a, ...b],
  // What was added and taken back cancels out, in whatever panes either came.
  result: (held) =>
    held
      .filter((id) => id > 0 && !held.includes(-id))
      .sort((a, b) => a - b)
      .join(" "),
});
const AGGREGATES = {
  n: count(),
  total: sumIntegers<Change>(({ x }) => (x === 5 ? null : x)),
  kinds: distinctExact<Change>(({ x }) => (x === 5 ? null : x)),
  classes: histogram<Change>(({ x }) => x, [0]),
  middle: quantiles<Change>(({ x }) => (x === 5 ? null : x), [0.5]),
  ids,
};

function topology(spec: WindowSpec) {
  return pipeline("test.changelog")
    .from(testSource<Change>())
    .map(({ value }) => value)
    .keyBy(() => "all")
    .window("w", spec)
    .aggregate(AGGREGATES, { retracts: ({ taken }) => taken })
    .to(testTarget());
}

const WINDOWS: Readonly<Record<string, WindowSpec>> = {
  tumbling: tumbling({ sizeMs: 20 }),
  hopping: hopping({ sizeMs: 20, slideMs: 5 }),
  session: session({ gapMs: 10 }),
  count: countOf(4),
};

for (const [kind, spec] of Object.entries(WINDOWS)) {
  t.test(`${kind}: a row taken back leaves the window as if it had never been, with any cuts`, async (t) => {
    const change = fc.record({ timeMs: fc.nat(60), x: fc.integer({ min: -5, max: 5 }), takenAfterMs: fc.nat(12) });
    const property = fc.property(fc.array(change, { maxLength: 20 }), fc.array(fc.nat(40)), (all, cuts) => {
      const kit = new TestKit<Change>(topology(spec));
      const log = all.flatMap(({ timeMs, x, takenAfterMs }, i): Change[] => {
        const said: Change = { id: i + 1, timeMs, x, taken: false };
        return i % 3 === 1 ? [said, { ...said, timeMs: timeMs + takenAfterMs, taken: true }] : [said];
      });
      log.forEach((one, i) => {
        if (cuts.includes(i)) kit.cut();
        kit.event(one.timeMs, one);
      });
      kit.cut();
      kit.watermark(10_000);
      assert.deepEqual(kit.dead(), []);
      kit
        .rows<
          WindowRow<
            string,
            { n: number; total: number; kinds: number; classes: number[]; middle: number[]; ids: string }
          >
        >()
        .forEach(({ startMs, endMs, n, total, kinds, classes, middle, ids }, i) => {
          const within =
            kind === "count"
              ? log.slice(i * 4, i * 4 + 4)
              : log.filter(({ timeMs }) => timeMs >= startMs && timeMs < endMs);
          const signed = (of: (one: Change) => number): number =>
            within.reduce((sum, one) => sum + (one.taken ? -1 : 1) * of(one), 0);
          assert.equal(
            n,
            signed(() => 1),
          );
          assert.equal(
            total,
            signed(({ x }) => (x === 5 ? 0 : x)),
          );
          assert.deepEqual(classes, [signed(({ x }) => (x < 0 ? 1 : 0)), signed(({ x }) => (x >= 0 ? 1 : 0))]);
          const values = new Set(within.map(({ x }) => x));
          const there = [...values].filter((value) => value !== 5 && signed(({ x }) => (x === value ? 1 : 0)) > 0);
          assert.equal(kinds, there.length);
          const left = within.filter(({ id, taken }) => !taken && !within.some((b) => b.taken && b.id === id));
          const whole = within.every(({ id, taken }) => !taken || within.some((b) => !b.taken && b.id === id));
          const numbers = left.flatMap(({ x }) => (x === 5 ? [] : [x])).sort((a, b) => a - b);
          const exact = numbers[Math.floor(0.5 * (numbers.length - 1))];
          if (whole && exact === undefined) assert.ok(Number.isNaN(middle[0]));
          if (whole && exact !== undefined)
            assert.ok(Math.abs((middle[0] as number) - exact) <= 0.0100001 * Math.abs(exact), `${middle[0]}: ${exact}`);
          assert.equal(
            ids,
            left
              .map(({ id }) => id)
              .sort((a, b) => a - b)
              .join(" "),
          );
        });
    });
    t.doesNotThrow(() => fc.assert(property, { seed: 77, numRuns: 80 }));
  });
}

t.test("two stages: corrected rows of one window, taken back and said anew, sum up in the next", async (t) => {
  const topology = () =>
    pipeline("test.stages")
      .from(testSource<Reading>())
      .map(readingOf)
      .keyBy(({ key }) => key)
      .window("per key", tumbling({ sizeMs: 10, latenessMs: 30, retract: true }))
      .aggregate({ n: count() })
      .values()
      .keyBy(() => "all")
      .window("all keys", tumbling({ sizeMs: 10, latenessMs: 30 }))
      .aggregate(
        { keys: count(), events: sumIntegers("n"), sizes: quantiles("n", [0, 1]) },
        { retracts: ({ kind }) => kind === "retract" },
      )
      .to(testTarget());
  const property = fc.property(steps(), fc.array(fc.nat(40)), (all, cuts) => {
    const kit = new TestKit<Reading>(topology());
    const groups = new Map<number, Map<string, number>>();
    let watermarkMs = Number.NEGATIVE_INFINITY;
    all.forEach((step, i) => {
      if (cuts.includes(i)) kit.cut();
      if (step.kind === "mark") {
        watermarkMs = step.timeMs;
        kit.watermark(step.timeMs);
        return;
      }
      const { key, timeMs } = step.event;
      const startMs = Math.floor(timeMs / 10) * 10;
      if (startMs + 40 > watermarkMs) {
        const group = groups.get(startMs) ?? new Map<string, number>();
        groups.set(startMs, group.set(key, (group.get(key) ?? 0) + 1));
      }
      kit.event(timeMs, step.event);
    });
    const last = new Map(
      kit.rows<WindowRow<string, { keys: number; events: number; sizes: number[] }>>().map((row) => [row.startMs, row]),
    );
    assert.equal(last.size, groups.size);
    for (const [startMs, group] of groups) {
      const row = last.get(startMs);
      const sizes = [...group.values()];
      assert.equal(row?.keys, group.size);
      assert.equal(
        row?.events,
        sizes.reduce((a, b) => a + b, 0),
      );
      assert.ok(Math.abs((row?.sizes[1] as number) - Math.max(...sizes)) <= 0.011 * Math.max(...sizes));
      assert.ok(Math.abs((row?.sizes[0] as number) - Math.min(...sizes)) <= 0.011 * Math.min(...sizes));
    }
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 78, numRuns: 150 }));
});

t.test("an aggregate that cannot take a value away exactly is refused, by name", async (t) => {
  const window = pipeline("test.refused")
    .from(testSource<Change>())
    .map(({ value }) => value)
    .keyBy(() => "all")
    .window("w", tumbling({ sizeMs: 10 }));
  const retracts = ({ taken }: Change): boolean => taken;
  for (const [name, aggregates] of Object.entries({
    total: { n: count(), total: sum<Change>(({ x }) => x) },
    high: { high: max<Change>(({ x }) => x) },
    own: {
      own: custom<Change, number, number>({ name: "own", init: () => 0, add: (a) => a, result: (a) => a }),
    },
  })) {
    t.throws(() => window.aggregate(aggregates, { retracts }), {
      code: "MR_OPTION_INVALID",
      message: new RegExp(`^w: aggregate ${name} cannot take a value away exactly; use count, `),
    });
  }
});

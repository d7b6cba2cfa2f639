import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import type { Aggregates } from "../../../../src/operators/engine/index.js";
import {
  argmax,
  count,
  distinctExact,
  hopping,
  max,
  pipeline,
  quantiles,
  sum,
  sumIntegers,
  testSource,
  testTarget,
} from "../../../../src/operators/engine/index.js";
import { eventsOf, type Reading, type Step, steps } from "../support/arrivals.js";
import { readingOf, run } from "../support/run.js";

t.setTimeout(120_000);
interface Shape {
  readonly sizeMs: number;
  readonly slideMs: number;
  readonly offsetMs?: number;
  readonly latenessMs?: number;
}

const SHAPES: readonly Shape[] = [
  { sizeMs: 20, slideMs: 5 },
  { sizeMs: 20, slideMs: 20 },
  { sizeMs: 15, slideMs: 10 },
  { sizeMs: 12, slideMs: 8, offsetMs: 3 },
  { sizeMs: 20, slideMs: 8 },
  { sizeMs: 60, slideMs: 1 },
];

const SUBTRACTABLE = { n: count(), total: sumIntegers("x"), kinds: distinctExact("x"), q: quantiles("x", [0.5]) };
/** argmax takes part so that cells go through the stacks as well. */
const MERGEABLE = {
  n: count(),
  total: sum("x"),
  high: max("x"),
  best: argmax(
    (r: Reading) => r.x,
    (r) => r.id,
  ),
};

function topology(shape: Shape, aggregates: Aggregates<Reading>) {
  return pipeline("test.hop")
    .from(testSource<Reading>())
    .map(readingOf)
    .keyBy(({ key }) => key)
    .window("w", hopping(shape))
    .aggregate(aggregates)
    .to(testTarget());
}

function startsOf(timeMs: number, { sizeMs, slideMs, offsetMs = 0 }: Shape): number[] {
  const starts: number[] = [];
  const latest = Math.floor((timeMs - offsetMs) / slideMs) * slideMs + offsetMs;
  for (let start = latest; start > timeMs - sizeMs; start -= slideMs) starts.push(start);
  return starts;
}

/** Every window by itself, from a list of its events. On time means: some window of the event is still open. */
function oracle(
  all: readonly Step[],
  shape: Shape,
): { rows: { key: string; startMs: number; n: number; total: number; ids: number[] }[]; late: string[] } {
  let watermarkMs = Number.NEGATIVE_INFINITY;
  const late: string[] = [];
  const groups = new Map<string, Reading[]>();
  for (const step of all) {
    if (step.kind === "mark") {
      watermarkMs = Math.max(watermarkMs, step.timeMs);
      continue;
    }
    const starts = startsOf(step.event.timeMs, shape);
    const open = starts.filter((start) => start + shape.sizeMs > watermarkMs);
    if (open.length === 0 && starts.length > 0) late.push(String(step.event.id));
    for (const start of open)
      groups.set(`${start} ${step.event.key}`, [...(groups.get(`${start} ${step.event.key}`) ?? []), step.event]);
  }
  const rows = [...groups].map(([name, group]) => ({
    key: (group[0] as Reading).key,
    startMs: Number(name.slice(0, name.indexOf(" "))),
    n: group.length,
    total: group.reduce((sum, { x }) => sum + x, 0),
    ids: group.map(({ id }) => id),
  }));
  rows.sort((a, b) => a.startMs - b.startMs || (a.key < b.key ? -1 : 1));
  return { rows, late };
}

for (const [kind, aggregates] of Object.entries({ subtract: SUBTRACTABLE, stacks: MERGEABLE })) {
  t.test(`${kind}: equals every window counted by itself, with any cuts`, async (t) => {
    const property = fc.property(fc.constantFrom(...SHAPES), steps(), fc.array(fc.nat(40)), (shape, all, cuts) => {
      const whole = run(topology(shape, aggregates), all);
      const expected = oracle(all, shape);
      const rows = whole.rows as { key: string; startMs: number; n: number; total: number }[];
      const short = ({ key, startMs, n, total }: { key: string; startMs: number; n: number; total: number }) => [
        key,
        startMs,
        n,
        total,
      ];
      assert.deepEqual(rows.map(short), expected.rows.map(short));
      assert.deepEqual(whole.late, expected.late);
      assert.deepEqual(run(topology(shape, aggregates), all, cuts).rows, whole.rows);
      assert.equal(run(topology(shape, aggregates), all, "always").state, whole.state);
      assert.deepEqual(whole.kit.metrics()[0]?.keys, 0, "nothing is left when all windows are closed");
    });
    t.doesNotThrow(() => fc.assert(property, { seed: 5, numRuns: 400 }));
  });
}

t.test("stacks: no row is lost where windows end within a block and leave it in parts", async (t) => {
  const shape = { sizeMs: 20, slideMs: 8 };
  const kept: unknown[] = [];
  const expected: unknown[] = [];
  for (let first = 20; first < 40; first++) {
    for (let second = first; second < 60; second++) {
      const events = [first, second].map(
        (timeMs, id): Step => ({ kind: "event", event: { id, key: "a", timeMs, x: 0 } }),
      );
      const marks = [30, 44, 52, 60, 200].map((timeMs): Step => ({ kind: "mark", timeMs }));
      const all = [...events, ...marks];
      const rows = run(topology(shape, MERGEABLE), all).rows as { startMs: number; n: number }[];
      kept.push(rows.map(({ startMs, n }) => `${first} ${second}: ${startMs} ${n}`));
      expected.push(oracle(all, shape).rows.map(({ startMs, n }) => `${first} ${second}: ${startMs} ${n}`));
    }
  }
  t.same(kept, expected);
});

t.test("cells: distinct values, quantiles and argmax of each window are those of its events", async (t) => {
  const property = fc.property(fc.constantFrom(...SHAPES), steps(), (shape, all) => {
    const byId = new Map(eventsOf(all).map((event) => [event.id, event]));
    const expected = oracle(all, shape).rows.map(({ ids }) => ids.map((id) => byId.get(id) as Reading));
    const subtracted = run(topology(shape, SUBTRACTABLE), all).rows as { kinds: number; q: number[] }[];
    const stacked = run(topology(shape, MERGEABLE), all).rows as { high: number; best: number }[];
    expected.forEach((group, i) => {
      assert.equal(subtracted[i]?.kinds, new Set(group.map(({ x }) => x)).size);
      const exact = group.map(({ x }) => x).sort((a, b) => a - b)[Math.floor(0.5 * (group.length - 1))] as number;
      assert.ok(Math.abs((subtracted[i]?.q[0] as number) - exact) <= Math.abs(exact) * 0.01 + 1e-9);
      const high = Math.max(...group.map(({ x }) => x));
      assert.equal(stacked[i]?.high, high);
      assert.equal(byId.get(stacked[i]?.best as number)?.x, high);
    });
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 6, numRuns: 200 }));
});

t.test(
  "lateness: the last row of each window and key is that of all its events within the lateness, with any cuts",
  async (t) => {
    const shape = { sizeMs: 20, slideMs: 5, latenessMs: 30 };
    for (const aggregates of [SUBTRACTABLE, MERGEABLE]) {
      const property = fc.property(steps(), fc.array(fc.nat(40)), (all, cuts) => {
        const whole = run(topology(shape, aggregates), all);
        // A window takes corrections while its end + lateness is beyond the watermark: as if it ended that much later.
        let watermarkMs = Number.NEGATIVE_INFINITY;
        const expected = new Map<string, [number, number]>();
        for (const step of all) {
          if (step.kind === "mark") {
            watermarkMs = Math.max(watermarkMs, step.timeMs);
            continue;
          }
          for (const start of startsOf(step.event.timeMs, shape)) {
            if (start + shape.sizeMs + shape.latenessMs <= watermarkMs) continue;
            const [n, total] = expected.get(`${start} ${step.event.key}`) ?? [0, 0];
            expected.set(`${start} ${step.event.key}`, [n + 1, total + step.event.x]);
          }
        }
        const found = new Map<string, [number, number]>();
        for (const row of whole.rows as { key: string; startMs: number; n: number; total: number }[])
          found.set(`${row.startMs} ${row.key}`, [row.n, row.total]);
        assert.deepEqual(new Map([...found].sort()), new Map([...expected].sort()));
        assert.deepEqual(run(topology(shape, aggregates), all, cuts).rows, whole.rows);
        assert.equal(run(topology(shape, aggregates), all, "always").state, whole.state);
      });
      t.doesNotThrow(() => fc.assert(property, { seed: 7, numRuns: 300 }));
    }
  },
);

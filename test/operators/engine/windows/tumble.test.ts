import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import {
  count,
  max,
  mean,
  min,
  pipeline,
  sum,
  TestKit,
  testSource,
  testTarget,
  tumbling,
} from "../../../../src/operators/engine/index.js";
import { eventsOf, type Reading, type Step, steps } from "../support/arrivals.js";
import { readingOf, run } from "../support/run.js";

const SIZE = 10;

function topology(
  options: { latenessMs?: number; retract?: boolean; earlyEveryMs?: number; earlyEveryCount?: number } = {},
) {
  return pipeline("test.tumble")
    .from(testSource<Reading>())
    .map(readingOf)
    .keyBy(({ key }) => key)
    .window("w", tumbling({ sizeMs: SIZE, ...options }))
    .aggregate({ n: count(), total: sum("x"), low: min("x"), high: max("x"), mean: mean("x") })
    .to(testTarget());
}

interface Row {
  key: string;
  startMs: number;
  endMs: number;
  kind: string;
  revision: number;
  n: number;
  total: number;
}

/** The whole meaning of the operator, slowly: group by window and key what was in time, in the order of ends and keys. */
function oracle(all: readonly Step[]): { rows: unknown[]; late: string[] } {
  let watermarkMs = Number.NEGATIVE_INFINITY;
  const late: string[] = [];
  const groups = new Map<string, Reading[]>();
  for (const step of all) {
    if (step.kind === "mark") {
      watermarkMs = Math.max(watermarkMs, step.timeMs);
      continue;
    }
    const startMs = Math.floor(step.event.timeMs / SIZE) * SIZE;
    if (startMs + SIZE <= watermarkMs) late.push(String(step.event.id));
    else
      groups.set(`${startMs} ${step.event.key}`, [...(groups.get(`${startMs} ${step.event.key}`) ?? []), step.event]);
  }
  const rows = [...groups].map(([name, group]) => {
    const startMs = Number(name.slice(0, name.indexOf(" ")));
    const xs = group.map(({ x }) => x);
    const total = xs.reduce((a, b) => a + b, 0);
    const folded = { n: xs.length, total, low: Math.min(...xs), high: Math.max(...xs), mean: total / xs.length };
    return { key: group[0]?.key as string, startMs, endMs: startMs + SIZE, kind: "final", revision: 0, ...folded };
  });
  rows.sort((a, b) => a.startMs - b.startMs || (a.key < b.key ? -1 : 1));
  return { rows, late };
}

t.test("equals the oracle, in any order and with any cuts; every event is counted once or called late", async (t) => {
  const property = fc.property(steps(), fc.array(fc.nat(40)), (all, cuts) => {
    const whole = run(topology(), all);
    const expected = oracle(all);
    assert.deepEqual(whole.rows, expected.rows);
    assert.deepEqual(whole.late, expected.late);
    assert.deepEqual(run(topology(), all, cuts).rows, whole.rows);
    assert.equal(run(topology(), all, "always").state, whole.state);
    const counted = (whole.rows as Row[]).reduce((sum, { n }) => sum + n, 0);
    assert.equal(counted + whole.late.length, eventsOf(all).length);
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 3, numRuns: 300 }));
});

t.test("edges: half-open, on time, then late", async (t) => {
  const table = [
    { timeMs: 9, startMs: 0 },
    { timeMs: 10, startMs: 10 },
    { timeMs: -1, startMs: -10 },
  ];
  for (const { timeMs, startMs } of table) {
    const kit = new TestKit<Reading>(topology());
    const event = { id: 1, key: "a", timeMs, x: 1 };
    kit.event(timeMs, event).watermark(startMs + 9);
    t.same(kit.rows(), [], `${timeMs}: nothing 1 ms early`);
    kit.watermark(startMs + 10);
    t.match(kit.rows(), [{ startMs, endMs: startMs + 10, n: 1 }], `${timeMs}: fires at the end`);
    kit.event(timeMs, event);
    t.match(kit.late(), [{ lateByMs: 0 }], `${timeMs}: late from then on`);
    t.equal(kit.counters().late, 1);
  }
});

t.test("lateness: a corrected row at once, flagged, preceded by a retraction where asked for", async (t) => {
  for (const retract of [false, true]) {
    const kit = new TestKit<Reading>(topology({ latenessMs: 5, retract }));
    kit.event(1, { id: 1, key: "a", timeMs: 1, x: 1 }).watermark(10);
    kit.cut();
    kit.event(2, { id: 2, key: "a", timeMs: 2, x: 2 }).event(3, { id: 3, key: "b", timeMs: 3, x: 5 });
    kit.watermark(15).event(4, { id: 4, key: "a", timeMs: 4, x: 4 });
    const rows = (kit.rows() as Row[]).map(({ key, kind, revision, total }) => [key, kind, revision, total]);
    const update = ["a", "update", 1, 3];
    const expected = [
      ["a", "final", 0, 1],
      ...(retract ? [["a", "retract", 0, 1]] : []),
      update,
      ["b", "update", 0, 5],
    ];
    t.same(rows, expected, `retract ${retract}`);
    t.equal(kit.late().length, 1, "after the lateness: the late stream");
  }
});

t.test("early: at multiples of a time for keys that changed, and at multiples of a count", async (t) => {
  const kit = new TestKit<Reading>(topology({ earlyEveryMs: 3 }));
  kit.event(1, { id: 1, key: "a", timeMs: 1, x: 1 }).watermark(3).watermark(6);
  kit.event(7, { id: 2, key: "a", timeMs: 7, x: 2 }).watermark(20);
  const seen = (kit.rows() as Row[]).map(({ kind, revision, n }) => [kind, revision, n]);
  t.same(
    seen,
    [
      ["early", 0, 1],
      ["early", 1, 2],
      ["final", 2, 2],
    ],
    "the window that did not change said nothing at 6",
  );
  const counted = new TestKit<Reading>(topology({ earlyEveryCount: 2 }));
  for (let i = 0; i < 5; i++) counted.event(i, { id: i, key: "a", timeMs: i, x: 1 });
  counted.watermark(10);
  t.same(
    (counted.rows() as Row[]).map(({ kind, n }) => [kind, n]),
    [
      ["early", 2],
      ["early", 4],
      ["final", 5],
    ],
  );
});

t.test("errors: options, and names every row has already", async (t) => {
  for (const sizeMs of [0, -1, 1.5, Number.NaN]) t.throws(() => tumbling({ sizeMs }), { code: "MR_OPTION_INVALID" });
  t.throws(() => tumbling({ sizeMs: 1, latenessMs: -1 }), { code: "MR_OPTION_INVALID" });
  const keyed = pipeline("x")
    .from(testSource<Reading>())
    .map(readingOf)
    .keyBy(({ key }) => key);
  t.throws(() => keyed.window("w", tumbling({ sizeMs: 1 })).aggregate({ key: count() }), { code: "MR_OPTION_INVALID" });
});

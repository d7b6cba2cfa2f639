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

t.setTimeout(120_000);
const SIZE = 10;

function topology(
  options: {
    latenessMs?: number;
    retract?: boolean;
    offsetMs?: number;
    earlyEveryMs?: number;
    earlyEveryCount?: number;
  } = {},
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

interface Naive {
  readonly said: number;
  readonly changed: number;
  readonly events: readonly Reading[];
}

/**
 * Every option at once, a millisecond at a time: early rows at multiples of a time and of a count, finals at the end, corrections
 * with retractions within the lateness, late after it.
 */
function slowly(
  all: readonly Step[],
  spec: { latenessMs: number; retract: boolean; earlyEveryMs?: number; earlyEveryCount?: number; offsetMs: number },
): { readonly rows: readonly unknown[]; readonly late: readonly string[] } {
  const { latenessMs, retract, earlyEveryMs, earlyEveryCount, offsetMs } = spec;
  const rows: unknown[] = [];
  const late: string[] = [];
  const open = new Map<number, Map<string, Naive>>();
  let watermarkMs = -1_000;
  const say = (kind: string, startMs: number, key: string, of: Naive, revision = of.said): void => {
    const xs = of.events.map(({ x }) => x);
    const total = xs.reduce((a, b) => a + b, 0);
    const folded = { n: xs.length, total, low: Math.min(...xs), high: Math.max(...xs), mean: total / xs.length };
    rows.push({ key, startMs, endMs: startMs + SIZE, kind, revision, ...folded });
  };
  const pass = (timeMs: number): void => {
    for (const [startMs, keys] of [...open].sort(([a], [b]) => a - b)) {
      const isEnd = timeMs === startMs + SIZE;
      const isEarly =
        !isEnd && timeMs > startMs && timeMs < startMs + SIZE && (timeMs - startMs) % (earlyEveryMs ?? 1e9) === 0;
      for (const [key, of] of [...keys].sort(([a], [b]) => (a < b ? -1 : 1))) {
        if (!(isEnd || (isEarly && of.changed > 0))) continue;
        say(isEnd ? "final" : "early", startMs, key, of);
        keys.set(key, { ...of, said: of.said + 1, changed: 0 });
      }
    }
  };
  for (const step of all) {
    if (step.kind === "mark") {
      for (let timeMs = watermarkMs + 1; timeMs <= step.timeMs; timeMs++) pass(timeMs);
      watermarkMs = Math.max(watermarkMs, step.timeMs);
      continue;
    }
    const { key, timeMs, id } = step.event;
    const startMs = Math.floor((timeMs - offsetMs) / SIZE) * SIZE + offsetMs;
    if (startMs + SIZE + latenessMs <= watermarkMs) {
      late.push(String(id));
      continue;
    }
    const keys = open.get(startMs) ?? new Map<string, Naive>();
    open.set(startMs, keys);
    const old = keys.get(key) ?? { said: 0, changed: 0, events: [] };
    const now = { ...old, changed: old.changed + 1, events: [...old.events, step.event] };
    if (startMs + SIZE <= watermarkMs) {
      if (retract && old.said > 0) say("retract", startMs, key, old, old.said - 1);
      say("update", startMs, key, now);
      keys.set(key, { ...now, said: now.said + 1 });
    } else if (now.changed === earlyEveryCount) {
      say("early", startMs, key, now);
      keys.set(key, { ...now, said: now.said + 1, changed: 0 });
    } else {
      keys.set(key, now);
    }
  }
  return { rows, late };
}

t.test("every option at once equals the definition followed a millisecond at a time, with any cuts", async (t) => {
  const spec = fc.record(
    {
      latenessMs: fc.constantFrom(0, 5, 23),
      retract: fc.boolean(),
      offsetMs: fc.constantFrom(0, 3, -4),
      earlyEveryMs: fc.constantFrom(3, 4, 10),
      earlyEveryCount: fc.constantFrom(1, 2, 3),
    },
    { requiredKeys: ["latenessMs", "retract", "offsetMs"] },
  );
  const property = fc.property(steps(), fc.array(fc.nat(40)), spec, (all, cuts, options) => {
    const whole = run(topology(options), all);
    const expected = slowly(all, options);
    const revisable =
      options.latenessMs > 0 || options.earlyEveryMs !== undefined || options.earlyEveryCount !== undefined;
    assert.deepEqual(
      whole.rows,
      revisable ? expected.rows : expected.rows.map((row) => ({ ...(row as Row), revision: 0 })),
    );
    assert.deepEqual(whole.late, expected.late);
    assert.deepEqual(run(topology(options), all, cuts).rows, whole.rows);
    assert.equal(run(topology(options), all, "always").state, whole.state);
    assert.equal(whole.kit.metrics()[0]?.keys, 0);
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 4, numRuns: 250 }));
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

import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import {
  collect,
  count,
  pipeline,
  session,
  sum,
  TestKit,
  testSource,
  testTarget,
} from "../../../../src/operators/engine/index.js";
import { eventsOf, type Reading, type Step, steps } from "../support/arrivals.js";
import { readingOf, run } from "../support/run.js";

t.setTimeout(120_000);
const GAP = 10;

function topology(options: { latenessMs?: number; maxLengthMs?: number } = {}) {
  return pipeline("test.session")
    .from(testSource<Reading>())
    .map(readingOf)
    .keyBy(({ key }) => key)
    .window("s", session({ gapMs: GAP, ...options }))
    .aggregate({ n: count(), total: sum("x"), ids: collect(({ id }: Reading) => id, { limit: 100 }) })
    .to(testTarget());
}

interface Row {
  readonly key: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly kind: string;
  readonly n: number;
  readonly total: number;
}

const short = ({ key, startMs, endMs, n, total }: Row) => [key, startMs, endMs, n, total];
const inOrder = (a: Row, b: Row): number => a.endMs - b.endMs || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);

/** Sessions of a set of events that all came in time: sort, and cut at the gaps. */
function sessionsOf(events: readonly Reading[]): Row[] {
  const rows: Row[] = [];
  const open = new Map<string, { startMs: number; lastMs: number; n: number; total: number }>();
  const close = (key: string): void => {
    const found = open.get(key);
    if (found === undefined) return;
    rows.push({
      key,
      startMs: found.startMs,
      endMs: found.lastMs + GAP,
      kind: "final",
      n: found.n,
      total: found.total,
    });
    open.delete(key);
  };
  for (const { key, timeMs, x } of [...events].sort((a, b) => a.timeMs - b.timeMs)) {
    if (timeMs - (open.get(key)?.lastMs ?? timeMs) >= GAP) close(key);
    const found = open.get(key) ?? { startMs: timeMs, lastMs: timeMs, n: 0, total: 0 };
    open.set(key, { startMs: found.startMs, lastMs: timeMs, n: found.n + 1, total: found.total + x });
  }
  for (const key of [...open.keys()]) close(key);
  return rows.sort(inOrder);
}

function withoutMarks(all: readonly Step[]): Step[] {
  return [...all.filter(({ kind }) => kind === "event"), all[all.length - 1] as Step];
}

t.test("in any order before the watermark: the sessions of the sorted events, with any cuts", async (t) => {
  const property = fc.property(steps(), fc.array(fc.nat(40)), (all, cuts) => {
    const inTime = withoutMarks(all);
    const whole = run(topology(), inTime);
    assert.deepEqual((whole.rows as Row[]).map(short), sessionsOf(eventsOf(all)).map(short));
    assert.deepEqual(run(topology(), inTime, cuts).rows, whole.rows);
    assert.equal(whole.kit.metrics()[0]?.keys, 0);
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 8, numRuns: 300 }));
});

/** A session of the plain model: its events, and what they span. */
interface Held {
  readonly ids: readonly number[];
  readonly startMs: number;
  readonly lastMs: number;
}

/** The definition, slowly: which session each event falls into, given when it came. What was said meanwhile plays no part. */
function model(
  all: readonly Step[],
  { latenessMs, maxLengthMs }: { readonly latenessMs: number; readonly maxLengthMs: number },
): { readonly sessions: readonly string[]; readonly late: readonly string[] } {
  let watermarkMs = Number.NEGATIVE_INFINITY;
  const late: string[] = [];
  const held = new Map<string, readonly Held[]>();
  const done: string[] = [];
  const endOf = ({ startMs, lastMs }: Held): number => Math.min(lastMs + GAP, startMs + maxLengthMs);
  const close = (key: string, all: readonly Held[]): void => {
    for (const one of all) done.push(`${key} ${one.startMs} ${endOf(one)} ${[...one.ids].sort((a, b) => a - b)}`);
  };
  for (const step of all) {
    if (step.kind === "mark") {
      watermarkMs = step.timeMs;
      continue;
    }
    const { key, timeMs, id } = step.event;
    const own = held.get(key) ?? [];
    close(
      key,
      own.filter((one) => endOf(one) + latenessMs <= watermarkMs),
    );
    const kept = own.filter((one) => endOf(one) + latenessMs > watermarkMs);
    const lengthWith = ({ startMs, lastMs }: Held): number => Math.max(lastMs, timeMs) - Math.min(startMs, timeMs);
    const near = kept
      .filter((one) => timeMs < one.lastMs + GAP && timeMs > one.startMs - GAP && lengthWith(one) < maxLengthMs)
      .sort((a, b) => a.startMs - b.startMs);
    const [before, after] = near;
    const whole = before !== undefined && after !== undefined ? Math.max(after.lastMs, timeMs) - before.startMs : 0;
    const joined = after !== undefined && whole < maxLengthMs ? [before as Held, after] : near.slice(0, 1);
    if (joined.length === 0 && timeMs + GAP + latenessMs <= watermarkMs) {
      late.push(String(id));
      held.set(key, kept);
      continue;
    }
    const one: Held = {
      ids: [...joined.flatMap(({ ids }) => ids), id],
      startMs: Math.min(timeMs, ...joined.map(({ startMs }) => startMs)),
      lastMs: Math.max(timeMs, ...joined.map(({ lastMs }) => lastMs)),
    };
    held.set(key, [...kept.filter((other) => !joined.includes(other)), one]);
  }
  for (const [key, all] of held) close(key, all);
  return { sessions: done.sort(), late };
}

interface Said extends Row {
  readonly revision: number;
  readonly ids: { readonly items: readonly number[] };
}

t.test("with watermarks between: what is left after the retractions are the sessions of the definition", async (t) => {
  const options = fc.record({ latenessMs: fc.constantFrom(0, 15, 40), maxLengthMs: fc.constantFrom(12, 25, 1_000) });
  const property = fc.property(steps(), fc.array(fc.nat(40)), options, (all, cuts, shape) => {
    const whole = run(topology(shape), all);
    const expected = model(all, shape);
    const said = new Map<string, Said>();
    for (const row of whole.rows as Said[]) {
      const name = `${row.key} ${row.startMs} ${row.endMs} ${[...row.ids.items].sort((a, b) => a - b)}`;
      assert.equal(row.n, row.ids.items.length);
      if (row.kind === "retract") {
        const earlier = said.get(name);
        assert.ok(earlier, `${name} was never said`);
        assert.deepEqual({ ...row, kind: earlier.kind }, earlier, "a retraction is the row just as it was said");
        said.delete(name);
      } else {
        assert.ok(!said.has(name), `${name} is said twice`);
        assert.equal(row.kind === "final", row.revision === 0 && !(row.kind === "update"));
        said.set(name, row);
      }
    }
    assert.deepEqual([...said.keys()].sort(), expected.sessions);
    assert.deepEqual(whole.late, expected.late);
    assert.deepEqual(run(topology(shape), all, cuts).rows, whole.rows);
    assert.equal(run(topology(shape), all, "always").state, whole.state);
    assert.deepEqual(
      whole.kit.metrics().map(({ name, keys }) => [name, keys]),
      [["s", 0]],
    );
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 9, numRuns: 300 }));
});

t.test("edges: an event at the end opens the next session; one inside joins two", async (t) => {
  const kit = new TestKit<Reading>(topology());
  const at = (timeMs: number) => kit.event(timeMs, { id: timeMs, key: "a", timeMs, x: 1 });
  at(0);
  at(10);
  at(29);
  at(19); // within 10 of 10 and not of 29: 29 − 19 is the gap
  kit.watermark(100);
  t.same((kit.rows() as Row[]).map(short), [
    ["a", 0, 10, 1, 1],
    ["a", 10, 29, 2, 2],
    ["a", 29, 39, 1, 1],
  ]);
  const joined = new TestKit<Reading>(topology());
  for (const timeMs of [0, 12, 6]) joined.event(timeMs, { id: timeMs, key: "a", timeMs, x: 1 });
  joined.watermark(100);
  t.same((joined.rows() as Row[]).map(short), [["a", 0, 22, 3, 3]]);
});

t.test("lateness: a said session that grows or merges is retracted first", async (t) => {
  const kit = new TestKit<Reading>(topology({ latenessMs: 20 }));
  const at = (timeMs: number) => kit.event(timeMs, { id: timeMs, key: "a", timeMs, x: 1 });
  at(0);
  at(15);
  kit.watermark(26); // both said: [0,10) and [15,25)
  at(8); // joins them
  kit.cut();
  kit.watermark(100);
  const seen = (kit.rows() as Row[]).map(({ kind, startMs, endMs, n }) => [kind, startMs, endMs, n]);
  t.same(seen, [
    ["final", 0, 10, 1],
    ["final", 15, 25, 1],
    ["retract", 0, 10, 1],
    ["retract", 15, 25, 1],
    ["update", 0, 25, 3],
  ]);
});

t.test("maximum length: what would make a session too long opens the next", async (t) => {
  const kit = new TestKit<Reading>(topology({ maxLengthMs: 20 }));
  for (let timeMs = 0; timeMs < 50; timeMs += 5) kit.event(timeMs, { id: timeMs, key: "a", timeMs, x: 1 });
  kit.watermark(1000);
  t.same((kit.rows() as Row[]).map(short), [
    ["a", 0, 20, 4, 4],
    ["a", 20, 40, 4, 4],
    ["a", 40, 55, 2, 2],
  ]);
});

t.test("maximum length: an event between two sessions joins them only when the whole is short enough", async (t) => {
  const joined = (maxLengthMs: number): unknown[] => {
    const kit = new TestKit<Reading>(topology({ maxLengthMs }));
    for (const timeMs of [0, 9, 23, 32, 16]) kit.event(timeMs, { id: timeMs, key: "a", timeMs, x: 1 });
    return (kit.watermark(1_000).rows() as Row[]).map(short);
  };
  t.same(joined(33), [["a", 0, 33, 5, 5]]);
  t.same(joined(32), [
    ["a", 0, 26, 3, 3],
    ["a", 23, 42, 2, 2],
  ]);
});

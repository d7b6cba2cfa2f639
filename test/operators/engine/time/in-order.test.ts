import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { pipeline, TestKit, testSource, testTarget } from "../../../../src/operators/engine/index.js";
import { eventsOf, type Reading, steps } from "../support/arrivals.js";
import { readingOf, run } from "../support/run.js";

const topology = (fail = false) =>
  pipeline("test.order")
    .from(testSource<Reading>())
    .map(readingOf)
    .inOrder("held", { order: ({ key, id }) => `${key} ${id}` })
    .map((value, at) => {
      if (fail && value.x === 1) throw new Error("one");
      return { ...value, at: at.timeMs };
    })
    .to(testTarget());

t.test("held until the watermark has passed, then by time and order; behind it is late", async (t) => {
  const kit = new TestKit<Reading>(topology());
  const send = (id: number, timeMs: number, key: string) => kit.event(timeMs, { id, key, timeMs, x: 0 });
  send(1, 5, "b");
  send(2, 5, "a");
  send(3, 4, "z");
  kit.watermark(5);
  t.match(kit.rows(), [{ id: 3, at: 4 }], "one at the watermark may still have company");
  kit.cut();
  send(4, 5, "0");
  send(5, 4, "0");
  t.match(kit.late(), [{ lateByMs: 1 }]);
  kit.watermark(6);
  t.match(
    kit.rows<Reading>().map(({ id }) => id),
    [3, 4, 2, 1],
  );
  t.equal(kit.metrics()[0]?.keys, 0);
});

t.test("one that fails takes none along", async (t) => {
  const kit = new TestKit<Reading>(topology(true));
  for (const x of [0, 1, 2]) kit.event(5, { id: x, key: "a", timeMs: 5, x });
  kit.watermark(10);
  t.match(
    kit.rows<Reading>().map(({ x }) => x),
    [0, 2],
  );
  t.match(kit.dead(), [{ reason: "map threw: one" }]);
});

t.test("any order, cuts, steps of time: the same rows, sorted, none lost", async (t) => {
  const property = fc.property(steps(), fc.array(fc.nat(40)), (all, cuts) => {
    const whole = run(topology(), all);
    const rows = whole.rows as Reading[];
    assert.equal(rows.length + whole.late.length, eventsOf(all).length);
    for (const [i, row] of rows.entries()) {
      const before = rows[i - 1];
      assert.ok(before === undefined || before.timeMs <= row.timeMs);
    }
    const cut = run(topology(), all, cuts);
    assert.deepEqual(cut.rows, whole.rows);
    assert.equal(run(topology(), all, "always").state, whole.state);
    const inTime = eventsOf(all).filter(({ id }) => !whole.late.includes(String(id)));
    const last = all.at(-1);
    const once = run(topology(), [
      ...[...inTime].reverse().map((event) => ({ kind: "event" as const, event })),
      ...(last === undefined ? [] : [last]),
    ]);
    assert.deepEqual(once.rows, whole.rows, "one large step");
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 83, numRuns: 200 }));
});

import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { type Aggregate, type Tumbling, tumbling, type WindowResult } from "../../../src/operators/index.js";

const sum: Aggregate<number, { n: number; sum: number }, { n: number; sum: number }> = {
  init: () => ({ n: 0, sum: 0 }),
  add(total, value) {
    total.n++;
    total.sum += value;
  },
  result: (total) => ({ ...total }),
};
type Sum = { n: number; sum: number };

function advance(windows: Tumbling<number, Sum, Sum>, watermarkMs: number): WindowResult<Sum>[] {
  const fired: WindowResult<Sum>[] = [];
  windows.advance(watermarkMs, (result) => fired.push(result));
  return fired;
}

t.test("edges: half-open, on time, then late", async (t) => {
  const table = [
    { timeMs: 9, startMs: 0 },
    { timeMs: 10, startMs: 10 },
    { timeMs: -1, startMs: -10 },
  ];
  for (const { timeMs, startMs } of table) {
    const windows = tumbling(10, sum);
    t.equal(windows.add("k", timeMs, 1), undefined);
    t.same(advance(windows, startMs + 9), [], `${timeMs}: nothing 1 ms early`);
    t.equal(windows.add("k", timeMs, 1), undefined, `${timeMs}: still open`);
    t.match(advance(windows, startMs + 10), [{ key: "k", startMs, endMs: startMs + 10, result: { n: 2 } }]);
    t.equal(windows.add("k", timeMs, 1), 0, `${timeMs}: late from then on`);
    t.same(advance(windows, startMs + 25), []);
    t.equal(windows.add("k", timeMs, 1), 15, "late by the time since its end");
  }
});

t.test("results come by end, then by key, each once; a watermark that runs back fires nothing", async (t) => {
  const windows = tumbling(10, sum);
  for (const [key, timeMs] of [
    ["b", 15],
    ["a", 15],
    ["c", 5],
    ["a", 25],
  ] as const)
    windows.add(key, timeMs, 1);
  t.same(
    advance(windows, 20).map(({ key, endMs }) => `${endMs}${key}`),
    ["10c", "20a", "20b"],
  );
  t.same(advance(windows, 5), []);
  t.equal(advance(windows, 30).length, 1);
});

t.test("MR_OPTION_INVALID unless the size is a positive integer", async (t) => {
  for (const size of [0, -1, 0.5, Number.NaN]) t.throws(() => tumbling(size, sum), { code: "MR_OPTION_INVALID" });
});

t.test("each event is counted once or called late, and a restart changes nothing", async (t) => {
  const step = fc.record({
    key: fc.constantFrom("a", "b", "__proto__"),
    timeMs: fc.integer({ min: -50, max: 200 }),
    tick: fc.boolean(),
  });
  const property = fc.property(fc.array(step, { maxLength: 60 }), fc.nat(60), (steps, cut) => {
    const run = (restartAt: number): { fired: WindowResult<Sum>[]; late: number } => {
      let windows = tumbling(10, sum);
      const fired: WindowResult<Sum>[] = [];
      let late = 0;
      steps.forEach(({ key, timeMs, tick }, i) => {
        if (i === restartAt) {
          const saved = JSON.stringify(windows.save());
          windows = tumbling(10, sum);
          windows.load(JSON.parse(saved));
          assert.equal(JSON.stringify(windows.save()), saved);
        }
        if (tick) fired.push(...advance(windows, timeMs));
        else if (windows.add(key, timeMs, timeMs) !== undefined) late++;
      });
      fired.push(...advance(windows, 1_000));
      return { fired, late };
    };
    const { fired, late } = run(-1);
    assert.equal(fired.reduce((n, { result }) => n + result.n, 0) + late, steps.filter(({ tick }) => !tick).length);
    assert.equal(new Set(fired.map(({ key, startMs }) => `${key} ${startMs}`)).size, fired.length);
    assert.deepEqual(run(cut), { fired, late });
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 11 }));
});

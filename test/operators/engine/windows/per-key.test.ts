import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { count, max, pipeline, sum, TestKit, testSource, testTarget } from "../../../../src/operators/engine/index.js";
import { Process } from "../../../../src/operators/engine/keyed/process.js";
import { perKeyWindows } from "../../../../src/operators/engine/windows/per-key.js";
import { type Reading, steps } from "../support/arrivals.js";
import { Driven, leavesNoTrace } from "../support/driven.js";
import { readingOf } from "../support/run.js";

const OPTIONS = { sizeMs: 10, disorderMs: 4, maxDelayMs: 25 };

function topology() {
  return pipeline("test.perkey")
    .from(testSource<Reading>())
    .map(readingOf)
    .keyBy(({ key }) => key)
    .windowPerKey("w", OPTIONS, { n: count(), total: sum("x"), high: max("x") })
    .to(testTarget());
}

interface Device {
  highestMs: number;
  readonly open: Map<number, Reading[]>;
}

t.test(
  "windows per key: a list of events a device, and two clocks: its own, and the partition's long after",
  async (t) => {
    const { sizeMs, disorderMs, maxDelayMs } = OPTIONS;
    const property = fc.property(steps({ spanMs: 60 }), fc.array(fc.nat(40)), (all, cuts) => {
      const kit = new TestKit<Reading>(topology());
      const devices = new Map<string, Device>();
      const late: [id: string, lateByMs: number][] = [];
      const found: typeof late = [];
      const sayings: unknown[][] = [];
      let watermarkMs = Number.NEGATIVE_INFINITY;
      const fire = (key: string, device: Device, markMs: number): [dueMs: number, key: string, row: unknown][] =>
        [...device.open]
          .filter(([startMs]) => startMs + sizeMs <= markMs)
          .sort(([a], [b]) => a - b)
          .map(([startMs, events]) => {
            device.open.delete(startMs);
            const xs = events.map(({ x }) => x);
            const folded = { n: xs.length, total: xs.reduce((a, b) => a + b, 0), high: Math.max(...xs) };
            const row = { ...folded, key, startMs, endMs: startMs + sizeMs, kind: "final", revision: 0 };
            return [startMs + sizeMs + maxDelayMs, key, row];
          });
      all.forEach((step, i) => {
        if (cuts.includes(i)) kit.cut();
        if (step.kind === "mark") {
          watermarkMs = step.timeMs;
          kit.watermark(step.timeMs);
          const due = [...devices].flatMap(([key, device]) => fire(key, device, watermarkMs - maxDelayMs));
          due.sort(([a, k], [b, l]) => a - b || (k < l ? -1 : k > l ? 1 : 0));
          sayings.push(due.map(([, , row]) => row));
        } else {
          const { key, timeMs, id } = step.event;
          const device = devices.get(key) ?? { highestMs: Number.NEGATIVE_INFINITY, open: new Map() };
          devices.set(key, device);
          const startMs = Math.floor(timeMs / sizeMs) * sizeMs;
          const markOf = (): number => Math.max(device.highestMs - disorderMs, watermarkMs - maxDelayMs);
          kit.event(timeMs, step.event, { id: String(id) });
          if (startMs + sizeMs <= markOf()) {
            late.push([String(id), markOf() - startMs - sizeMs]);
            sayings.push([]);
          } else {
            device.open.set(startMs, [...(device.open.get(startMs) ?? []), step.event]);
            device.highestMs = Math.max(device.highestMs, timeMs);
            sayings.push(fire(key, device, markOf()).map(([, , row]) => row));
          }
        }
        found.push(...kit.late().map(({ eventId, lateByMs }): [string, number] => [eventId, lateByMs]));
        const said = kit.take().filter(({ stream }) => stream === "out");
        const rows = said.map(({ record }) => (record as unknown as { value: unknown }).value);
        assert.deepEqual(rows, sayings.at(-1), `after step ${i}`);
      });
      assert.deepEqual(found, late);
      assert.equal(kit.counters().late, late.length);
      assert.equal(kit.metrics()[0]?.keys, 0, "devices are forgotten");
    });
    t.doesNotThrow(() => fc.assert(property, { seed: 83, numRuns: 150 }));
  },
);

t.test("windows per key: late by the key's own clock, or by the partition's and the longest delay", async (t) => {
  const kit = new TestKit<Reading>(topology());
  const send = (key: string, timeMs: number) => kit.event(timeMs, { id: timeMs, key, timeMs, x: 1 });
  send("own", 14);
  send("own", 9); // the mark of its own stands at 10: the window [0, 10) is over
  kit.watermark(40);
  send("other", 9); // nothing of its own: the partition's says 40 − 25
  send("other", 10);
  t.same(
    kit.late().map(({ key, lateByMs }) => [key, lateByMs]),
    [
      ["own", 0],
      ["other", 5],
    ],
  );
});

t.test("windows per key: a window that was said has no timer left, one that is open has its own", async (t) => {
  const plain = perKeyWindows<string, Reading, { n: ReturnType<typeof count> }>("w", OPTIONS, { n: count() });
  const create = () =>
    new Driven(
      (runtime, next) => new Process(0, "w", runtime, plain, next),
      ({ push }, value) => push(value),
    );
  const driven = create();
  const send = (timeMs: number): void => driven.event({ id: 0, key: "a", timeMs, x: 0 });
  const timers = (): unknown => driven.held("a").map(({ value }) => (value as { timers: unknown }).timers);
  for (const timeMs of [112, 105, 107]) send(timeMs);
  t.same(timers(), [[135, 145]], "at the end and the longest delay");
  send(114);
  t.same(driven.rows, [{ key: "a", startMs: 100, endMs: 110, kind: "final", revision: 0, n: 2 }]);
  t.same(timers(), [[145]]);
  driven.advance(134);
  send(109);
  t.same(driven.late, [0]);
  driven.advance(145);
  t.match(driven.rows.slice(1), [{ startMs: 110, endMs: 120, n: 2 }]);
  t.same(timers(), [[]]);
  t.doesNotThrow(() => leavesNoTrace(create, 85));
});

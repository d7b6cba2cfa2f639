import t from "tap";
import { pipeline, TestKit, testSource, testTarget } from "../../../../src/operators/engine/index.js";
import type { Reading } from "../support/arrivals.js";
import { readingOf } from "../support/run.js";

const send = (kit: TestKit<Reading>, timeMs: number, x: number): TestKit<Reading> =>
  kit.event(timeMs, { id: timeMs, key: "a", timeMs, x });

t.test("window join: in time until the watermark reaches the window's end, late by what it is beyond", async (t) => {
  const keyed = pipeline("test.late")
    .from(testSource<Reading>())
    .map(readingOf)
    .keyBy(({ key }) => key);
  const kit = new TestKit<Reading>(
    keyed.joinWindow("j", keyed, { sizeMs: 10, combine: (a, b) => `${a.id} ${b.id}` }).to(testTarget()),
  );
  send(kit, 5, 1);
  send(kit.watermark(9), 6, 1);
  send(kit.watermark(10), 7, 1);
  send(kit.watermark(13), 8, 1);
  t.same(kit.rows(), ["5 5", "5 6", "6 5", "6 6"]);
  // Each event is late on both sides.
  t.same(
    kit.late().map(({ lateByMs }) => lateByMs),
    [0, 0, 3, 3],
  );
});

t.test("interval join: a partner whose event fails was none: the left is said without one", async (t) => {
  const keyed = pipeline("test.failed")
    .from(testSource<Reading>())
    .map(readingOf)
    .keyBy(({ key }) => key);
  const [left, right] = [keyed.filter(({ x }) => x < 0), keyed.filter(({ x }) => x >= 0)];
  left
    .joinInterval("j", right, {
      beforeMs: 0,
      afterMs: 10,
      combine: (a, b) => {
        if (b.x === 99) throw new Error("planted");
        return `${a.id} ${b.id}`;
      },
      unmatched: (a) => `${a.id} alone`,
    })
    .to(testTarget());
  const kit = new TestKit<Reading>(keyed.topology);
  send(send(send(kit, 1, -1), 2, 99), 20, -1);
  send(send(kit, 21, 99), 22, 5);
  kit.watermark(100);
  t.same([...kit.rows<string>()].sort(), ["1 alone", "20 22"]);
  t.equal(kit.dead().length, 2);
});

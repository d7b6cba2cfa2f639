import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import {
  count,
  pipeline,
  sum,
  TestKit,
  testSource,
  testTarget,
  tumbling,
} from "../../../../src/operators/engine/index.js";
import { ByteReader, ByteWriter } from "../../../../src/operators/engine/state/bytes.js";
import { Marks } from "../../../../src/operators/engine/time/marks.js";
import { eventsOf, type Reading, steps } from "../support/arrivals.js";
import { readingOf, run } from "../support/run.js";

t.test(
  "marks: newest event − disorder, no later than the source's clock; t − idle; the punctuated mark; the minimum wins",
  async (t) => {
    const marks = new Marks({ disorderMs: 5, idleAfterMs: 20, maxAheadMs: 100 });
    t.equal(marks.watermarkMs, Number.NEGATIVE_INFINITY);
    marks.observe("unknown", 1_000); // an unannounced source moves nothing
    marks.tick({ source: "a", t: 50 });
    t.equal(marks.watermarkMs, 30, "t − idle");
    marks.observe("a", 60);
    marks.tick({ source: "a", t: 51 });
    t.equal(marks.watermarkMs, 46, "the newest event counts no later than t");
    t.ok(marks.isAhead("a", 152), "too far ahead");
    t.notOk(marks.isAhead("a", 151));
    t.ok(marks.isAhead("unknown", 152), "of an unannounced source the latest clock counts");
    marks.tick({ source: "b", t: 40 });
    t.equal(marks.watermarkMs, 46, "never back");
    marks.tick({ source: "a", t: 90, mark: 80 });
    t.equal(marks.watermarkMs, 46, "b holds it");
    t.notOk(marks.tick({ source: "b", t: 40 }), "a time that is not later is ignored");
    marks.tick({ source: "b", t: 60, retire: true });
    t.equal(marks.watermarkMs, 80, "b is gone");
    marks.tick({ source: "a", t: 95, retire: true });
    t.equal(marks.watermarkMs, 95, "a retiring source completes everything up to its t");
    const writer = new ByteWriter();
    marks.save(writer);
    const other = new Marks({ disorderMs: 5, idleAfterMs: 20 });
    other.load(new ByteReader(writer.finish()));
    t.equal(other.watermarkMs, 95);
    t.throws(() => new Marks({ disorderMs: 10, idleAfterMs: 5 }), { code: "MR_OPTION_INVALID" });
  },
);

t.test("a source's mark moves at its own ticks: when others tick cannot show", async (t) => {
  const marks = new Marks({ disorderMs: 5, idleAfterMs: 20 });
  marks.tick({ source: "a", t: 50 });
  marks.tick({ source: "b", t: 100 });
  marks.observe("a", 50);
  t.equal(marks.watermarkMs, 30);
  marks.tick({ source: "b", t: 101 });
  t.equal(marks.watermarkMs, 30, "not at a tick of b");
  const writer = new ByteWriter();
  marks.save(writer);
  const other = new Marks({ disorderMs: 5, idleAfterMs: 20 });
  other.load(new ByteReader(writer.finish()));
  for (const one of [marks, other]) {
    one.tick({ source: "b", t: 102 });
    t.equal(one.watermarkMs, 30);
    one.tick({ source: "a", t: 51 });
    t.equal(one.watermarkMs, 45);
  }
});

t.test(
  "stages: marks pass time on, behind the outputs they cover; the next stage waits for each producer it was told of",
  async (t) => {
    const first = pipeline("first", { marks: { stream: "out", everyMs: 10 } })
      .from(testSource<Reading>())
      .map(readingOf)
      .keyBy(({ key }) => key)
      .window("w", tumbling({ sizeMs: 10 }))
      .aggregate({ n: count() })
      .to(testTarget());
    const kit = new TestKit<Reading>(first);
    kit.event(1, { id: 1, key: "a", timeMs: 1, x: 1 }).watermark(9).watermark(14).cut();
    kit.watermark(19).watermark(20);
    t.match(
      kit.take().map(({ subject, record }) => [subject, record]),
      [
        ["out.0._mark.first%2F0", { kind: "mark", watermarkMs: 0 }],
        ["out.0", { kind: "row" }],
        ["out.0._mark.first%2F0", { kind: "mark", watermarkMs: 10 }],
        ["out.0._mark.first%2F0", { kind: "mark", watermarkMs: 20 }],
      ],
    );
    const second = pipeline("second")
      .from(testSource<Reading>())
      .map(readingOf)
      .keyBy(({ key }) => key)
      .window("w", tumbling({ sizeMs: 10 }))
      .aggregate({ n: count() })
      .to(testTarget());
    const next = new TestKit<Reading>(second);
    next.control("producers", { producers: ["first/0", "first/1"] }).event(1, { id: 1, key: "a", timeMs: 1, x: 1 });
    next.mark("first/0", 30);
    t.same(next.rows(), [], "first/1 has not spoken");
    next.cut();
    next.mark("first/1", 10);
    t.equal(next.rows().length, 1);
    const told = pipeline("told")
      .from({ ...testSource<Reading>(), producers: ({ partitions }) => [`first/${partitions - 1}`] })
      .map(readingOf)
      .keyBy(({ key }) => key)
      .window("w", tumbling({ sizeMs: 10 }))
      .aggregate({ n: count() })
      .to(testTarget());
    const third = new TestKit<Reading>(told).event(1, { id: 1, key: "a", timeMs: 1, x: 1 }).mark("other/0", 10);
    t.same(third.rows(), [], "another's mark counts for nothing");
    third.cut();
    third.mark("first/0", 10);
    t.equal(third.rows().length, 1, "the source says itself whose marks it waits for");
  },
);

t.test(
  "per key: a device that stores and forwards is not late, whatever its neighbours have sent; conservation, and cuts never show",
  async (t) => {
    const topology = () =>
      pipeline("test.perkey")
        .from(testSource<Reading>())
        .map(readingOf)
        .keyBy(({ key }) => key)
        .windowPerKey("w", { sizeMs: 10, disorderMs: 5, maxDelayMs: 1_000 }, { n: count(), total: sum("x") })
        .to(testTarget());
    const kit = new TestKit<Reading>(topology());
    const send = (key: string, timeMs: number) => kit.event(timeMs, { id: timeMs, key, timeMs, x: 1 });
    send("near", 500);
    kit.watermark(490);
    send("far", 3);
    send("far", 14);
    send("far", 15);
    t.match(kit.rows(), [{ key: "far", startMs: 0, n: 1 }], "by its own time");
    send("far", 9);
    t.equal(kit.late().length, 1, "late by its own time");
    kit.watermark(1_020);
    t.match(kit.rows(), [{}, { key: "far", startMs: 10, n: 2 }], "no longer than maxDelayMs");
    const property = fc.property(steps(), fc.array(fc.nat(40)), (all, cuts) => {
      const whole = run(topology(), [...all, { kind: "mark", timeMs: 10_000 }]);
      const counted = (whole.rows as { n: number }[]).reduce((total, { n }) => total + n, 0);
      assert.equal(counted + whole.late.length, eventsOf(all).length);
      // Late by the key's own time alone: the others and the partition do not matter here.
      const highest = new Map<string, number>();
      const late = eventsOf(all).filter(({ key, timeMs }) => {
        const isLate = Math.floor(timeMs / 10) * 10 + 10 <= (highest.get(key) ?? -9_999) - 5;
        if (!isLate) highest.set(key, Math.max(timeMs, highest.get(key) ?? -9_999));
        return isLate;
      });
      assert.deepEqual(
        whole.late,
        late.map(({ id }) => String(id)),
      );
      assert.deepEqual(run(topology(), all, cuts).rows, run(topology(), all).rows);
      assert.equal(run(topology(), all, "always").state, run(topology(), all).state);
    });
    t.doesNotThrow(() => fc.assert(property, { seed: 81, numRuns: 200 }));
  },
);

t.test("marks: options out of range, sources saved in one order, silence of those that are there", async (t) => {
  for (const options of [
    { disorderMs: -1 },
    { disorderMs: 5, idleAfterMs: 4 },
    { maxAheadMs: -1 },
    { disorderMs: Number.NaN },
  ]) {
    t.throws(() => new Marks(options), {
      code: "MR_OPTION_INVALID",
      message: /^time needs 0 <= disorderMs <= idleAfterMs and maxAheadMs >= 0, got disorderMs /,
    });
  }
  t.ok(new Marks({ disorderMs: 5, idleAfterMs: 5, maxAheadMs: 0 }));
  const saved = (names: readonly string[]): string => {
    const marks = new Marks({});
    for (const source of names) marks.tick({ source, t: 10 });
    const writer = new ByteWriter();
    marks.save(writer);
    return Buffer.from(writer.finish()).toString("hex");
  };
  t.equal(saved(["b", "a", "c"]), saved(["c", "b", "a"]));
  const marks = new Marks({});
  t.equal(marks.silentForMs("a"), 0, "unknown");
  marks.tick({ source: "a", t: 10 });
  marks.tick({ source: "a", t: 30 });
  t.equal(marks.silentForMs("a"), 20);
  marks.observe("a", 5);
  t.equal(marks.silentForMs("a"), 0);
  marks.tick({ source: "a", t: 40 });
  t.equal(marks.silentForMs("a"), 10);
  marks.tick({ source: "a", t: 60, retire: true });
  t.equal(marks.silentForMs("a"), 0, "gone, not silent");
});

t.test("silence: the silent are saved in one order", async (t) => {
  const state = (names: readonly string[]): string => {
    const topology = pipeline("test.silent");
    topology.from(testSource<Reading>()).to(testTarget("events"));
    topology.silence("quiet", { afterMs: 5 }).to(testTarget());
    const kit = new TestKit<Reading>(topology);
    for (const at of [0, 10]) for (const source of names) kit.tick(at, { source });
    return Buffer.from(kit.save()).toString("hex");
  };
  t.equal(state(["b", "a", "c"]), state(["c", "b", "a"]));
});

import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import {
  count,
  hopping,
  max,
  pipeline,
  session,
  sumIntegers,
  TestKit,
  type Topology,
  testSource,
  testTarget,
  tumbling,
} from "../../../../src/operators/engine/index.js";
import { type Reading, steps } from "../support/arrivals.js";
import { readingOf } from "../support/run.js";

function topology(): Topology {
  const readings = pipeline("test.canonical").from(testSource<Reading>()).map(readingOf);
  const keyed = readings.keyBy(({ key, x }) => (x % 3 === 0 ? x : `${key}${x % 5}`));
  const folded = { n: count(), total: sumIntegers("x" as const) };
  readings.dedupe("seen", { id: ({ x }) => x, ttlMs: 40 }).to(testTarget("seen"));
  readings.inOrder("in order", { order: ({ id }) => String(id) }).to(testTarget("in order"));
  for (const [name, spec] of Object.entries({
    tumbling: tumbling({ sizeMs: 10, latenessMs: 5 }),
    subtracted: hopping({ sizeMs: 20, slideMs: 5 }),
    session: session({ gapMs: 8, latenessMs: 10 }),
  }))
    keyed.window(name, spec).aggregate(folded).to(testTarget(name));
  keyed
    .window("merged", hopping({ sizeMs: 20, slideMs: 5 }))
    .aggregate({ high: max("x") })
    .to(testTarget("merged"));
  keyed.lag("lag", { ttlMs: 40 }).to(testTarget("lag"));
  keyed
    .process<number, number>("process", {
      ttlMs: 40,
      init: () => 0,
      onEvent(n, { x }, at) {
        if (x % 4 === 0) at.setTimer(at.timeMs + 9);
        return x % 7 === 0 ? undefined : n + x;
      },
      onTimer: (n) => n + 1,
    })
    .to(testTarget("process"));
  const high = keyed.filter(({ x }) => x > 0);
  keyed.joinWindow("windowed", high, { sizeMs: 10, combine: (a, b) => [a.id, b.id] }).to(testTarget("windowed"));
  keyed
    .joinInterval("interval", high, { beforeMs: 6, afterMs: 6, combine: (a, b) => [a.id, b.id] })
    .to(testTarget("interval"));
  return keyed.topology;
}

t.test("a program that is saved all the time says, and ends with, what one that never was does", async (t) => {
  const property = fc.property(steps({ maxEvents: 60 }), (all) => {
    const [often, never] = [new TestKit<Reading>(topology()), new TestKit<Reading>(topology())];
    all.forEach((step, i) => {
      for (const kit of [often, never]) {
        if (step.kind === "mark") kit.watermark(step.timeMs);
        else kit.event(step.event.timeMs, step.event);
      }
      if (i % 2 === 0) often.save();
      if (i === all.length - 2) assert.ok(Buffer.from(often.save()).equals(never.save()), "the same bytes");
    });
    assert.deepEqual(often.take(), never.take());
    assert.ok(Buffer.from(often.save()).equals(never.save()), "the same bytes at the end");
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 93, numRuns: 40 }));
});

t.test("saved bytes do not show in which order windows were opened", async (t) => {
  const windows = fc.uniqueArray(fc.integer({ min: -6, max: 6 }), { minLength: 2, maxLength: 8 });
  const property = fc.property(
    windows.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
    (orders) => {
      const [one, other] = orders.map((order) => {
        const keyed = pipeline("test.opened")
          .from(testSource<Reading>())
          .map(readingOf)
          .keyBy(({ key }) => key);
        const folded = { n: count(), total: sumIntegers("x" as const) };
        keyed
          .window("tumbling", tumbling({ sizeMs: 10 }))
          .aggregate(folded)
          .to(testTarget());
        keyed
          .window("hopping", hopping({ sizeMs: 20, slideMs: 10 }))
          .aggregate(folded)
          .to(testTarget());
        keyed
          .window("session", session({ gapMs: 5 }))
          .aggregate(folded)
          .to(testTarget());
        keyed.joinWindow("join", keyed, { sizeMs: 10, combine: (a, b) => [a.id, b.id] }).to(testTarget());
        keyed
          .joinInterval("interval", keyed, { beforeMs: 3, afterMs: 3, combine: (a, b) => [a.id, b.id] })
          .to(testTarget());
        const kit = new TestKit<Reading>(keyed.topology);
        for (const i of order) kit.event(i * 10, { id: i, key: "a", timeMs: i * 10, x: i });
        const whole = Buffer.from(kit.save());
        const save = kit.beginSave();
        while (!save.step());
        assert.ok(Buffer.concat(save.parts as Uint8Array[]).equals(whole));
        return whole.toString("hex");
      });
      assert.equal(other, one);
    },
  );
  t.doesNotThrow(() => fc.assert(property, { seed: 94, numRuns: 40 }));
});

t.test(
  "saved bytes do not show in which order steps were declared, and are read by a topology of another",
  async (t) => {
    const declared = (names: readonly string[]): Topology => {
      const keyed = pipeline("test.declared")
        .from(testSource<Reading>())
        .map(readingOf)
        .keyBy(({ key }) => key);
      for (const name of names) keyed.lag(name, { ttlMs: name.length * 100 }).to(testTarget(name));
      return keyed.topology;
    };
    const [one, other] = [
      ["b", "aa", "c", "ab"],
      ["c", "ab", "b", "aa"],
    ].map((names) => {
      const kit = new TestKit<Reading>(declared(names));
      for (const [id, key] of ["x", "y", "x"].entries()) kit.event(id, { id, key, timeMs: id, x: id });
      return kit;
    }) as [TestKit<Reading>, TestKit<Reading>];
    const bytes = Buffer.from(one.save());
    t.ok(bytes.equals(other.save()));
    const save = other.beginSave();
    while (!save.step());
    t.ok(bytes.equals(Buffer.concat(save.parts as Uint8Array[])), "in steps too");
  },
);

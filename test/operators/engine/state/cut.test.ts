import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import {
  collect,
  count,
  hopping,
  pipeline,
  session,
  sum,
  TestKit,
  testSource,
  testTarget,
  tumbling,
} from "../../../../src/operators/engine/index.js";
import { type Reading, steps } from "../support/arrivals.js";
import { readingOf } from "../support/run.js";

t.test("a save in steps gives the bytes of the moment it began, whatever happens between its steps", async (t) => {
  const topology = () => {
    const keyed = pipeline("test.cut")
      .from(testSource<Reading>())
      .map(readingOf)
      .keyBy(({ key, x }) => `${key}${x}`);
    const aggregates = { n: count(), total: sum("x" as const), ids: collect(({ id }: Reading) => id, { limit: 5 }) };
    keyed
      .window("tumbling", tumbling({ sizeMs: 50, latenessMs: 20, earlyEveryMs: 10 }))
      .aggregate(aggregates)
      .to(testTarget());
    keyed
      .window("hopping", hopping({ sizeMs: 60, slideMs: 20 }))
      .aggregate(aggregates)
      .to(testTarget());
    keyed
      .window("session", session({ gapMs: 30 }))
      .aggregate(aggregates)
      .to(testTarget());
    keyed
      .map((reading) => {
        if (reading.id % 5 === 3) throw new Error("planted");
        return reading;
      })
      .to(testTarget("passed"));
    return keyed.topology;
  };
  const property = fc.property(
    steps({ maxEvents: 80 }),
    fc.nat(60),
    fc.integer({ min: 1, max: 3 }),
    (all, at, pace) => {
      const kit = new TestKit<Reading>(topology());
      let expected: Uint8Array | undefined;
      let save: ReturnType<typeof kit.beginSave> | undefined;
      let done = false;
      all.forEach((step, i) => {
        if (i === at) {
          expected = kit.save();
          save = kit.beginSave();
        }
        if (save !== undefined && i % pace === 0 && !done) done = save.step();
        if (step.kind === "mark") kit.watermark(step.timeMs);
        else kit.event(step.event.timeMs, step.event);
      });
      if (save === undefined) return;
      while (!done) done = save.step();
      assert.deepEqual(
        Buffer.concat(save.parts as Uint8Array[]).toString("hex"),
        Buffer.from(expected as Uint8Array).toString("hex"),
      );
    },
  );
  t.doesNotThrow(() => fc.assert(property, { seed: 91, numRuns: 300 }));
});

t.test("large tables: chunks that change are kept, sorted runs are merged", async (t) => {
  const topology = () =>
    pipeline("test.large")
      .from(testSource<Reading>())
      .map(readingOf)
      .keyBy(({ key }) => key)
      .window("w", tumbling({ sizeMs: 1_000 }))
      .aggregate({ n: count(), total: sum("x") })
      .to(testTarget());
  const kit = new TestKit<Reading>(topology());
  const send = (i: number) => kit.event(1, { id: i, key: `k${(i * 7_919) % 20_011}`, timeMs: 1, x: i });
  for (let i = 0; i < 12_000; i++) send(i);
  const expected = kit.save();
  const save = kit.beginSave();
  for (let i = 0; !save.step(); i++) for (let j = 0; j < 900; j++) send(i * 900 + j * 13);
  t.ok(Buffer.concat(save.parts as Uint8Array[]).equals(expected));
});

import t from "tap";
import { count, pipeline, TestKit, testSource, testTarget, tumbling } from "../../../../src/operators/engine/index.js";
import { forgetTime } from "../../../../src/operators/engine/topology/forget-time.js";
import type { Reading } from "../support/arrivals.js";
import { readingOf } from "../support/run.js";

t.test("state without its time: no watermark, no sources; what was counted and folded is all there", async (t) => {
  const topology = pipeline("test.forget", { version: 3, marks: { stream: "next", everyMs: 10 } })
    .from(testSource<Reading>())
    .map(readingOf)
    .keyBy(({ key }) => key)
    .window("w", tumbling({ sizeMs: 10 }))
    .aggregate({ n: count() })
    .to(testTarget());
  const kit = new TestKit<Reading>(topology);
  for (const [id, timeMs] of [31, 32, 5].entries()) kit.event(timeMs, { id, key: "a", timeMs, x: 0 });
  kit.watermark(20).event(3, { id: 9, key: "a", timeMs: 3, x: 0 });
  const context = { task: "t/0", partition: 0, partitions: 1, inference: { run: async () => new Float32Array() } };
  const whole = topology.create(context);
  whole.load(kit.save());
  const program = topology.create(context);
  program.load(forgetTime(kit.save()));
  t.equal(whole.watermarkMs(), 20);
  t.equal(program.watermarkMs(), undefined);
  t.match(program.counters(), { received: 4, late: 1 });
  t.same(program.counters(), whole.counters());
  t.same(program.held("a"), whole.held("a"));
  t.same(Buffer.from(forgetTime(program.save())), Buffer.from(program.save()), "there is no time left to forget");
});

import t from "tap";
import {
  count,
  pipeline,
  source,
  sum,
  TestKit,
  testSource,
  testTarget,
  tumbling,
} from "../../../../src/operators/engine/index.js";

interface Reading {
  readonly key: string;
  readonly x: number;
}

function sample() {
  return pipeline("test.sample", { summary: "readings per key" })
    .from(testSource<Reading>({ timing: { disorderMs: 5_000, idleAfterMs: 60_000 } }))
    .map(({ value }) => value)
    .keyBy(({ key }) => key)
    .window("hours", tumbling({ sizeMs: 3_600_000, latenessMs: 1_000 }))
    .aggregate({ n: count(), total: sum("x") })
    .to(testTarget());
}

t.test(
  "state is matched by name: a second step of one name, another program or damaged bytes are refused",
  async (t) => {
    const keyed = pipeline("twice")
      .from(testSource<Reading>())
      .map(({ value }) => value)
      .keyBy(({ key }) => key);
    keyed.lag("same", { ttlMs: 1 });
    t.throws(() => keyed.lag("same", { ttlMs: 1 }), { code: "MR_OPTION_INVALID" });
    t.throws(() => keyed.topology.from(source({ stream: "other", decode: () => undefined, time: () => 0 })), {
      code: "MR_OPTION_INVALID",
    });
    const kit = new TestKit<Reading>(sample());
    kit.event(1, { key: "a", x: 1 });
    const bytes = kit.save();
    const program = () =>
      sample().create({
        task: "t/0",
        partition: 0,
        partitions: 1,
        inference: { run: () => Promise.reject(new Error("none")) },
      });
    program().load(bytes);
    const renamed = pipeline("test.sample")
      .from(testSource<Reading>())
      .map(({ value }) => value)
      .keyBy(({ key }) => key)
      .lag("hours2", { ttlMs: 1 })
      .to(testTarget());
    const other = renamed.create({
      task: "t/0",
      partition: 0,
      partitions: 1,
      inference: { run: () => Promise.reject(new Error("none")) },
    });
    t.throws(() => other.load(bytes), { code: "MR_STATE_INCOMPATIBLE", message: /operator hours/ });
    for (const damaged of [
      bytes.subarray(0, bytes.length - 1),
      Buffer.concat([bytes, Buffer.of(0)]),
      Buffer.from("nonsense"),
    ]) {
      t.throws(() => program().load(damaged), { code: "MR_STATE_INCOMPATIBLE" });
    }
  },
);

t.test(
  "malformed: what cannot be decoded, has no time or lies ahead of its source is set aside with its bytes",
  async (t) => {
    const topology = sample();
    const kit = new TestKit<Reading>(topology);
    kit.event(0.5, { key: "a", x: 1 });
    kit.tick(0).control("unknown", {});
    t.match(kit.dead(), [{ reason: "event time must be an integer of ms, got 0.5" }]);
    t.match(kit.counters(), { received: 1, deadLettered: 1, accepted: 0 });
  },
);

t.test("control messages of one kind reach every step that asked for them", async (t) => {
  const topology = pipeline("test.control");
  topology.from(testSource<Reading>()).to(testTarget("readings"));
  const read = (body: unknown): number => (body as { n: number }).n;
  for (const name of ["one", "two", "three"]) topology.control("count", read).to(testTarget(name));
  const kit = new TestKit<Reading>(topology);
  kit.tick(0).control("count", { n: 7 });
  for (const name of ["one", "two", "three"]) t.same(kit.rows(name), [7], name);
});

t.test(
  "a timer set for a time that has passed is due at once, and the watermark does not go back for it",
  async (t) => {
    const topology = pipeline("test.past")
      .from(testSource<Reading>())
      .map(({ value }) => value)
      .keyBy(({ key }) => key)
      .process<number, number>("p", {
        ttlMs: 1_000,
        init: () => 0,
        onEvent(n, { x }, at) {
          at.setTimer(x);
          return n + 1;
        },
        onTimer(_n, timeMs, at) {
          at.emit(timeMs);
          at.emit(at.watermarkMs);
          return undefined;
        },
      })
      .to(testTarget());
    const kit = new TestKit<Reading>(topology);
    kit.watermark(100).event(101, { key: "a", x: 50 }).watermark(102);
    t.same(kit.rows(), [50, 100]);
  },
);

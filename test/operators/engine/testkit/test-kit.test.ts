import t from "tap";
import type { Inference, Output } from "../../../../src/core/index.js";
import { pipeline, source, TestKit, testSource, testTarget } from "../../../../src/operators/engine/index.js";

interface Told {
  readonly value: unknown;
  readonly timeMs: number;
  readonly source: string;
  readonly sequence: number;
}

const topology = () =>
  pipeline("test.kit")
    .from(testSource<unknown>({ stream: "in", timing: { maxAheadMs: 5 } }))
    .map(({ value }, { timeMs, source, sequence }): Told => ({ value, timeMs, source, sequence }))
    .to(testTarget());

t.test("events, one by one or many, with the source they name or `live`", async (t) => {
  const kit = new TestKit(topology());
  kit.event(1, "a").events([
    { timeMs: 2, value: "b", source: "pit" },
    { timeMs: 3, value: "c" },
  ]);
  t.same(kit.rows(), [
    { value: "a", timeMs: 1, source: "live", sequence: 1 },
    { value: "b", timeMs: 2, source: "pit", sequence: 2 },
    { value: "c", timeMs: 3, source: "live", sequence: 3 },
  ]);
  t.match(kit.take(), [{ stream: "out", subject: "out.0", record: { kind: "row" } }, {}, {}]);
  t.same(kit.take(), [], "once");
  t.same(kit.rows(), []);
});

t.test("identities: the event's own, else its number in the log; the source keeps its timing", async (t) => {
  const kit = new TestKit(topology());
  kit.tick(10).event(16, "far", { id: "mine" }).event(16, "farther").event(15, "near");
  t.match(kit.dead(), [
    { eventId: "mine", reason: "beyond source time", subject: "in.0.event" },
    { eventId: "3", reason: "beyond source time" },
  ]);
  t.equal(kit.rows().length, 1);
  t.match(kit.counters(), { received: 3, deadLettered: 2, accepted: 1 });
  t.same(kit.metrics(), []);
});

t.test("messages: bytes or text, with headers and a subject of their own", async (t) => {
  const told: unknown[] = [];
  const bytes = source<string>({
    stream: "raw",
    decode: (message, found) => {
      told.push([message.subject, Buffer.from(message.data).toString(), message.header("A"), message.header("B")]);
      found.event("one", 0, 0);
    },
    time: () => 1,
  });
  const kit = new TestKit(pipeline("test.raw").from(bytes).to(testTarget("elsewhere")));
  kit.message("text").message(Buffer.from("bytes"), { A: "a" }, "other");
  t.same(told, [
    ["raw.0.event", "text", undefined, undefined],
    ["raw.0.other", "bytes", "a", undefined],
  ]);
  t.equal(kit.rows("elsewhere").length, 2);
  t.match(kit.take()[0], { stream: "elsewhere", subject: "elsewhere.0" });
});

t.test("time: ticks of a source, promises, marks of tasks", async (t) => {
  const asked = pipeline("test.time");
  asked
    .from(testSource<unknown>())
    .inOrder("held", { order: () => "" })
    .map((_value, at) => at.timeMs)
    .to(testTarget());
  const timesOf = (pass: (kit: TestKit) => unknown): readonly unknown[] => {
    const kit = new TestKit(asked);
    for (const timeMs of [1, 100_000, 200_000]) kit.event(timeMs, 0);
    pass(kit);
    return kit.rows();
  };
  t.same(
    timesOf((kit) => kit.tick(100_000)),
    [1],
    "a minute behind a clock",
  );
  t.same(
    timesOf((kit) => kit.tick(100_000, { mark: 100_001 })),
    [1, 100_000],
  );
  t.same(
    timesOf((kit) => kit.tick(100_001, { retire: true })),
    [1, 100_000],
  );
  t.same(
    timesOf((kit) => kit.tick(0, { source: "other" }).watermark(100_001)),
    [],
    "another source holds it",
  );
  t.same(
    timesOf((kit) => kit.watermark(100_000)),
    [1],
    "to exactly there",
  );
  t.same(
    timesOf((kit) => kit.mark("up/0", 200_001)),
    [1, 100_000, 200_000],
  );
});

t.test("cuts: at every message, when told to; what goes on is another program with the same state", async (t) => {
  const counted = topology();
  let created = 0;
  let inference: Inference | undefined;
  const create = counted.create.bind(counted);
  counted.create = (context) => {
    created++;
    t.match(context, { task: "test.kit/0", partition: 0, partitions: 1 });
    inference = context.inference;
    return create(context);
  };
  const kit = new TestKit(counted);
  kit.event(1, "a").event(2, "b");
  t.equal(created, 1, "none unless asked for");
  const refused = await inference?.run("", new Float32Array(0), 1).catch((error: Error) => error.message);
  t.equal(refused, "the test kit has no inference");
  kit.cutAlways = true;
  kit.event(3, "c").tick(1);
  t.equal(created, 3);
  kit.cutAlways = false;
  const bytes = kit.cut();
  t.equal(created, 4);
  t.same(Buffer.from(kit.save()), Buffer.from(bytes));
  const save = kit.beginSave();
  while (!save.step());
  t.same(Buffer.concat(save.parts as Uint8Array[]), Buffer.from(bytes));
  t.equal(kit.counters().accepted, 3);
});

t.test("strict: what is handed over and what comes out is frozen through and through", async (t) => {
  const value = { list: [{ n: 1 }], bytes: Uint8Array.of(1), none: null };
  const seen: { list: { n: number }[]; bytes: Uint8Array }[] = [];
  const kit = new TestKit<typeof value>(
    pipeline("test.frozen")
      .from(testSource<typeof value>())
      .map(({ value }) => {
        seen.push(value);
        return { made: [{ m: 1 }] };
      })
      .to(testTarget()),
  );
  kit.event(1, value).event(1, value);
  const [first] = seen as [(typeof seen)[number]];
  t.ok(Object.isFrozen(first) && Object.isFrozen(first.list) && Object.isFrozen(first.list[0]));
  first.bytes[0] = 2; // a view cannot be frozen
  const [output] = kit.take() as [Output];
  t.ok(Object.isFrozen(output));
  const { made } = (output.record as unknown as { value: { made: object[] } }).value;
  t.ok(Object.isFrozen(made) && Object.isFrozen(made[0]));
});

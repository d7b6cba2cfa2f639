import t from "tap";
import { DAY_MS, MillraceError, type Output } from "../../../../src/core/index.js";
import {
  jsonLines,
  pipeline,
  type SourceOptions,
  source,
  TestKit,
  testTarget,
} from "../../../../src/operators/engine/index.js";

interface Event {
  readonly id: string;
  readonly at?: number;
  readonly from?: string;
}

function kitOf(options: Partial<SourceOptions<Event>> = {}): TestKit {
  const topology = pipeline("test.intake");
  const events = topology.from(
    source<Event>({
      stream: "test",
      decode: jsonLines((value) => value as Event),
      time: ({ at }) => at,
      source: ({ from = "live" }) => from,
      ...options,
    }),
  );
  events
    .map(({ id }, at) => {
      if (id === "bad") throw new Error("planted");
      return `${id} ${at.timeMs}`;
    })
    .to(testTarget());
  topology.silence("silence", { afterMs: 10 }).to(testTarget("silence"));
  const marked = events.inOrder("held", { order: ({ id }) => id });
  marked.map(({ id }) => id).to(testTarget("passed"));
  return new TestKit(topology);
}

const said = (...events: object[]): string => events.map((event) => JSON.stringify(event)).join("\n");

t.test("an event at its source's own time, for want of one or because its own cannot be, moves no time", async (t) => {
  const kit = kitOf({ timing: { maxAheadMs: 100, idleAfterMs: 50, ahead: "sourceTime" } });
  kit
    .tick(1_000)
    .message(said({ id: "ahead", at: 5_000 }, { id: "none" }, { id: "just", at: 1_100 }, { id: "own", at: 940 }));
  t.same(kit.rows(), ["ahead 1000", "none 1000", "just 1100", "own 940"]);
  t.match(kit.late(), [{ lateByMs: 10 }]);
  const other = kitOf({ timing: { maxAheadMs: 100, idleAfterMs: 50, ahead: "sourceTime" } });
  other
    .tick(1_000)
    .message(said({ id: "ahead", at: 5_000 }, { id: "none" }))
    .tick(1_001);
  t.same(other.rows("passed"), [], "the watermark is 951");
  other.message(said({ id: "true", at: 1_000 })).tick(1_002);
  t.same(other.rows("passed"), [], "1000");
  other.tick(1_051);
  t.same(other.rows("passed"), ["ahead", "none", "true"], "1001");
});

t.test("an event beyond its source's clock is refused, and is not heard", async (t) => {
  for (const unique of [undefined, { ttlMs: DAY_MS, by: ({ id }: Event) => id }]) {
    const kit = kitOf({ timing: { maxAheadMs: 100, idleAfterMs: 50 }, ...(unique && { unique }) });
    kit
      .tick(1_000)
      .message(said({ id: "ahead", at: 1_101 }))
      .tick(1_010);
    t.match(kit.dead(), [{ reason: "beyond source time", source: "live" }]);
    t.match(kit.rows("silence"), [{ kind: "silent" }]);
    kit.message(said({ id: "own", at: 1_110 })).tick(1_012);
    t.match(kit.rows("silence"), [{ kind: "silent" }, { kind: "back" }]);
    t.same(kit.rows(), ["own 1110"]);
  }
});

t.test("without a limit nothing is ahead, and where no clock is known the event's own time is taken", async (t) => {
  const kit = kitOf();
  kit.message(said({ id: "none" }, { id: "far", at: 9e15 }));
  t.same(kit.rows(), ["none 0", `far ${9e15}`]);
  kit.tick(5).message(said({ id: "late", from: "unannounced" }));
  t.same(kit.rows().at(-1), "late 5");
  for (const at of [0.5, "text", Number.MAX_SAFE_INTEGER + 1, null]) kit.message(said({ id: "x", at }));
  t.same(
    kit.dead().map(({ reason }) => reason),
    [0.5, "text", Number.MAX_SAFE_INTEGER + 1, null].map((at) => `event time must be an integer of ms, got ${at}`),
  );
});

t.test(
  "unique: once by the source's clock; refused ones by their bytes and place; failed ones may come again",
  async (t) => {
    const kit = kitOf({ unique: { ttlMs: DAY_MS, by: ({ id }) => id } });
    kit.message(said({ id: "a", at: 1 }, { id: "a", at: 2 }, { id: "bad", at: 3 }, { id: "bad", at: 3 }));
    t.match(kit.counters(), { received: 4, duplicates: 1, deadLettered: 2, accepted: 1 });
    kit.message("{\n{").message("{\n{").message("[");
    t.match(kit.counters(), { received: 9, duplicates: 3, deadLettered: 5, accepted: 1 });
    t.match(kit.metrics()[0], { name: "from test", keys: 4 });
    const days = kitOf({ unique: { ttlMs: DAY_MS, by: ({ id }) => id } });
    days
      .tick(10 * DAY_MS)
      .message(said({ id: "old", at: 5 }))
      .watermark(10 * DAY_MS + 1);
    days.message(said({ id: "old", at: 5 }));
    t.match(days.counters(), { duplicates: 1 }, "filed by the day of its delivery, whatever its own time");
  },
);

t.test("a dead control message is no event: it has its own bytes, and nobody's identity", async (t) => {
  const kit = kitOf({ id: ({ id }) => `<${id}>` });
  kit.message(said({ id: "bad", at: 1 })).message(said({ id: "good", at: 1 }));
  kit.message("not JSON", {}, "_ctl.command");
  t.match(kit.dead(), [
    { eventId: "<bad>", bytesTotal: 19, source: "live", origin: { index: 0 } },
    { eventId: "", bytesTotal: 8, source: "", origin: { index: 0, sequence: 3 } },
  ]);
  t.match(kit.dead()[1]?.reason, /^control message test\.0\._ctl\.command: /);
});

t.test("what a step throws: the step, the message and where; of a malformed event its reason alone", async (t) => {
  const topology = (error: unknown) =>
    pipeline("test.thrown")
      .from(source<Event>({ stream: "test", decode: jsonLines((value) => value as Event), time: () => 1 }))
      .map(() => {
        throw error;
      })
      .to(testTarget());
  const deadOf = (error: unknown) => {
    const [dead] = new TestKit(topology(error)).message("{}").dead();
    return dead as NonNullable<typeof dead>;
  };
  const thrown = deadOf(new Error("planted"));
  t.equal(thrown.reason, "map threw: planted");
  t.match(thrown.stack, /^at .*\(intake\.test\.[jt]s:\d+:\d+\)/);
  t.ok((thrown.stack?.split("\n").length ?? 0) <= 3);
  t.notMatch(thrown.stack, /\/|eval at/, "no directories: they differ between machines");
  const refused = deadOf(new MillraceError("MR_OPTION_INVALID", "not so"));
  t.equal(refused.reason, "map threw: not so");
  t.ok(refused.stack);
  const malformed = deadOf(new MillraceError("MR_EVENT_MALFORMED", "no event"));
  t.equal(malformed.reason, "no event");
  t.notOk("stack" in malformed);
  const text = deadOf("just text");
  t.equal(text.reason, "map threw: just text");
  t.notOk("stack" in text);
  const bare = new Error("bare");
  delete (bare as { stack?: string }).stack;
  t.notOk("stack" in deadOf(bare));
});

t.test("the first 64 KiB of a dead letter are shown, and its whole length is told", async (t) => {
  const kit = kitOf();
  kit.message("x".repeat(70_000));
  const [dead] = kit.take() as [Output];
  const { bytesBase64, bytesTotal } = dead.record as unknown as { bytesBase64: string; bytesTotal: number };
  t.equal(bytesTotal, 70_000);
  t.equal(Buffer.from(bytesBase64, "base64").toString(), "x".repeat(65_536));
});

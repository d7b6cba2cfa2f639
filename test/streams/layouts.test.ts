import t from "tap";
import { type LogMessage, partitionOf, type StreamSpec } from "../../src/core/index.js";
import { readPartition } from "../../src/runtime/partition.js";
import { connectLog, streamSpecs } from "../../src/streams/index.js";
import { startNats } from "../support/nats.js";
import { text } from "../support/text.js";

const UNITS = ["a", "b", "c", "d", "e", "f"];

t.test("a stream in other partitions: same messages, filed by the new number, under another incarnation", async (t) => {
  const server = await startNats();
  const { log, layouts, close } = await connectLog({ url: server.url, name: "test" });
  t.teardown(async () => {
    await close();
    await server.stop();
  });
  const specOf = (name: string, partitions: number) =>
    streamSpecs(partitions).find((spec) => spec.name === name) as StreamSpec;
  const before = await log.ensureStream(specOf("telemetry", 2));
  t.match(before, { partitions: undefined, relaidThrough: undefined, former: undefined });
  const send = (unit: string, body: string) =>
    log.publish({
      subject: `in.telemetry.site.${unit}.g`,
      data: Buffer.from(body),
      headers: { "Millrace-Door": "test" },
    });
  for (const unit of UNITS) await send(unit, `old ${unit}`);
  for (const p of [0, 1]) await log.publish({ subject: `telemetry.${p}._tick.live`, data: Buffer.from(`tick ${p}`) });

  await layouts.relay(specOf("telemetry", 3), 3);
  await layouts.relay(specOf("telemetry", 3), 3); // again, as after a kill
  for (const unit of UNITS) await send(unit, `new ${unit}`);
  const info = await log.info("telemetry");
  t.match(info, { partitions: 3, relaidThrough: UNITS.length + 2 });
  t.equal(info.former?.length, 2);
  t.equal(info.former?.[0], before.incarnation);
  t.not(info.incarnation, before.incarnation);
  await log.ensureStream(specOf("telemetry", 3));
  await t.rejects(log.ensureStream(specOf("telemetry", 2)), {
    code: "MR_STREAM_MISMATCH",
    message: /former --partitions, or change it with "millrace repartition"/,
  });

  for (const partition of [0, 1, 2]) {
    const mine = UNITS.filter((unit) => partitionOf(["site", unit], 3) === partition);
    const expected = [...mine.map((unit) => `old ${unit}`), "tick 0", ...mine.map((unit) => `new ${unit}`)];
    for (const fromSequence of [1, UNITS.length + 3]) {
      const reader = await readPartition(log, { ...info, stream: "telemetry", partition, partitions: 3, fromSequence });
      const wanted = fromSequence === 1 ? expected : expected.filter((body) => body.startsWith("new"));
      const taken: LogMessage[] = [];
      while (taken.length < wanted.length) taken.push(...(await reader.next(2)));
      await reader.close();
      t.same(await reader.next(1), [], "closed");
      t.same(
        taken.map(({ data }) => text(data)),
        wanted,
        `partition ${partition} from ${fromSequence}`,
      );
      t.ok(taken.every(({ subject }) => subject.startsWith(`telemetry.${partition}.`)));
      t.equal(taken.find(({ data }) => text(data).startsWith("old"))?.header("Millrace-Door") ?? "test", "test");
    }
  }
});

t.test("a derived stream is emptied of what tasks wrote, and its sequences go on", async (t) => {
  const server = await startNats();
  const { log, layouts, close } = await connectLog({ url: server.url, name: "test" });
  t.teardown(async () => {
    await close();
    await server.stop();
  });
  for (const spec of streamSpecs(2)) await log.ensureStream(spec);
  const { incarnation } = await log.info("plans");
  await log.publish({ subject: "plans.z.request", data: Buffer.from("{}") });
  await log.publish({ subject: "plans.z.ready", data: Buffer.from("{}") });
  const marker = { sequence: 7, index: 1 };
  await log.writeBatch({ stream: "plans", task: "mine.site/0", messages: [], marker, expectedAt: 0 });
  await layouts.renew("plans", 3, ["plans.*.request", "plans._at._by.*.*"]);
  const info = await log.info("plans");
  t.match(info, { messages: 1, lastSequence: 3, partitions: 3, former: [incarnation] });
  t.equal(await log.readMarker("plans", "mine.site/0"), undefined);
  t.equal((await log.last("plans", "plans.z.ready"))?.sequence, 2);

  const desk = streamSpecs(3).find(({ name }) => name === "desk") as StreamSpec;
  await layouts.follow(desk);
  await log.ensureStream(desk);
  await log.publish({ subject: "alerts.2.mine", data: Buffer.from('{"from":"the third partition"}') });
  for (const endMs = performance.now() + 20_000; performance.now() < endMs; )
    if ((await log.last("desk", "desk.0.alert.mine")) !== undefined) return t.pass("copied");
  t.fail("the log copies alerts of the new partitions to the desk");
});

import t from "tap";
import { connectLog, streamSpecs } from "../../../src/streams/index.js";
import { ticksOf } from "../../../src/streams/replay/ticks.js";
import { startNats } from "../../support/nats.js";
import { text } from "../../support/text.js";

t.test("a source stands where its slowest partition stands", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const { log, close } = await connectLog({ url: server.url, name: "test" });
  t.teardown(close);
  for (const spec of streamSpecs(3)) await log.ensureStream(spec);
  const ticks = ticksOf(log, { stream: "telemetry", source: "sample", partitions: 3 });
  t.equal(await ticks.position(), undefined);
  await ticksOf(log, { stream: "telemetry", source: "sample", partitions: 2 }).publish(10);
  t.equal(await ticks.position(), undefined, "one has not been told");
  await ticks.publish(20);
  t.same(await ticks.position(), { t: 20, retired: false });
  await ticksOf(log, { stream: "telemetry", source: "sample", partitions: 2 }).publish(30, true);
  t.same(await ticks.position(), { t: 20, retired: false }, "stopped while retiring");
  await ticks.publish(30, true);
  t.same(await ticks.position(), { t: 30, retired: true });
  t.equal(await ticksOf(log, { stream: "telemetry", source: "live", partitions: 3 }).position(), undefined);
  const last = await log.last("telemetry", "telemetry.2._tick.sample");
  t.same(JSON.parse(text(last?.data ?? new Uint8Array())), { source: "sample", t: 30, retire: true });
});

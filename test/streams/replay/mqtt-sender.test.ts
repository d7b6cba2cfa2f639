import t from "tap";
import { createLogger } from "../../../src/core/index.js";
import { connectLog, mqttDoor, streamSpecs } from "../../../src/streams/index.js";
import { mqttSender } from "../../../src/streams/replay/mqtt-sender.js";
import type { SampleLine } from "../../../src/streams/replay/records.js";
import { readAll } from "../../support/log.js";
import { startNats } from "../../support/nats.js";
import { text } from "../../support/text.js";

t.test("readings over MQTT: sent means in the log", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const { log, close } = await connectLog({ url: server.url, name: "test" });
  t.teardown(close);
  for (const spec of streamSpecs(2)) await log.ensureStream(spec);
  const door = mqttDoor({ log, logger: createLogger("silent"), url: server.mqttUrl });
  t.teardown(door.close);
  await door.subscribed;
  const signal = new AbortController().signal;
  const sender = await mqttSender({ log, url: server.mqttUrl, source: "other", signal });
  t.teardown(sender.close);
  const topic = "millrace/v1/minez/truck-1/status";
  const send = async (line: SampleLine) => {
    await sender.send({ atMs: 0, offsetMs: 1_000, line });
    return (await readAll(log, "telemetry", "telemetry.*.*.*.*")).at(-1);
  };
  const stored = await send({ at: 0, topic, payload: '{"ts":1667820169000,"source":"sample"}' });
  t.equal(text(stored?.data ?? new Uint8Array()), '{"ts":1667820170000,"source":"other"}');
  t.same([...((await send({ at: 0, topic, payloadBase64: "/wA=" }))?.data ?? [])], [255, 0], "bytes as they are");
  t.equal(sender.keyOf({ atMs: 0, offsetMs: 0, line: { at: 0, topic, payload: "" } }), "minez/truck-1");
  await t.rejects(send({ at: 0, event: "push", delivery: "d", body: "" }), { code: "MR_OPTION_INVALID" });
  const nobody = mqttSender({ log, url: "mqtt://127.0.0.1:1", source: "sample", signal });
  await t.rejects(nobody, { code: "MR_LOG_UNAVAILABLE" });
});

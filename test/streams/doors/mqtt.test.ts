import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { connectAsync, type MqttClient } from "mqtt";
import t, { type Test } from "tap";
import { createLogger, type Log, MillraceError } from "../../../src/core/index.js";
import { connectLog, mqttDoor, streamSpecs } from "../../../src/streams/index.js";
import { readAll } from "../../support/log.js";
import { startMqtt5Broker } from "../../support/mqtt5-broker.js";
import { startNats } from "../../support/nats.js";
import { startProxy } from "../../support/proxy.js";
import { bytes, text } from "../../support/text.js";

const logger = createLogger("silent");
const EVENTS = "telemetry.*.*.*.*";

async function setUp(t: Test) {
  const server = await startNats({ maxPayloadMb: 1 });
  t.teardown(server.stop);
  const connection = await connectLog({ url: server.url, name: "test", timeoutMs: 1_000 });
  t.teardown(connection.close);
  for (const spec of streamSpecs(4)) await connection.log.ensureStream(spec);
  const publisher = await connectAsync(server.mqttUrl, { clientId: "publisher" });
  t.teardown(() => publisher.endAsync(true));
  return { server, log: connection.log, publisher };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await pause(5);
}

/** Messages the broker keeps for its sessions: nats-server holds them in a stream until they are acknowledged. */
async function heldByBroker(log: Log): Promise<number> {
  return (await log.info("$MQTT_msgs")).messages;
}

async function publishMany(publisher: MqttClient, from: number, to: number, equipments: number): Promise<void> {
  const sent: Promise<unknown>[] = [];
  for (let n = from; n < to; n++)
    sent.push(publisher.publishAsync(`millrace/v1/s/e${n % equipments}/g${n % 2}`, String(n), { qos: 1 }));
  await Promise.all(sent);
}

/** The first arrival of each number, by equipment, must be in the order of publication; repeats may follow. */
async function firstArrivals(log: Log): Promise<Map<string, number[]>> {
  const seen = new Set<number>();
  const byEquipment = new Map<string, number[]>();
  for (const { subject, data } of await readAll(log, "telemetry", EVENTS)) {
    const n = Number(text(data));
    const equipment = subject.split(".")[3] ?? "";
    if (!seen.has(n)) byEquipment.set(equipment, [...(byEquipment.get(equipment) ?? []), n]);
    seen.add(n);
  }
  return byEquipment;
}

function inOrder(numbers: readonly number[]): boolean {
  return numbers.every((n, i) => i === 0 || n > (numbers[i - 1] ?? 0));
}

t.test("what arrives is in the log under its topic, byte for byte", async (t) => {
  const { server, log, publisher } = await setUp(t);
  const door = mqttDoor({ log, logger, url: server.mqttUrl });
  t.teardown(door.close);
  await door.subscribed;
  const raw = Uint8Array.from([0, 255, 10, 123]);
  const sent: readonly (readonly [string, Uint8Array, 0 | 1])[] = [
    ["millrace/v1/quarry/truck 7/engine", raw, 1],
    ["millrace/v1/quarry/truck-8/engine", bytes("lossy"), 0],
    ["millrace/v1/quarry/truck-8", bytes("short"), 1],
    ["millrace/v1/a/b/c/d", bytes("long"), 1],
    [`millrace/v1/a/b/${"x".repeat(129)}`, bytes("name"), 1],
    ["millrace/v1/a/ñandú/é", bytes(""), 1],
  ];
  for (const [topic, payload, qos] of sent)
    await publisher.publishAsync(topic.replace(" ", "_"), Buffer.from(payload), { qos });
  await until(() => door.status().stored === sent.length);
  const found = await readAll(log, "telemetry", EVENTS);
  const rows = found.map((message) => [
    message.subject.replace(/^telemetry\.\d\./, ""),
    message.header("Millrace-Topic"),
    text(message.data),
  ]);
  t.same(
    new Set(rows.map((row) => JSON.stringify(row))),
    new Set(
      [
        ["quarry.truck_7.engine", undefined, text(raw)],
        ["quarry.truck-8.engine", undefined, "lossy"],
        ["-.-.-", "millrace%2Fv1%2Fquarry%2Ftruck-8", "short"],
        ["-.-.-", "millrace%2Fv1%2Fa%2Fb%2Fc%2Fd", "long"],
        ["-.-.-", `millrace%2Fv1%2Fa%2Fb%2F${"x".repeat(129)}`, "name"],
        ["a.%C3%B1and%C3%BA.%C3%A9", undefined, ""],
      ].map((row) => JSON.stringify(row)),
    ),
  );
  t.ok(
    found.every(
      (message) => message.header("Millrace-Door") === "mqtt" && message.header("Millrace-Source") === "live",
    ),
  );
  t.match(door.status(), { connected: true, received: sent.length, lost: 0, inFlight: 0 });
});

t.test("a message the log cannot take: its beginning, as a dead letter to be", async (t) => {
  const broker = await startNats({ maxPayloadMb: 8 });
  t.teardown(broker.stop);
  const { log } = await setUp(t);
  // The log takes 25 MB, of which a test would rather not send more.
  const narrow: Log = {
    ...log,
    publish: (message) =>
      message.data.length > 1_000_000
        ? Promise.reject(new MillraceError("MR_TOO_LARGE", "too large for this test"))
        : log.publish(message),
  };
  const door = mqttDoor({ log: narrow, logger, url: broker.mqttUrl });
  t.teardown(door.close);
  await door.subscribed;
  const publisher = await connectAsync(broker.mqttUrl, { clientId: "publisher" });
  t.teardown(() => publisher.endAsync(true));
  await publisher.publishAsync("millrace/v1/quarry/truck-8/engine", Buffer.alloc(2_000_000, "x"), { qos: 1 });
  await until(() => door.status().stored === 1);
  const [message] = await readAll(log, "telemetry", EVENTS);
  t.match(message?.subject, /^telemetry\.\d\.-\.-\.-$/);
  t.same([message?.data.length, message?.header("Millrace-Bytes-Total")], [65_536, "2000000"]);
});

t.test("the broker keeps every message until the log has it", async (t) => {
  const { server, log, publisher } = await setUp(t);
  const spec = streamSpecs(4).find(({ name }) => name === "telemetry");
  if (spec === undefined) throw new Error("no stream");
  await log.ensureStream({ ...spec, maxBytes: 100 });
  const door = mqttDoor({ log, logger, url: server.mqttUrl });
  t.teardown(door.close);
  await door.subscribed;
  await publishMany(publisher, 0, 2_000, 7);
  await publisher.publishAsync("millrace/v1/s/lossy/g", "x", { qos: 0 });
  await until(() => door.status().inFlight >= 512 || door.status().received >= 1_000);
  t.equal(await heldByBroker(log), 2_000, "none acknowledged");
  t.equal(door.status().stored, 0);
  t.ok(door.status().inFlight <= 512, `${door.status().inFlight} in flight`);
  await log.ensureStream(spec);
  await until(() => door.status().stored >= 2_000);
  await until(async () => (await heldByBroker(log)) === 0);
  const arrivals = await firstArrivals(log);
  t.equal([...arrivals.values()].flat().filter((n) => !Number.isNaN(n)).length, 2_000);
  // nats-server gives up waiting after 1 s here and sends the first 512 again: only first arrivals count.
  for (const [equipment, numbers] of arrivals) t.ok(inOrder(numbers), `${equipment} in order`);
});

t.test("QoS 0 that the log refuses is lost, and counted", async (t) => {
  const { server, log, publisher } = await setUp(t);
  const spec = streamSpecs(4).find(({ name }) => name === "telemetry");
  if (spec === undefined) throw new Error("no stream");
  await log.ensureStream({ ...spec, maxBytes: 100 });
  const door = mqttDoor({ log, logger, url: server.mqttUrl });
  t.teardown(door.close);
  await door.subscribed;
  await publisher.publishAsync("millrace/v1/s/e/g", "x", { qos: 0 });
  await until(() => door.status().lost === 1);
  t.match(door.status(), { received: 1, stored: 0, inFlight: 0 });
});

t.test("away, the session waits; closing hands back what the log does not have", async (t) => {
  const { server, log, publisher } = await setUp(t);
  const first = mqttDoor({ log, logger, url: server.mqttUrl });
  await first.subscribed;
  await publishMany(publisher, 0, 300, 5);
  await first.close();
  await first.close();
  await publishMany(publisher, 300, 600, 5);
  const second = mqttDoor({ log, logger, url: server.mqttUrl });
  t.teardown(second.close);
  await until(async () => (await log.info("telemetry")).messages >= 600 && (await heldByBroker(log)) === 0);
  const arrivals = await firstArrivals(log);
  t.equal([...arrivals.values()].flat().length, 600);
});

t.test("a cut wire to the broker: nothing lost", async (t) => {
  const { server, log, publisher } = await setUp(t);
  const proxy = await startProxy(server.mqttUrl);
  t.teardown(proxy.stop);
  const door = mqttDoor({ log, logger, url: proxy.url });
  t.teardown(door.close);
  await door.subscribed;
  const publishing = publishMany(publisher, 0, 3_000, 7);
  for (const stored of [300, 900]) {
    await until(() => door.status().stored > stored);
    proxy.cut();
  }
  await publishing;
  await until(async () => (await heldByBroker(log)) === 0);
  const arrivals = await firstArrivals(log);
  t.equal([...arrivals.values()].flat().length, 3_000);
});

t.test("kill -9 of the door, again and again: nothing the broker let go is missing", async (t) => {
  const { server, log, publisher } = await setUp(t);
  const start = async () => {
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL("mqtt-door-process.js", import.meta.url)), server.url, server.mqttUrl],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    await once(child.stdout, "data");
    return child;
  };
  const kill = async (child: ChildProcess) => {
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  let door = await start();
  t.teardown(() => kill(door));
  const total = 4_000;
  const publishing = publishMany(publisher, 0, total, 7);
  for (const stored of [200, 1_000, 2_500]) {
    await until(async () => (await log.info("telemetry")).messages > stored);
    await kill(door);
    door = await start();
  }
  await publishing;
  await until(async () => (await heldByBroker(log)) === 0);
  const arrivals = await firstArrivals(log);
  t.equal([...arrivals.values()].flat().length, total);
  t.comment(`${(await log.info("telemetry")).messages - total} came twice`);
});

t.test(
  "MQTT 5: a session that stays, acknowledgements after the log's and in the order of the deliveries",
  async (t) => {
    const { log } = await setUp(t);
    const spec = streamSpecs(4).find(({ name }) => name === "telemetry");
    if (spec === undefined) throw new Error("no stream");
    const broker = await startMqtt5Broker();
    t.teardown(broker.stop);
    const door = mqttDoor({
      log,
      logger,
      url: broker.url,
      protocolVersion: 5,
      clientId: "five",
      user: "u",
      password: "p",
    });
    t.teardown(door.close);
    await door.subscribed;
    t.match(broker.received[0], {
      cmd: "connect",
      protocolVersion: 5,
      clean: false,
      clientId: "five",
      username: "u",
      properties: { sessionExpiryInterval: 0xffff_ffff, receiveMaximum: 512 },
    });
    const acknowledged = () => broker.received.filter(({ cmd }) => cmd === "puback").map(({ messageId }) => messageId);
    await log.ensureStream({ ...spec, maxBytes: 400 });
    // The first goes into the last free bytes; of the next, those of another equipment are stored while one waits: none may overtake.
    broker.deliver(1, "millrace/v1/s/a/g", "small");
    await until(() => acknowledged().length === 1);
    broker.deliver(2, "millrace/v1/s/a/g", "x".repeat(300));
    for (const id of [3, 4]) broker.deliver(id, `millrace/v1/s/e${id}/g`, "small");
    await until(() => door.status().received === 4 && door.status().inFlight <= 2);
    t.same(acknowledged(), [1]);
    await log.ensureStream(spec);
    await until(() => acknowledged().length === 4);
    t.same(acknowledged(), [1, 2, 3, 4]);
    t.equal((await log.info("telemetry")).messages, 4);
  },
);

t.test("a door that closes in the middle of a flood ends at once", async (t) => {
  const { log } = await setUp(t);
  const spec = streamSpecs(4).find(({ name }) => name === "telemetry");
  if (spec === undefined) throw new Error("no stream");
  const broker = await startMqtt5Broker();
  t.teardown(broker.stop);
  const door = mqttDoor({ log, logger, url: broker.url, protocolVersion: 5 });
  await door.subscribed;
  for (let id = 1; id <= 5_000; id++) broker.deliver(id, `millrace/v1/s/e${id % 3}/g`, "x");
  await until(() => door.status().stored > 100);
  await door.close();
  const acknowledged = broker.received.filter(({ cmd }) => cmd === "puback").length;
  t.ok(acknowledged <= (await log.info("telemetry")).messages, `${acknowledged} acknowledged`);
  t.ok(acknowledged < 5_000 && acknowledged > 100);
});

t.test("a refused connection or subscription is logged, not thrown", async (t) => {
  const { log } = await setUp(t);
  const door = mqttDoor({ log, logger, url: "mqtt://127.0.0.1:1" });
  await pause(50);
  t.match(door.status(), { connected: false, received: 0 });
  await door.close();
});

t.test("what waits behind a message on its way travels as one pack, in its order", async (t) => {
  const { server, log, publisher } = await setUp(t);
  const sent = 200;
  let published = 0;
  const slow: Log = {
    ...log,
    publish: async (message) => {
      published += 1;
      await pause(20);
      return log.publish(message);
    },
  };
  const door = mqttDoor({ log: slow, logger, url: server.mqttUrl });
  t.teardown(door.close);
  await door.subscribed;
  const topic = "millrace/v1/s/e/g";
  for (let n = 0; n < sent; n++) void publisher.publishAsync(topic, n === 100 ? "not json" : `{"n":${n}}`, { qos: 1 });
  await until(() => door.status().stored === sent);
  t.ok(published < sent / 4, `${sent} messages in ${published} publishes`);
  const lines = (await readAll(log, "telemetry", EVENTS)).flatMap(({ data }) => text(data).split("\n"));
  const wanted = Array.from({ length: sent }, (_, n) => (n === 100 ? "not json" : `{"n":${n}}`));
  t.same(lines, wanted, "every body as it was, in the order it came");
  await until(async () => (await heldByBroker(log)) === 0);
  t.equal(door.status().inFlight, 0, "all acknowledged");
});

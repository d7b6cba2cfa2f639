import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect as connectMqtt, type MqttClient } from "mqtt";
import { connect, type NatsConnection } from "nats";
import t, { type Test } from "tap";
import { readEndpoint } from "../../../src/streams/nats-server/endpoint.js";
import { inspectProcess } from "../../../src/streams/nats-server/process-info.js";
import { type NatsServer, startNatsServer } from "../../../src/streams/nats-server/start.js";
import { natsBinary } from "../../support/nats.js";
import { smallDisk } from "../../support/small-disk.js";
import { fakeProgram } from "./fakes.js";

const MQTT_PASSWORD = 'local "key"';
const ATTEMPTS = 3;

async function start(t: Test, storeDir: string, options: { mqttPort?: number | undefined } = {}): Promise<NatsServer> {
  const bin = natsBinary();
  const server = await startNatsServer({ bin, storeDir, mqttPort: 0, mqttPassword: MQTT_PASSWORD, ...options });
  t.teardown(() => server.stop());
  return server;
}

async function natsClient(t: Test, { url, user, password }: NatsServer): Promise<NatsConnection> {
  const nc = await connect({ servers: url, user, pass: password });
  t.teardown(() => nc.close());
  return nc;
}

/** A connected client. It listens from before the connection: a persistent session delivers at once. */
async function mqttClient(t: Test, server: NatsServer, who: "device" | "door"): Promise<Mqtt> {
  const [username, password] = who === "door" ? [server.user, server.password] : ["mqtt", MQTT_PASSWORD];
  const url = `mqtt://127.0.0.1:${server.mqttPort}`;
  const options = { clientId: who, clean: who === "device", protocolVersion: 4 as const, reconnectPeriod: 0 };
  const received: string[] = [];
  let arrived = (): void => undefined;
  const take = async (count: number): Promise<string[]> => {
    while (received.length < count) await new Promise<void>((resolve) => (arrived = resolve));
    return [...received].sort();
  };
  for (let attempt = 1; ; attempt++) {
    const client = connectMqtt(url, { username, password, ...options });
    t.teardown(() => client.endAsync(true));
    client.on("message", (topic, payload) => {
      received.push(`${topic} ${payload}`);
      arrived();
    });
    client.on("error", () => undefined); // a refused call rejects; the event would be thrown
    const connected = await new Promise<boolean>((resolve) => {
      client.once("connect", () => resolve(true));
      client.once("close", () => resolve(false));
    });
    if (connected) return { client, take };
    // On a busy machine the server gives a session up whose streams it could not make in time.
    if (attempt === ATTEMPTS) throw new Error(`${who} could not connect to ${url} in ${ATTEMPTS} attempts`);
  }
}

interface Mqtt {
  readonly client: MqttClient;
  /** Resolves with everything received, sorted, as soon as there are `count` messages. */
  take(count: number): Promise<string[]>;
}

t.test("what a stream has acknowledged is there after stop and start", async (t) => {
  const storeDir = join(t.testdir({}), "nats");
  const first = await start(t, storeDir);
  t.match(first, { user: "millrace", endedStale: false, parentPid: process.pid });
  t.equal(statSync(join(storeDir, "nats-server.conf")).mode & 0o777, 0o600, "the passwords are for their owner only");
  t.same(await readEndpoint(storeDir), JSON.parse(readFileSync(join(storeDir, "endpoint.json"), "utf8")));
  const nc = await natsClient(t, first);
  await (await jetstreamManager(nc)).streams.add({ name: "s", subjects: ["s.>"] });
  const big = new Uint8Array(8_000_000);
  t.equal((await jetstream(nc).publish("s.big", big)).seq, 1, "messages up to 8 MiB are taken");
  await first.stop();
  t.match(await first.exited, /exit code 0|SIGTERM|exit code 1/);
  t.equal(await readEndpoint(storeDir), undefined);
  await first.stop(); // safe to call twice

  const second = await start(t, storeDir, { mqttPort: undefined });
  t.equal(second.mqttPort, undefined, "no MQTT listener unless asked for");
  const jsm = await jetstreamManager(await natsClient(t, second));
  t.equal((await jsm.streams.info("s")).state.messages, 1);
  t.ok(existsSync(join(storeDir, "nats-server.log.1")), "the log of the run before is kept");
});

t.test("a restart keeps ports and passwords, and what was acknowledged; clients come back", async (t) => {
  const storeDir = t.testdir({});
  const server = await start(t, storeDir);
  const nc = await natsClient(t, server);
  await (await jetstreamManager(nc)).streams.add({ name: "s", subjects: ["s.>"] });
  await jetstream(nc).publish("s.a", "1");
  t.same(await server.writeFailures(), [], "all is well");
  const { pid, url, mqttPort } = server;
  let ended: string | undefined;
  void server.exited.then((how) => (ended = how));
  await server.restart();
  t.not(server.pid, pid);
  t.match(await readEndpoint(storeDir), { pid: server.pid, url, mqttPort });
  for (let stored = false; !stored; )
    stored = await jetstream(nc)
      .publish("s.b", "2")
      .then(
        ({ seq }) => seq >= 2,
        () => false,
      );
  t.equal(ended, undefined, "it has not ended");
  t.match((await mqttClient(t, server, "device")).client.connected, true);
  await server.stop();
  t.match(await server.exited, /exit code|SIGTERM/);
});

t.test("a server that comes back to a disk with little room takes what its streams were promised", async (t) => {
  const disk = smallDisk(96);
  if (disk === undefined) {
    t.comment("skipped: no right to mount a small disk here");
    return;
  }
  t.teardown(() => disk.remove());
  const first = await start(t, disk.path);
  const nc = await natsClient(t, first);
  await (await jetstreamManager(nc)).streams.add({ name: "s", subjects: ["s"], max_bytes: 64 << 20 });
  for (let n = 0; n < 40; n++) await jetstream(nc).publish("s", new Uint8Array(1 << 20));
  await nc.close();
  await first.stop();
  disk.fill(8 << 20);
  const second = await start(t, disk.path);
  const again = jetstream(await natsClient(t, second));
  t.match(await again.publish("s", new Uint8Array(1 << 20)), { seq: 41 }, "40 MB are held, 8 MB are free");
  disk.empty();
  for (let n = 0; n < 20; n++) await again.publish("s", new Uint8Array(1 << 20));
  t.pass("and with room up to the stream's own limit");
});

t.test("devices publish below millrace/v1 and do nothing else", async (t) => {
  const server = await start(t, t.testdir({}));
  const door = await mqttClient(t, server, "door");
  t.match(await door.client.subscribeAsync("millrace/v1/#", { qos: 1 }), [{ qos: 1 }]);
  const everything: string[] = [];
  const nc = await natsClient(t, server);
  nc.subscribe(">", { callback: (_error, message) => void everything.push(message.subject) });
  await nc.flush();

  const { client: device } = await mqttClient(t, server, "device");
  for (const topic of ["in/telemetry/a/b/c", "millrace/v2/x", "millrace/v1", "$JS/API/STREAM/DELETE/s"]) {
    await device.publishAsync(topic, "no", { qos: 0 });
    await device.publishAsync(topic, "no", { qos: 1 });
  }
  for (const topic of ["#", "millrace/v1/#", "$SYS/#"])
    await t.rejects(device.subscribeAsync(topic, { qos: 1 }), topic);
  for (const qos of [0, 1, 2] as const)
    await device.publishAsync("millrace/v1/site/truck-1/status", `qos ${qos}`, { qos });
  t.same(
    await door.take(3),
    [0, 1, 2].map((qos) => `millrace/v1/site/truck-1/status qos ${qos}`),
  );
  await nc.flush();
  t.notOk(everything.some((subject) => /^(in|millrace\.v2)\.|^millrace\.v1$|^\$JS\.API\.STREAM\.DELETE/.test(subject)));
  await t.rejects(connect({ servers: server.url, user: "mqtt", pass: MQTT_PASSWORD, reconnect: false }), {
    message: /authorization/i,
  });
});

t.test(
  "a persistent session keeps what arrives while its client is away, across a restart of the server",
  async (t) => {
    const storeDir = t.testdir({});
    const first = await start(t, storeDir);
    const before = await mqttClient(t, first, "door");
    await before.client.subscribeAsync("millrace/v1/#", { qos: 1 });
    await before.client.endAsync();
    const { client: device } = await mqttClient(t, first, "device");
    await device.publishAsync("millrace/v1/s/e/g", "while away", { qos: 1 });
    await first.stop();

    const second = await start(t, storeDir);
    t.not(second.password, first.password, "a session belongs to its client id, not to a password");
    t.same(await (await mqttClient(t, second, "door")).take(1), ["millrace/v1/s/e/g while away"]);
  },
);

t.test("a server left over from a killed parent is ended by the next start", async (t) => {
  const storeDir = t.testdir({});
  const script = fileURLToPath(new URL("./start-and-wait.js", import.meta.url));
  const parent = spawn(process.execPath, [script, natsBinary(), storeDir], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(parent.stdout, "data");
  const orphan = Number(String(line));
  await t.rejects(start(t, storeDir), { code: "MR_DATA_DIR_IN_USE" }, "while the parent lives nothing is touched");
  parent.kill("SIGKILL");
  await once(parent, "exit");
  t.match(await inspectProcess(orphan), { kind: "running" }, "a killed parent cannot stop its server");
  const server = await start(t, storeDir);
  t.equal(server.endedStale, true);
  t.same(await inspectProcess(orphan), { kind: "gone" });
});

t.test("a taken MQTT port is named together with the option to change", async (t) => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  t.teardown(() => other.close());
  const { port } = other.address() as AddressInfo;
  const storeDir = t.testdir({});
  await t.rejects(start(t, storeDir, { mqttPort: port }), {
    code: "MR_PORT_IN_USE",
    message: `the MQTT port ${port} is taken. Choose another with --mqtt-port; 0 takes any free port`,
  });
  t.equal(await readEndpoint(storeDir), undefined);
});

t.test("a server that does not come up shows what it said", async (t) => {
  const dir = t.testdir({});
  const options = { storeDir: join(dir, "store"), mqttPort: 0, mqttPassword: "x" };
  const bin = await fakeProgram(dir, "nats-server", "echo 'cannot allocate memory' >&2; exit 7");
  await t.rejects(startNatsServer({ ...options, bin }), {
    code: "MR_SERVER_FAILED",
    message: /^nats-server ended with exit code 7; .*\n {2}cannot allocate memory$/,
  });
  const silent = await fakeProgram(dir, "silent", "exec sleep 30");
  await t.rejects(startNatsServer({ ...options, bin: silent, readyTimeoutMs: 100, env: { PATH: "/usr/bin:/bin" } }), {
    message: /^nats-server did not answer within 0\.1 s/,
  });
  await t.rejects(startNatsServer({ ...options, bin: join(dir, "missing") }), {
    code: "MR_SERVER_FAILED",
    message: /ENOENT/,
  });
});

import { setTimeout as delay } from "node:timers/promises";
import t, { type Test } from "tap";
import { watchLogWrites } from "../../../src/cli/up/log-writes.js";
import { type Clock, createLogger, type Log, MillraceError, systemClock } from "../../../src/core/index.js";
import { type Connection, connectLog, startNatsServer, streamSpecs } from "../../../src/streams/index.js";
import { readAll } from "../../support/log.js";
import { natsBinary, startNats } from "../../support/nats.js";
import { type SmallDisk, smallDisk } from "../../support/small-disk.js";

const MB = 1024 * 1024;
const FAST = 10;
/** Looks come ten times as often. */
const fastClock: Clock = {
  ...systemClock,
  monotonicMs: () => systemClock.monotonicMs() * FAST,
  sleep: (ms, signal) => systemClock.sleep(ms / FAST, signal),
};
const logger = createLogger("silent");

async function until(so: () => boolean): Promise<void> {
  for (const endMs = performance.now() + 60_000; !so(); await delay(20))
    if (performance.now() > endMs) throw new Error(`not so after a minute: ${so}`);
}

/** Publishes until the log does not take it; resolves with how many were acknowledged. */
async function publishUntilRefused({ log }: Connection, from: number): Promise<number> {
  for (let n = from; ; n++) {
    const data = Buffer.from(JSON.stringify({ n, filler: "x".repeat(60_000) }));
    const done = await log.publish({ subject: "alerts.0.mine", data }).then(Boolean, () => false);
    if (!done) return n;
  }
}

/** Until a write fails for want of room: a first refusal may be an answer that came too late. */
async function publishUntilFull(connection: Connection, disk: SmallDisk, from: number): Promise<number> {
  disk.fill(2 * MB);
  const refused = await publishUntilRefused(connection, from);
  disk.fill(0);
  return publishUntilRefused(connection, refused);
}

async function numbers({ log }: Connection): Promise<number[]> {
  const found = await readAll(log, "alerts", "alerts.0.mine");
  return found.map(({ data }) => (JSON.parse(Buffer.from(data).toString()) as { n: number }).n);
}

function mounted(t: Test): SmallDisk | undefined {
  const disk = smallDisk(96);
  if (disk === undefined) t.comment("skipped: no right to mount a small disk here");
  return disk;
}

t.test(
  "our server's disk was full: it is restarted once there is room, and nothing acknowledged is lost",
  async (t) => {
    const disk = mounted(t);
    if (disk === undefined) return;
    const options = { storeDir: disk.path, mqttPort: undefined, mqttPassword: "x" };
    const server = await startNatsServer({ bin: natsBinary(), ...options });
    const { url, user, password, pid } = server;
    const connection = await connectLog({ url, user, password, name: "test", timeoutMs: 1_000 });
    const stopping = new AbortController();
    let noRoom: string | undefined = "the disk is full";
    const writes = watchLogWrites({
      ...{ connection, logger, signal: stopping.signal, clock: fastClock },
      server: { own: server, log: { url } },
      disk: { reason: () => noRoom, look: async () => undefined },
    });
    t.teardown(async () => {
      stopping.abort();
      await writes.ended;
      await connection.close();
      await server.stop();
      disk.remove();
    });
    for (const spec of streamSpecs(1)) await connection.log.ensureStream({ ...spec, maxBytes: 4 * MB });
    await connection.log.publish({ subject: "alerts.0.mine", data: Buffer.from('{"n":0}') });
    t.same(await server.writeFailures(), []);

    const acknowledged = await publishUntilFull(connection, disk, 1);
    await until(() => writes.reason() !== undefined);
    // The server closes the stream, or JetStream when a write of its own failed first.
    t.match(
      writes.reason(),
      /cannot write \((.*alerts.*no space left.*|JetStream not enabled.*)\): it is restarted as soon as there is room/,
    );
    disk.empty();
    await t.rejects(
      connection.log.publish({ subject: "alerts.0.mine", data: Buffer.from("{}") }),
      { code: "MR_LOG_UNAVAILABLE", message: /no answer in time|is jetstream enabled/ },
      "room alone does not help",
    );
    t.equal(writes.restarts(), 0, "no restart before there is room");

    noRoom = undefined;
    await until(() => writes.restarts() === 1 && writes.reason() === undefined);
    t.not(server.pid, pid, "another process, on the same port");
    t.equal(server.url, url);
    let stored = acknowledged;
    for (;;) {
      const data = Buffer.from(JSON.stringify({ n: stored }));
      if (await connection.log.publish({ subject: "alerts.0.mine", data }).then(Boolean, () => false)) break;
    }
    stored += 1;
    const found = await numbers(connection);
    // Without an answer one may be stored or not, and was given again.
    t.same(
      [...new Set(found)].sort((a, b) => a - b),
      Array.from({ length: stored }, (_, n) => n),
      `all ${stored} are there`,
    );
    t.equal(writes.restarts(), 1, "once was enough");
  },
);

t.test("another's server whose disk was full: it is said what to do", async (t) => {
  const disk = mounted(t);
  if (disk === undefined) return;
  const server = await startNats({ within: disk.path });
  const connection = await connectLog({ url: server.url, name: "test", timeoutMs: 500 });
  const stopping = new AbortController();
  const writes = watchLogWrites({
    ...{ connection, logger, signal: stopping.signal, clock: fastClock },
    server: { own: undefined, log: { url: server.url } },
    disk: { reason: () => undefined, look: async () => undefined },
  });
  t.teardown(async () => {
    stopping.abort();
    await writes.ended;
    await connection.close();
    await server.stop();
    disk.remove();
  });
  for (const spec of streamSpecs(1)) await connection.log.ensureStream({ ...spec, maxBytes: 4 * MB });
  const acknowledged = await publishUntilFull(connection, disk, 0);
  disk.empty();
  await publishUntilRefused(connection, acknowledged);
  await until(() => writes.reason() !== undefined);
  t.match(
    writes.reason(),
    /^the log at nats:.* (answers, but|is connected, but .*, and) has stored nothing in alerts since .* restart it/,
  );
  t.equal(writes.restarts(), 0, "it is not ours");
  await server.kill();
  await server.start();
  await until(() => connection.connected());
  await until(() => writes.reason() === undefined);
  const found = new Set(await numbers(connection));
  t.equal(Array.from({ length: acknowledged }, (_, n) => n).filter((n) => !found.has(n)).length, 0, "nothing is lost");
});

t.test("another's server that has closed JetStream altogether, and one that is away", async (t) => {
  let isConnected = true;
  const stopping = new AbortController();
  const log = {
    info: () => Promise.reject(new MillraceError("MR_LOG_UNAVAILABLE", "no answer in time")),
  } as unknown as Log;
  const unstored = () => ({ stream: "alerts", sinceMs: 0 });
  const writes = watchLogWrites({
    ...{
      connection: { log, unstored, connected: () => isConnected },
      logger,
      signal: stopping.signal,
      clock: fastClock,
    },
    server: { own: undefined, log: { url: "nats://log" } },
    disk: { reason: () => undefined, look: async () => undefined },
  });
  await until(() => writes.reason() !== undefined);
  t.match(
    writes.reason(),
    /^the log at nats:\/\/log is connected, but its JetStream does not answer, and has stored nothing/,
  );
  isConnected = false;
  await until(() => writes.reason() === undefined);
  t.pass("who uses it says that it is away");
  stopping.abort();
  await writes.ended;
});

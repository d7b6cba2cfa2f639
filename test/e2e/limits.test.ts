import { setTimeout as delay } from "node:timers/promises";
import t from "tap";
import { createLogger, DAY_MS, type Lease, systemClock } from "../../src/core/index.js";
import { Task } from "../../src/runtime/index.js";
import { type Connection, connectLog, streamSpecs, telemetryDoor } from "../../src/streams/index.js";
import { registerReader, runKeeper } from "../../src/workers/keeper/index.js";
import { httpRequest } from "../support/http.js";
import { emptyLog, readAll } from "../support/log.js";
import { startNats } from "../support/nats.js";
import { toyPipeline } from "../support/toy-pipeline.js";

const logger = createLogger("silent");
const MB = 1024 * 1024;
const EVENTS = "telemetry.*.*.*.*";

async function shrink({ log }: Connection, stream: string, maxBytes: number): Promise<void> {
  const spec = streamSpecs(1).find(({ name }) => name === stream);
  if (spec !== undefined) await log.ensureStream({ ...spec, maxBytes });
}

async function until(so: () => boolean | Promise<boolean>): Promise<void> {
  for (const endMs = performance.now() + 30_000; !(await so()); await delay(20))
    if (performance.now() > endMs) throw new Error(`not so: ${so}`);
}

/** One round of the keeper that keeps nothing longer than somebody needs it. */
async function keepOnce({ log, space, registers }: Connection, streams: readonly string[]): Promise<void> {
  const once = new AbortController();
  const clock = { ...systemClock, nowMs: () => Date.now() + DAY_MS, sleep: async () => once.abort() };
  const options = { log, space, registers, clock, logger, streams, retentionMs: 1, committed: async () => 0 };
  await runKeeper(options, once.signal);
}

t.test("a full input stream: the door refuses clearly, loses nothing, and takes again by itself", async (t) => {
  const connection = await emptyLog(t);
  const { log, registers } = connection;
  await shrink(connection, "telemetry", MB);
  const door = telemetryDoor({ log, localKey: "key" });
  const post = (n: number) => {
    const reading = { id: String(n), site: "s", equipment: "e", group: "g", ts: 1_700_000_000_000, values: { n } };
    const labels = { filler: "x".repeat(250) };
    return door.handle(httpRequest(door.path, Buffer.from(JSON.stringify({ ...reading, labels })), {}));
  };
  let acknowledged = 0;
  const refusal = await (async () => {
    for (;;) {
      try {
        await post(acknowledged);
        acknowledged++;
      } catch (error) {
        return error;
      }
    }
  })();
  t.match(refusal, { code: "MR_LOG_FULL", disposition: "retry", message: /publishing to in\.telemetry\.s\.e\.g/ });
  const stored = await readAll(log, "telemetry", EVENTS);
  t.equal(stored.length, acknowledged, `all ${acknowledged} that were acknowledged are there, and no other`);

  const { incarnation, lastSequence } = await log.info("telemetry");
  const reader = { stream: "telemetry", name: "test", kind: "position", incarnation } as const;
  await registerReader(registers, { ...reader, position: 0 });
  await keepOnce(connection, ["telemetry"]);
  await t.rejects(post(acknowledged), { code: "MR_LOG_FULL" }, "what nobody has read stays, full or not");
  await registerReader(registers, { ...reader, position: lastSequence - 10 });
  await keepOnce(connection, ["telemetry"]);
  t.match(await post(acknowledged), { status: 202 }, "once it is read and purged, the door takes again");
  t.equal((await readAll(log, "telemetry", EVENTS)).length, 11, "the ten that were not read, and the new one");
});

t.test("a full output stream: the task pauses and goes on by itself, each output once", async (t) => {
  const connection = await emptyLog(t);
  const { log, space } = connection;
  await shrink(connection, "features", MB);
  const pipeline = toyPipeline();
  const task = new Task({
    ...connection,
    ...{ pipeline, partition: 0, partitions: 1, clock: systemClock, logger },
    inference: { run: async () => new Float32Array() },
  });
  const stop = new AbortController();
  const lease: Lease = {
    ...{ name: "test", holder: "test", epoch: 1, lost: new AbortController().signal },
    release: async () => undefined,
  };
  const sent = 6_000;
  const sending: Promise<number>[] = [];
  for (let n = 0; n < sent; n++)
    sending.push(log.publish({ subject: "in.telemetry.s.e.g", data: Buffer.from(`key-${n % 7}`) }));
  const last = Math.max(...(await Promise.all(sending)));
  const running = task.run(lease, stop.signal);
  // Outputs leave as they are read; each time the stream is full the task waits.
  const ids: string[] = [];
  let waited = 0;
  let taken = 0;
  while (task.status().position < last) {
    let before = -1;
    await until(async () => {
      const { lastSequence } = await log.info("features");
      const still = lastSequence === before || task.status().position >= last;
      before = lastSequence;
      await delay(300);
      return still;
    });
    if (task.status().position < last) waited++;
    for (const { sequence, data } of await readAll(log, "features", "features.0.toy.*")) {
      if (sequence <= taken) continue;
      taken = sequence;
      ids.push((JSON.parse(Buffer.from(data).toString()) as { id: string }).id);
    }
    const [marker] = await space.markers("features");
    await space.purge("features", Math.min(taken, marker?.storedAt ?? taken));
  }
  for (const { sequence, data } of await readAll(log, "features", "features.0.toy.*"))
    if (sequence > taken) ids.push((JSON.parse(Buffer.from(data).toString()) as { id: string }).id);
  stop.abort();
  await running;
  t.ok(waited > 0, `it was full ${waited} times`);
  t.equal(ids.length, sent, "nothing lost");
  t.equal(new Set(ids).size, sent, "nothing twice");
  t.equal(task.status().reason, null, "and nothing failed");
});

t.test("a server without room refuses a stream it could not fill, and says so", async (t) => {
  const server = await startNats({ maxFileMb: 64 });
  const connection = await connectLog({ url: server.url, name: "test" });
  t.teardown(async () => {
    await connection.close();
    await server.stop();
  });
  const [spec] = streamSpecs(1);
  if (spec === undefined) throw new Error("there are streams");
  await t.rejects(connection.log.ensureStream(spec), { code: "MR_LOG_FULL", message: /creating stream github/ });
  await connection.log.ensureStream({ ...spec, maxBytes: 16 * MB });
  t.pass("one that fits is made");
});

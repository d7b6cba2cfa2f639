import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import t, { type Test } from "tap";
import type { Clock, Inference, Lease, Pipeline } from "../../src/core/index.js";
import { Task, verifyTask } from "../../src/runtime/index.js";
import { type Connection, connectLog, streamSpecs } from "../../src/streams/index.js";
import { startNats, type TestServer } from "../support/nats.js";
import { toyPipeline } from "../support/toy-pipeline.js";

const inference: Inference = { run: async () => new Float32Array() };
const KEYS = ["a", "b", "c"];

/** The machine's clock, with pauses cut short and snapshots at every look when `hurried`. */
function testClock(hurried: boolean): Clock {
  let skippedMs = 0;
  const nowMs = (): number => {
    if (hurried) skippedMs += 61_000;
    return Date.now() + skippedMs;
  };
  return { nowMs, monotonicMs: nowMs, sleep: (ms) => delay(Math.min(ms, 20)) };
}

async function world(t: Test): Promise<{ server: TestServer; connection: Connection }> {
  const server = await startNats();
  const connection = await connectLog({ url: server.url, name: "test" });
  for (const spec of streamSpecs(1)) await connection.log.ensureStream(spec);
  t.teardown(async () => {
    await connection.close();
    await server.stop();
  });
  return { server, connection };
}

/** A lease as the tests hand it out: each later one has a larger epoch. */
function leaseOf(epoch = ++epochs, lost = new AbortController().signal): Lease {
  return { name: "test", holder: "test", epoch, lost, release: async () => undefined };
}
let epochs = 0;

function toyTask(connection: Connection, pipeline: Pipeline, hurried = false): Task {
  const logger = pino({ level: "silent" });
  return new Task({
    ...connection,
    pipeline,
    partition: 0,
    partitions: 1,
    inference,
    clock: testClock(hurried),
    logger,
  });
}

async function publish({ log }: Connection, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) {
    await log.publish({ subject: `in.telemetry.s.${KEYS[i % 3]}.g`, data: Buffer.from(KEYS[i % 3] as string) });
  }
}

/** The task has applied the first `count` messages, and their outputs are in the log. */
async function reached(task: Task, count: number): Promise<void> {
  for (let i = 0; task.status().position < count || task.status().state !== "running"; i++) {
    if (i > 500) throw new Error(`task stays at ${JSON.stringify(task.status())}`);
    await delay(10);
  }
}

/** Every output line of a stream, by id: a repeat is an error. */
async function stored({ log }: Connection, stream: string): Promise<Map<string, string>> {
  const lines = new Map<string, string>();
  const counts = await log.countSubjects(stream, `${stream}.>`);
  let left = [...counts].reduce((sum, [subject, count]) => sum + (subject.includes("._at.") ? 0 : count), 0);
  if (left === 0) return lines;
  const reader = await log.read({ stream, subjects: [`${stream}.>`], fromSequence: 1 });
  while (left > 0) {
    for (const { data } of await reader.next(left)) {
      left--;
      for (const line of Buffer.from(data).toString().split("\n")) {
        const id = /^\{"id":"([^"]+)"/.exec(line)?.[1] ?? line;
        if (lines.has(id)) throw new Error(`${stream} holds ${id} twice`);
        lines.set(id, line);
      }
    }
  }
  await reader.close();
  return lines;
}

t.test("restarts at random moments lose nothing and repeat nothing", async (t) => {
  const { connection } = await world(t);
  const pipeline = toyPipeline();
  let sent = 0;
  for (let round = 0; round < 8; round++) {
    const stop = new AbortController();
    const task = toyTask(connection, pipeline, round % 2 === 0);
    const run = task.run(leaseOf(), stop.signal);
    await publish(connection, sent, sent + 40);
    sent += 40;
    if (round % 3 === 0) await reached(task, sent);
    stop.abort();
    await run;
  }
  const stop = new AbortController();
  const task = toyTask(connection, pipeline);
  const run = task.run(leaseOf(), stop.signal);
  await reached(task, sent);
  for (const stream of ["features", "accepted"]) {
    const counts = [...(await stored(connection, stream)).values()].map((line) => JSON.parse(line).eventId as string);
    const expected = Array.from({ length: sent }, (_, i) => `${KEYS[i % 3]}${Math.floor(i / 3) + 1}`);
    t.same(counts, expected, stream);
  }
  const verified = await verifyTask({ ...connection, pipeline, partition: 0, partitions: 1, inference });
  t.match(verified, { messages: sent, outputs: sent * 2, differences: [] });
  const other = await verifyTask({
    ...connection,
    pipeline: toyPipeline({ bonus: 1 }),
    partition: 0,
    partitions: 1,
    inference,
  });
  t.equal(other.differences.length, sent * 2, "another program is noticed");
  stop.abort();
  await run;
});

t.test("a program that throws is started again from its snapshot, and nothing is written twice", async (t) => {
  const { connection } = await world(t);
  const task = toyTask(connection, toyPipeline({ failOnceAt: 25 }), true);
  const stop = new AbortController();
  const run = task.run(leaseOf(), stop.signal);
  await publish(connection, 0, 60);
  await reached(task, 60);
  t.equal((await stored(connection, "features")).size, 60);
  stop.abort();
  await run;
  t.equal(task.status().state, "stopped");
});

t.test("the newest owner wins: the former one is fenced and writes no more", async (t) => {
  const { connection } = await world(t);
  const first = toyTask(connection, toyPipeline());
  const stop = new AbortController();
  const firstRun = first.run(leaseOf(), stop.signal); // it does not learn that its lease is lost
  await publish(connection, 0, 10);
  await reached(first, 10);
  const second = toyTask(connection, toyPipeline());
  const secondRun = second.run(leaseOf(), stop.signal);
  await publish(connection, 10, 30);
  await reached(second, 30);
  await firstRun;
  t.equal(first.status().state, "fenced");
  t.equal((await stored(connection, "features")).size, 30);
  stop.abort();
  await secondRun;
});

t.test("a task refuses a log or a state that is not its own", async (t) => {
  const { connection } = await world(t);
  const started = async (pipeline: Pipeline): Promise<Task> => {
    const task = toyTask(connection, pipeline);
    const stop = new AbortController();
    const run = task.run(leaseOf(), stop.signal);
    for (let i = 0; i < 300 && (task.status().state === "starting" || task.status().counters.received < 5); i++) {
      if (task.status().state === "failed") break;
      await delay(10);
    }
    const failed = task.status();
    stop.abort();
    await run;
    t.ok(failed);
    return task;
  };
  await publish(connection, 0, 5);
  t.equal((await started(toyPipeline())).status().snapshotAt, 5, "stopping saves a snapshot");
  t.match((await started(toyPipeline({ version: 2 }))).status().reason, /written by another version of the pipeline/);
});

import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import t, { type Test } from "tap";
import type { Clock, Emit, Inference, Lease, Pipeline } from "../../src/core/index.js";
import { type Pointer, readPointer, resetPointer, type Snapshot, Task, verifyTask } from "../../src/runtime/index.js";
import { openLink } from "../../src/streams/connection.js";
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

function toyTask(connection: Connection, pipeline: Pipeline, hurried = false, clock = testClock(hurried)): Task {
  const logger = pino({ level: "silent" });
  return new Task({
    ...connection,
    pipeline,
    partition: 0,
    partitions: 1,
    inference,
    clock,
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
  await reached(second, 10); // it owns the markers: the first can store nothing of what comes now
  await publish(connection, 10, 30);
  await reached(second, 30);
  await firstRun;
  t.equal(first.status().state, "fenced");
  t.equal((await stored(connection, "features")).size, 30);
  stop.abort();
  await secondRun;
});

t.test("another program goes on from the snapshot, and the border is recorded", async (t) => {
  const { connection } = await world(t);
  const first = toyTask(connection, toyPipeline());
  const stop = new AbortController();
  const firstRun = first.run(leaseOf(), stop.signal);
  await publish(connection, 0, 5);
  await reached(first, 5);
  stop.abort();
  await firstRun;
  t.equal(first.status().snapshotAt, 5, "stopping saves a snapshot");

  const second = toyTask(connection, toyPipeline({ version: 2, bonus: 10 }));
  const again = new AbortController();
  const secondRun = second.run(leaseOf(), again.signal);
  await publish(connection, 5, 8);
  await reached(second, 8);
  const events = [...(await stored(connection, "features")).values()].map((line) => JSON.parse(line).eventId as string);
  t.same(events, ["a1", "b1", "c1", "a2", "b2", "c12", "a13", "b13"], "the second counts on, in its own way");
  const { pointer } = await readPointer(connection.registers, "toy.counts/0");
  t.match(pointer?.borders, [{ version: 2, from: 5, at: { features: { sequence: 5 }, accepted: { sequence: 5 } } }]);
  again.abort();
  await secondRun;
  const common = { ...connection, partition: 0, partitions: 1, inference };
  const verified = await verifyTask({ ...common, pipeline: toyPipeline({ version: 2, bonus: 10 }) });
  t.match(verified, { messages: 3, outputs: 6, differences: [] }, "from the border on");
});

t.test("what a task must not begin with stops it, with these words", async (t) => {
  const { connection, server } = await world(t);
  const { log, registers } = connection;
  const reasonOf = async (pipeline: Pipeline, epoch?: number): Promise<string> => {
    const task = toyTask(connection, pipeline);
    const stop = new AbortController();
    const run = task.run(leaseOf(epoch), stop.signal);
    for (let i = 0; i < 300 && !["failed", "fenced"].includes(task.status().state); i++) await delay(10);
    stop.abort();
    await run;
    return task.status().reason ?? "it runs";
  };
  const pointerNow = async () => (await readPointer(registers, "toy.counts/0")).pointer as Pointer;
  const point = async (change: Partial<Pointer>) => {
    const { pointer, revision } = await readPointer(registers, "toy.counts/0");
    const value = Buffer.from(JSON.stringify({ ...pointer, ...change }));
    await registers.set("snapshot/toy.counts/0", value, revision);
  };
  await publish(connection, 0, 5);
  const stop = new AbortController();
  const task = toyTask(connection, toyPipeline());
  const run = task.run(leaseOf(), stop.signal);
  await reached(task, 5);
  stop.abort();
  await run;
  const good = await pointerNow();

  const refusing = toyPipeline({ version: 2, refuse: "state of operator count incompatible: it has other fields" });
  t.match(
    await reasonOf(refusing),
    /^state of operator count incompatible: it has other fields: start the program it was saved by, or "millrace reset toy.counts"/,
  );
  await point({ format: 99 });
  t.match(await reasonOf(toyPipeline()), /^snapshot from a newer program: toy.counts\/0 was saved in format 99/);
  await point({ format: good.format, incarnation: "0123" });
  t.match(
    await reasonOf(toyPipeline()),
    /^broker lost acknowledged data: the stream toy.counts\/0 reads was recreated/,
  );
  const ahead = { ...good.kept[0], sequence: 50 } as Snapshot;
  await point({ incarnation: good.incarnation, kept: [ahead] });
  t.match(
    await reasonOf(toyPipeline()),
    /^broker lost acknowledged data: telemetry ends at 5, toy.counts\/0 has processed 50/,
  );
  await point({ kept: [{ ...(good.kept[0] as Snapshot), object: "toy.counts/0/none-1" }] });
  t.match(await reasonOf(toyPipeline()), /none of its 1 snapshots is in the object store/);
  t.match(await reasonOf(toyPipeline(), 1), /epoch \d+ owns it, ours is 1/);

  await point({ kept: good.kept });
  await publish(connection, 5, 20);
  const { jsm, nc } = await openLink({ url: server.url, name: "keeper" });
  t.teardown(() => nc.close());
  await jsm.streams.purge("telemetry", { seq: 12 });
  t.match(await reasonOf(toyPipeline()), /^log truncated: telemetry begins at 12, toy.counts\/0 needs 6/);
  t.equal(await resetPointer(registers, "toy.counts/0", { incarnation: good.incarnation, keep: () => false }), true);
  const last = toyTask(connection, toyPipeline());
  const again = new AbortController();
  const lastRun = last.run(leaseOf(), again.signal);
  await reached(last, 20);
  t.equal(last.status().state, "running", "after a reset it begins with what there is");
  again.abort();
  await lastRun;
  await registers.remove("snapshot/toy.counts/0", (await registers.get("snapshot/toy.counts/0"))?.revision ?? 0);
  t.match(
    await reasonOf(toyPipeline()),
    /^log truncated: telemetry begins at 12, toy.counts\/0 needs 1/,
    "no pointer, but markers",
  );
  t.ok(await log.info("telemetry"));
});

t.test("a failing partition stops alone and tries again after growing pauses", async (t) => {
  const { connection } = await world(t);
  const pauses: number[] = [];
  const stop = new AbortController();
  const machine = testClock(false);
  const sleep: Clock["sleep"] = (ms, signal) => {
    if (ms >= 250 && ms <= 15_000) pauses.push(ms); // a running task waits a minute for its next snapshot
    return machine.sleep(ms, signal);
  };
  const task = toyTask(connection, toyPipeline({ failAlwaysAt: 7 }), false, { ...machine, sleep });
  await publish(connection, 0, 9);
  const run = task.run(leaseOf(), stop.signal);
  while (pauses.length < 6) await delay(10);
  t.equal(task.status().state, "failed");
  t.match(task.status().reason, "planted failure");
  stop.abort();
  await run;
  t.same(pauses.slice(0, 6), [250, 500, 1_000, 2_000, 4_000, 8_000]);
  t.equal((await stored(connection, "features")).size, 6, "what came before is written");
});

const ROUNDS = 40;
const A_STEP = 100;

/** Says `ROUNDS * A_STEP` outputs for each message, in steps; `onStep` hears of each and may throw. */
function firingPipeline(onStep: (round: number) => void): Pipeline {
  const toy = toyPipeline();
  return {
    ...toy,
    name: "toy.firing",
    create: (context) => {
      const program = toy.create(context);
      const steps = function* (sequence: number, emit: Emit): Generator<void> {
        for (let round = 0; round < ROUNDS; round++) {
          onStep(round);
          for (let i = 0; i < A_STEP; i++) {
            const eventId = `${sequence} ${round * A_STEP + i}`;
            const about = { pipeline: "toy.firing", domain: "mine", key: "k", tsMs: 1, lateByMs: 0 } as const;
            const record = { kind: "late", ...about, eventId } as const;
            emit({ stream: "features", subject: "features.0.toy", record, pack: true });
          }
          yield;
        }
      };
      return {
        ...program,
        apply: ({ sequence }, _ahead, emit) => {
          for (const _step of steps(sequence, emit));
        },
        applyInSteps: ({ sequence }, _ahead, emit) => steps(sequence, emit),
      };
    },
  };
}

t.test("a message that fires much: others get their turn, and a restart in its midst repeats nothing", async (t) => {
  const { connection } = await world(t);
  let failures = 2;
  let steps = 0;
  let turns = 0;
  let isOver = false;
  const pipeline = firingPipeline((round) => {
    steps++;
    if (round !== 25 || failures === 0) return;
    failures--;
    throw new Error("planted in the midst");
  });
  const count = (): void => {
    turns++;
    if (!isOver) setImmediate(count);
  };
  count();
  const stop = new AbortController();
  const task = toyTask(connection, pipeline, true);
  const run = task.run(leaseOf(), stop.signal);
  await publish(connection, 0, 2);
  await reached(task, 2);
  isOver = true;
  const said = [...(await stored(connection, "features")).values()].map((line) => JSON.parse(line).eventId as string);
  const expected = [1, 2].flatMap((at) => Array.from({ length: ROUNDS * A_STEP }, (_, i) => `${at} ${i}`));
  t.same(said, expected);
  t.equal(steps, 2 * ROUNDS + 2 * 26, "twice it began again");
  t.ok(turns > ROUNDS, `${turns} turns of the event loop`);
  stop.abort();
  await run;

  // A new owner takes over while the old one is in the midst of a message.
  let begun: () => void = () => undefined;
  const inMidst = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const former = toyTask(
    connection,
    firingPipeline((round) => round === 20 && begun()),
    true,
  );
  const formerRun = former.run(leaseOf(), new AbortController().signal);
  await publish(connection, 2, 3);
  await inMidst;
  const next = toyTask(
    connection,
    firingPipeline(() => undefined),
    true,
  );
  const nextStop = new AbortController();
  const nextRun = next.run(leaseOf(), nextStop.signal);
  await reached(next, 3);
  await formerRun;
  t.equal(former.status().state, "fenced");
  t.equal((await stored(connection, "features")).size, 3 * ROUNDS * A_STEP);
  const verified = await verifyTask({ ...connection, pipeline, partition: 0, partitions: 1, inference });
  t.match(verified, { messages: 3, outputs: 3 * ROUNDS * A_STEP, differences: [] });
  nextStop.abort();
  await nextRun;
});

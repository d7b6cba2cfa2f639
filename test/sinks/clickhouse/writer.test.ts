import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { type Clock, MillraceError } from "../../../src/core/index.js";
import {
  connectClickhouse,
  createClickhouseSink,
  createQueryRunner,
  createSinkTask,
  type PoisonRow,
} from "../../../src/sinks/index.js";
import { memoryRegisters } from "../../support/memory-registers.js";
import { INCARNATION, logWith, modelSink, type Poison, run, text } from "./model-sink.js";
import { delivery, reading, silent, temporaryDirectory, until } from "./support.js";

t.test("rows of both tables arrive once, over restarts, and soon", async (t) => {
  const clickhouse = await connectClickhouse({ path: await temporaryDirectory(t) });
  t.teardown(() => clickhouse.close());
  const sink = createClickhouseSink(clickhouse);
  await sink.open();
  const query = createQueryRunner(clickhouse);
  const log = await logWith("accepted");
  await log.publish({ subject: "accepted.0.telemetry", data: text(reading(0), reading(1)) });
  await log.publish({ subject: "accepted._at.mine/0", data: Buffer.from("{}") });
  await log.publish({ subject: "accepted.1.github", data: text(delivery(0)) });

  let running = run(log, sink, "accepted", { limits: { maxWaitMs: 60_000 } });
  await until("all stored", () => running.task.position() === 3);
  t.equal(running.task.stored("readings"), 2);
  t.equal(running.task.stored("github_events"), 1);
  t.equal(running.task.stored("alerts"), 0, "not a table of this stream");
  t.equal(await running.task.lag(), 0);
  t.equal(running.task.saved(), 0, "stored, and still to be read again: the table of few rows has no better position");

  await log.publish({ subject: "accepted.0.telemetry", data: text(reading(2)) });
  await until(
    "a row that comes alone does not wait a minute for its block",
    () => running.task.stored("readings") === 3,
  );

  await log.publish({ subject: "accepted.0.telemetry", data: text(reading(3)) });
  await running.stop(); // read or not: the next start has it

  await log.publish({ subject: "accepted.0.telemetry", data: text(reading(4)) });
  running = run(log, sink, "accepted");
  await until("all stored", () => running.task.position() === 6);
  t.equal(running.task.stored("readings"), 5, "counted from before");
  await running.stop();
  t.equal(running.task.saved(), 6);
  t.same((await query("SELECT event_id, _seq, _index FROM readings ORDER BY event_id")).rows, [
    ["event-0", 1, 0],
    ["event-1", 1, 1],
    ["event-2", 4, 0],
    ["event-3", 5, 0],
    ["event-4", 6, 0],
  ]);
  t.same((await query("SELECT body, _part, _incarnation, _id FROM github_events")).rows, [
    ['{"n":0,"text":"say \\"hi\\"\\n"}', 1, INCARNATION, "inc/parallel-org/0/0/0"],
  ]);
  t.same((await query("SELECT max(sequence) FROM sink_progress WHERE stream = 'accepted'")).rows, [[6]]);
});

t.test("bad rows are set aside with their reason, their neighbours are stored", async (t) => {
  const clickhouse = await connectClickhouse({ path: await temporaryDirectory(t) });
  t.teardown(() => clickhouse.close());
  const sink = createClickhouseSink(clickhouse);
  await sink.open();
  const log = await logWith("accepted");
  const records = Array.from({ length: 40 }, (_, n) => reading(n));
  records[7] = reading(7, { site: "(TOO_MANY_PARTS) lone \ud800 surrogate" });
  records[8] = reading(8, { values: { x: "many" } });
  records[31] = reading(31, { group: undefined });
  for (let n = 0; n < 40; n += 4) {
    await log.publish({ subject: "accepted.0.telemetry", data: text(...records.slice(n, n + 4)) });
  }
  await log.publish({ subject: "accepted.0.telemetry", data: Buffer.from('{"kind":"reading", oops') });
  await log.publish({
    subject: "accepted.0.telemetry",
    data: text(reading(40), reading(41, { labels: 5 })),
  });
  const running = run(log, sink, "accepted");
  await until("everything decided", () => running.task.position() === 12);
  t.equal(running.task.stored("readings"), 38);
  t.same(
    running.poison
      .map(({ sequence, index, table }) => [sequence, index, table])
      .sort((a, b) => Number(a[0]) - Number(b[0])),
    [
      [2, 3, "readings"],
      [3, 0, "readings"],
      [8, 3, "readings"],
      [11, 0, undefined],
      [12, 1, "readings"],
    ],
  );
  t.equal(running.task.poisoned(), 5);
  t.match(
    running.poison.find(({ sequence }) => sequence === 3)?.reason,
    /checking rows for readings .*Cannot read floating point value/,
  );
  t.equal(running.poison.find(({ sequence }) => sequence === 11)?.text, '{"kind":"reading", oops');
  await running.stop();
});

t.test("a stop writes what waits for its block to fill", async (t) => {
  const sink = modelSink();
  const log = await logWith("accepted");
  await log.publish({ subject: "accepted.0.telemetry", data: text(reading(0), reading(1)) });
  const running = run(log, sink, "accepted", { limits: { idleMs: 60_000, maxWaitMs: 60_000 } });
  await until("reading", () => log.openReaders === 1);
  await new Promise((resolve) => setTimeout(resolve, 50)); // reading announces itself to nobody
  t.equal(sink.blocks.length, 0, "still waiting");
  await running.stop();
  t.equal(running.task.stored("readings"), 2);
  t.equal(running.task.position(), 1);
  t.equal(await sink.progress("accepted", INCARNATION), 1);
  t.equal(log.openReaders, 0, "the reader is closed");
});

t.test("a block of nothing but bad rows stores nothing and holds nothing up", async (t) => {
  const sink = modelSink((row) => row["site"] === "bad");
  const log = await logWith("accepted");
  await log.publish({ subject: "accepted.0.telemetry", data: text(reading(0, { site: "bad" })) });
  const running = run(log, sink, "accepted");
  await until("set aside", () => running.task.position() === 1);
  await log.publish({ subject: "accepted.0.telemetry", data: text(reading(1)) });
  await until("stored", () => running.task.stored("readings") === 1);
  t.equal(running.poison.length, 1);
  await running.stop();
});

t.test("a dead-letter queue that is away delays the block, and nothing is lost", async (t) => {
  const sink = modelSink((row) => row["site"] === "bad");
  const log = await logWith("accepted");
  await log.publish({ subject: "accepted.0.telemetry", data: text(reading(0), reading(1, { site: "bad" })) });
  let away = true;
  const aside: PoisonRow[] = [];
  const onPoison: Poison = async (row) => {
    if (away) throw new MillraceError("MR_LOG_UNAVAILABLE", "no answer");
    aside.push(row);
  };
  let tries = 0;
  sink.onWrite = async () => {
    tries += 1;
    if (tries === 2) away = false;
    return undefined;
  };
  const running = run(log, sink, "accepted", { onPoison });
  await until("stored", () => running.task.position() === 1);
  t.equal(running.task.stored("readings"), 1);
  t.equal(aside.length, 1);
  await running.stop();
});

t.test("blocks: whole messages, at most maxRows and one message more, in order, one in flight a table", async (t) => {
  const sink = modelSink();
  const log = await logWith("accepted");
  let n = 0;
  for (let m = 0; m < 30; m++) {
    const records = Array.from({ length: 7 }, () => reading(n++));
    await log.publish({
      subject: "accepted.0.telemetry",
      data: text(...records, ...(m % 3 === 0 ? [delivery(m)] : [])),
    });
  }
  const inFlight = new Map<string, number>();
  let most = 0;
  sink.onWrite = async (table) => {
    inFlight.set(table, (inFlight.get(table) ?? 0) + 1);
    most = Math.max(most, inFlight.get(table) ?? 0);
    await new Promise((resolve) => setTimeout(resolve, 2));
    inFlight.set(table, (inFlight.get(table) ?? 0) - 1);
    return undefined;
  };
  const running = run(log, sink, "accepted", { limits: { maxRows: 10 } });
  await until("stored", () => running.task.position() === 30);
  await running.stop();
  t.equal(most, 1);
  const blocks = sink.blocks.filter(({ table }) => table === "readings");
  t.ok(
    blocks.every(({ rows }) => rows <= 14 && rows % 7 === 0),
    "10 rows fall within the second message",
  );
  let next = 1;
  for (const { token } of blocks) {
    const [, from, to] = /^readings\/c0ffee\/(\d+)-(\d+)$/.exec(token) ?? [];
    t.equal(Number(from), next, token);
    next = Number(to) + 1;
  }
  t.same(
    sink.rows.get("readings")?.map((row) => row["event_id"]),
    Array.from({ length: 210 }, (_, i) => `event-${i}`),
    "in the order of the log",
  );
  const bytes = await logWith("accepted");
  for (let m = 0; m < 4; m++) await bytes.publish({ subject: "accepted.0.telemetry", data: text(reading(m)) });
  const small = modelSink();
  const again = run(bytes, small, "accepted", { limits: { maxBytes: 1 } });
  await until("stored", () => again.task.position() === 4);
  t.equal(small.blocks.length, 4, "maxBytes cuts too, after one message");
  await again.stop();
});

t.test("a slow database: reading pauses at the bound, the other table goes on", async (t) => {
  const sink = modelSink();
  const log = await logWith("accepted");
  const body = "x".repeat(10_000);
  for (let n = 0; n < 100; n++) await log.publish({ subject: "accepted.0.github", data: text(delivery(n, { body })) });
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  sink.onWrite = async (table) => {
    if (table === "github_events") await released;
    return undefined;
  };
  const running = run(log, sink, "accepted", { limits: { maxBufferedBytes: 100_000, maxRows: 5 } });
  await until("first block sent", () => log.openReaders === 1);
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.equal(running.task.position(), 0, "nothing acknowledged");
  t.equal(sink.blocks.length, 0);
  release();
  await until("all stored", () => running.task.position() === 100);
  await running.stop();
});

t.test("failures: the same block with the same token until it is through", async (t) => {
  const sink = modelSink();
  const log = await logWith("alerts");
  const alert = (n: number) => ({
    id: `i/p/0/${n}/0`,
    schema: "millrace.alert/1",
    fingerprint: `f${n}`,
    revision: 1,
    ts: "2026-01-02T03:04:05Z",
    window: { start: "2026-01-02T03:00:00Z", end: "2026-01-02T03:05:00Z" },
    expected: null,
    evidence: [],
  });
  const attempts: string[] = [];
  sink.onWrite = async (_, rows) => {
    attempts.push(`${rows[0]?._seq}-${rows.at(-1)?._seq}`);
    if (attempts.length === 1) throw new MillraceError("MR_SINK_UNAVAILABLE", "away");
    return attempts.length === 2 ? "lost" : undefined;
  };
  await log.publish({ subject: "alerts.0.mine", data: text(alert(1)) });
  const running = run(log, sink, "alerts");
  await until("first attempt", () => attempts.length === 1);
  await log.publish({ subject: "alerts.0.mine", data: text(alert(2)) });
  await until("stored", () => running.task.position() === 2);
  t.same(attempts.slice(0, 3), ["1-1", "1-1", "1-1"], "what came meanwhile waits");
  t.equal(running.task.stored("alerts"), 2, "a repeat counts once");
  t.equal(sink.rows.get("alerts")?.length, 2);

  sink.onWrite = async () => {
    throw new MillraceError("MR_SINK_UNAVAILABLE", "away for long");
  };
  await log.publish({ subject: "alerts.0.mine", data: text(alert(3)) });
  await until("a failure", () => running.task.position() === 2);
  const startedMs = performance.now();
  await running.stop();
  t.ok(performance.now() - startedMs < 4_000, "a stop does not wait for the database");
  t.equal(running.task.position(), 2, "the row is not claimed");

  sink.onWrite = async () => undefined;
  const again = run(log, sink, "alerts");
  await until("stored", () => again.task.position() === 3);
  t.equal(again.task.stored("alerts"), 3);
  await again.stop();
});

t.test("the log: outages are waited out, gaps are named", async (t) => {
  const sink = modelSink();
  const log = await logWith("accepted");
  log.down = true;
  const running = run(log, sink, "accepted");
  await new Promise((resolve) => setTimeout(resolve, 50));
  log.down = false;
  await log.publish({ subject: "accepted.0.telemetry", data: text(reading(0)) });
  await until("stored", () => running.task.position() === 1);
  await running.stop();

  for (let n = 1; n < 6; n++) await log.publish({ subject: "accepted.0.telemetry", data: text(reading(n)) });
  const again = run(log, sink, "accepted");
  await until("stored", () => again.task.position() === 6);
  await again.stop();
  log.truncate("accepted", 5);
  const sparse = run(log, sink, "accepted");
  await until("at the end", () => sparse.task.position() === 6);
  t.equal(sparse.task.stored("github_events"), 0, "an empty table does not ask for messages that are gone");
  await sparse.stop();

  const behind = modelSink();
  await behind.saveProgress("accepted", INCARNATION, 2);
  await t.rejects(run(log, behind, "accepted").ended, { code: "MR_LOG_TRUNCATED" }, "messages 3 to 5 are gone");

  const late = modelSink();
  const progress = [0, 5];
  late.progress = async () => progress.shift() ?? 5; // looked at before the former writer's save, and after it
  late.position = async () => 2;
  const overtaken = run(log, late, "accepted");
  await until("at the end", () => overtaken.task.position() === 6);
  t.equal(overtaken.task.stored("readings"), 1, "goes on where the former writer's late save says, as the keeper did");
  await overtaken.stop();

  const shorter = await logWith("accepted");
  await shorter.publish({ subject: "accepted.0.telemetry", data: text(reading(0)) });
  await t.rejects(run(shorter, sink, "accepted").ended, {
    code: "MR_LOG_LOST_DATA",
    message: /rows up to 6, but the log ends at 1/,
  });
  t.throws(
    () =>
      createSinkTask({
        log,
        registers: memoryRegisters(),
        sink,
        stream: "github",
        logger: silent,
        onPoison: async () => undefined,
      }),
    {
      code: "MR_OPTION_INVALID",
    },
  );
});

/** Fifty times as fast: pauses between attempts are not what is tested. */
const hurried: Clock = {
  nowMs: () => Date.now() * 50,
  monotonicMs: () => performance.now() * 50,
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const timer = setTimeout(resolve, ms / 50);
      signal?.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    }),
};
const sixteenth = fc.integer({ min: 0, max: 15 });
t.test(
  "whatever fails and whenever it restarts: every record once, in order, or set aside",
  { timeout: 120_000 },
  async (t) => {
    const plan = fc.record({
      messages: fc.array(
        fc.array(fc.constantFrom("reading", "delivery", "bad", "junk"), { minLength: 1, maxLength: 6 }),
        {
          minLength: 1,
          maxLength: 40,
        },
      ),
      fates: fc.array(sixteenth, { minLength: 1, maxLength: 60 }),
      maxRows: fc.integer({ min: 1, max: 12 }),
    });
    const property = fc.asyncProperty(plan, async ({ messages, fates, maxRows }) => {
      const log = await logWith("accepted");
      const expected: Record<string, string[]> = { readings: [], github_events: [], poison: [] };
      let n = 0;
      for (const [m, kinds] of messages.entries()) {
        const records = kinds.map((kind, index) => {
          n += 1;
          if (kind === "junk" || kind === "bad") expected["poison"]?.push(`${m + 1}/${index}`);
          if (kind === "junk") return { kind: "junk" };
          if (kind === "delivery") {
            expected["github_events"]?.push(`delivery-${n}`);
            return delivery(n);
          }
          if (kind === "reading") expected["readings"]?.push(`event-${n}`);
          return reading(n, kind === "bad" ? { site: "bad" } : {});
        });
        await log.publish({ subject: "accepted.0.telemetry", data: text(...records) });
      }
      const sink = modelSink((row) => row["site"] === "bad");
      const poison = new Set<string>();
      const onPoison: Poison = async ({ sequence, index }) => void poison.add(`${sequence}/${index}`);
      let writes = 0;
      let crash = () => {};
      sink.onWrite = async () => {
        const fate = fates[writes++ % fates.length] ?? 0;
        if (writes > 200 || fate < 12) return undefined;
        if (fate === 12) crash();
        if (fate === 13) return "lost";
        throw new MillraceError("MR_SINK_UNAVAILABLE", "away");
      };
      for (let done = false; !done; ) {
        const crashed = new AbortController();
        crash = () => crashed.abort();
        const running = run(log, sink, "accepted", { onPoison, clock: hurried, limits: { maxRows } });
        await until("end or crash", () => crashed.signal.aborted || running.task.position() === messages.length);
        done = running.task.position() === messages.length;
        await running.stop();
      }
      for (const table of ["readings", "github_events"]) {
        assert.deepEqual(
          (sink.rows.get(table) ?? []).map((row) => row["event_id"]),
          expected[table],
          table,
        );
      }
      assert.deepEqual([...poison].sort(), expected["poison"]?.sort());
    });
    await t.resolves(fc.assert(property, { numRuns: 40, seed: 20261120 }));
  },
);

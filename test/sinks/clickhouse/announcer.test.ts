import t, { type Test } from "tap";
import { MillraceError } from "../../../src/core/index.js";
import { takeOver } from "../../../src/sinks/clickhouse/announcer.js";
import { rowsOf } from "../../../src/sinks/clickhouse/rows.js";
import {
  connectClickhouse,
  createClickhouseSink,
  createQueryRunner,
  createSinkTask,
  RESULT_TABLES,
  type TableSink,
} from "../../../src/sinks/index.js";
import { memoryLog } from "../../support/memory-log.js";
import { memoryRegisters } from "../../support/memory-registers.js";
import { reading, silent, temporaryDirectory, until } from "./support.js";

const READINGS = { table: "readings", incarnation: "a" };

t.test("who takes over knows the last announcement, and ends the former writer's", async (t) => {
  const registers = memoryRegisters();
  const first = await takeOver({ registers, ...READINGS, writer: "1" });
  t.equal(first.before, undefined);
  await first.announce({ after: 0, from: 1, to: 5 });
  await first.announce({ after: 5, from: 6, to: 9 });
  const second = await takeOver({ registers, ...READINGS, writer: "2" });
  t.same(second.before, { after: 5, from: 6, to: 9 });
  await t.rejects(first.announce({ after: 9, from: 10, to: 12 }), { code: "MR_FENCED", message: /readings 10-12/ });
  const third = await takeOver({ registers, ...READINGS, writer: "3" });
  t.same(third.before, { after: 5, from: 6, to: 9 }, "taking over is no announcement");
  await t.rejects(second.announce({ after: 5, from: 6, to: 9 }), { code: "MR_FENCED" });
  await third.announce({ after: 5, from: 6, to: 9 });
  const another = await takeOver({ registers, ...READINGS, incarnation: "b", writer: "4" });
  t.match(another, { before: undefined, former: { incarnation: "a", from: 6, to: 9 } }, "another log");
  const again = await takeOver({ registers, ...READINGS, incarnation: "b", writer: "5" });
  t.match(
    again,
    { before: undefined, former: { incarnation: "a", from: 6, to: 9 } },
    "not refused yet, for all we know",
  );
  const oneMore = await takeOver({ registers, ...READINGS, incarnation: "c", writer: "6" });
  t.match(oneMore.former, { incarnation: "a", from: 6, to: 9 });
  await oneMore.announce({ after: 0, from: 1, to: 1 });
  t.equal((await takeOver({ registers, ...READINGS, incarnation: "c", writer: "7" })).former, undefined);
});

t.test("a block of a former layout that arrives after its rows were removed is not stored", async (t) => {
  const { sink, query } = await tenReadings(t);
  for (const { name } of RESULT_TABLES) {
    await sink.refuse(name, { incarnation: "old", from: 1, to: 5 });
    await sink.forget(name, ["old"]);
    t.equal(await sink.count(name, "old"), 0, name);
  }
  const row = async (incarnation: string) => {
    const message = { sequence: 3, subject: "accepted.0.telemetry", data: Buffer.from(JSON.stringify(reading(3))) };
    return rowsOf({ ...message, header: () => undefined }, incarnation).rows.map(({ row }) => row);
  };
  for (const token of ["readings/old/1-5", "readings/old/1-5+"]) await sink.write("readings", await row("old"), token);
  t.same((await query("SELECT count() FROM readings")).rows, [[0]]);
  await sink.write("readings", await row("new"), "readings/new/1-5");
  t.same((await query("SELECT count() FROM readings")).rows, [[1]], "of the layout there is now it is");
});

t.test("an announcement whose answer was lost is no other writer's", async (t) => {
  const registers = memoryRegisters();
  let lose = false;
  const losing = {
    ...registers,
    set: async (...args: Parameters<typeof registers.set>) => {
      const revision = await registers.set(...args);
      if (lose) throw new Error("no answer");
      return revision;
    },
  };
  const announcer = await takeOver({ registers: losing, ...READINGS, writer: "1" });
  lose = true;
  await t.rejects(announcer.announce({ after: 0, from: 1, to: 5 }), { message: "no answer" });
  lose = false;
  await announcer.announce({ after: 0, from: 1, to: 5 });
  await announcer.announce({ after: 5, from: 6, to: 7 });
});

/** An empty database and the readings 0 to 9 in a log; `start` is a writer between the two. */
async function tenReadings(t: Test) {
  const clickhouse = await connectClickhouse({ path: await temporaryDirectory(t) });
  t.teardown(() => clickhouse.close());
  const sink = createClickhouseSink(clickhouse);
  await sink.open();
  const registers = memoryRegisters();
  const log = memoryLog(() => "c0ffee");
  await log.ensureStream({ name: "accepted", subjects: ["accepted.>"], maxBytes: 1e9 });
  const publish = async (from: number, to: number): Promise<void> => {
    for (let n = from; n < to; n++)
      await log.publish({ subject: "accepted.0.telemetry", data: Buffer.from(JSON.stringify(reading(n))) });
  };
  await publish(0, 10);
  const onPoison = async () => void t.fail("no row is poison");
  const start = (through: TableSink) => {
    const stopping = new AbortController();
    const task = createSinkTask({ log, registers, sink: through, stream: "accepted", onPoison, logger: silent });
    const ended = task.run(stopping.signal);
    ended.catch(() => undefined);
    return { task, ended, stop: () => stopping.abort() };
  };
  return { clickhouse, sink, query: createQueryRunner(clickhouse), registers, publish, start };
}

t.test("an insert that arrives after the take-over stores no row twice", async (t) => {
  const { sink, query, publish, start } = await tenReadings(t);
  let release = (): void => undefined;
  let isStuck = false;
  const former = start({
    ...sink,
    async write(...block) {
      isStuck = true; // paused between its decision and the wire, as by SIGSTOP
      await new Promise<void>((resolve) => (release = resolve));
      return sink.write(...block);
    },
  });
  await until("the former writer is about to insert", () => isStuck);
  await publish(10, 20);
  const latter = start(sink);
  await until("all stored", () => latter.task.position() === 20);
  await publish(20, 30);
  release();
  await t.rejects(former.ended, { code: "MR_FENCED" }, "and the former writer ends");
  await until("the rest is stored", () => latter.task.position() === 30);
  t.same((await query("SELECT count(), uniqExact(event_id), uniqExact(_seq) FROM readings")).rows, [[30, 30, 30]]);
  latter.stop();
  await latter.ended;
});

t.test("an older copy of the database is filled again from where it ends", async (t) => {
  const { sink, registers, start } = await tenReadings(t);
  const announcer = await takeOver({ registers, table: "readings", incarnation: "c0ffee", writer: "lost" });
  await announcer.announce({ after: 6, from: 7, to: 8 });
  const { task, ended, stop } = start(sink);
  await until("all stored", () => task.position() === 10);
  t.equal(task.stored("readings"), 10);
  stop();
  await ended;
});

t.test(
  "a block whose token the database noted, and whose rows it lost when it died, is stored all the same",
  async (t) => {
    const { clickhouse, sink, query, start } = await tenReadings(t);
    // What is left after a kill between the two: ClickHouse keeps the token of rows that a mutation has removed.
    let tokens: string[] = [];
    const first = start({
      ...sink,
      async write(table, rows, token) {
        tokens.push(token);
        await sink.write(table, rows, token);
        await clickhouse.client.command({
          query: "ALTER TABLE readings DELETE WHERE 1",
          clickhouse_settings: { mutations_sync: "2" },
        });
        throw new MillraceError("MR_SINK_UNAVAILABLE", "killed");
      },
    });
    await until("the block was sent", () => tokens.length > 0);
    first.stop();
    await first.ended;
    t.same((await query("SELECT count() FROM readings")).rows, [[0]]);

    tokens = [];
    const second = start({
      ...sink,
      async write(table, rows, token) {
        tokens.push(token);
        await sink.write(table, rows, token);
      },
    });
    await until("all stored", () => second.task.position() === 10);
    second.stop();
    await second.ended;
    t.same((await query("SELECT count(), uniqExact(event_id) FROM readings")).rows, [[10, 10]]);
    t.same(tokens.slice(0, 2), ["readings/c0ffee/1-10", "readings/c0ffee/1-10+"]);
  },
);

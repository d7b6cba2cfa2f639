import t from "tap";
import { type Clock, systemClock } from "../../../src/core/index.js";
import {
  connectClickhouse,
  createClickhouseSink,
  createQueryRunner,
  createSinkTask,
} from "../../../src/sinks/index.js";
import { connectLog, streamSpecs } from "../../../src/streams/index.js";
import { startNats } from "../../support/nats.js";
import { reading, silent, startFront, temporaryDirectory, until } from "./support.js";

/** An hour passes in minutes: waits are as long as the sink wants them, on a clock that runs fast. */
const FAST = 20;
const fastClock: Clock = {
  nowMs: () => systemClock.nowMs() * FAST,
  monotonicMs: () => systemClock.monotonicMs() * FAST,
  sleep: (ms, signal) => systemClock.sleep(ms / FAST, signal),
};
const KB = 1024;
const LIMITS = { maxRows: 500, maxBufferedBytes: 512 * KB };
const PACK_ROWS = 250;

t.test(
  "the database is away in three ways for long: reading pauses at its bound, then every row is there once",
  async (t) => {
    const server = await startNats();
    const { log, registers, close } = await connectLog({ url: server.url, name: "test" });
    for (const spec of streamSpecs(1)) await log.ensureStream(spec);
    const front = await startFront(t, await temporaryDirectory(t));
    const clickhouse = await connectClickhouse({ url: front.url, timeoutMs: 250 });
    const sink = createClickhouseSink(clickhouse);
    await sink.open();
    const poisoned: unknown[] = [];
    const task = createSinkTask({
      ...{ log, registers, sink, stream: "accepted", clock: fastClock, limits: LIMITS, logger: silent },
      onPoison: async (row) => void poisoned.push(row),
    });
    const stopping = new AbortController();
    const running = task.run(stopping.signal);
    t.teardown(async () => {
      stopping.abort();
      await running;
      await clickhouse.close();
      await close();
      await server.stop();
    });

    let rows = 0;
    let bytes = 0;
    const publish = async (packs: number): Promise<void> => {
      for (let pack = 0; pack < packs; pack++) {
        const records = Array.from({ length: PACK_ROWS }, () =>
          reading(rows++, { labels: { filler: "x".repeat(100) } }),
        );
        const data = Buffer.from(records.map((record) => JSON.stringify(record)).join("\n"));
        bytes += data.length;
        await log.publish({ subject: "accepted.0.telemetry", data });
      }
    };
    const stored = async (): Promise<boolean> => (await task.lag()) === 0 && task.stored("readings") === rows;
    await publish(2);
    await until("the first rows are stored", stored);
    t.equal(task.wait(), undefined);

    let most = 0;
    const outage = async (how: string, reason: RegExp, begin: () => Promise<void>, end: () => Promise<void>) => {
      await begin();
      await publish(20);
      await until(`a few failures: ${how}`, () => (task.wait()?.failures ?? 0) >= 4);
      const [wait, position] = [task.wait(), task.position()];
      t.match(wait, { reason }, how);
      t.ok((wait?.sinceMs ?? 0) <= fastClock.nowMs(), "it says since when");
      await publish(40);
      const failures = task.wait()?.failures ?? 0;
      await until("it goes on trying", () => (task.wait()?.failures ?? 0) > failures);
      t.equal(task.wait()?.sinceMs, wait?.sinceMs, "one wait");
      t.equal(task.position(), position, "nothing counts as stored");
      most = Math.max(most, task.bufferedBytes());
      t.ok((await task.lag()) >= 50, "what is acknowledged waits in the log");
      await end();
      await until(`all is stored after: ${how}`, stored);
      t.equal(task.wait(), undefined, "and nothing waits");
    };
    await outage("refused", /ECONNREFUSED/, front.kill, front.start);
    const well = () => front.failInserts(0, "away");
    await outage("503", /no upstream|503/, () => front.failInserts(1e9, "away"), well);
    await outage("no answer", /Timeout/i, () => front.failInserts(1e9, "hang"), well);

    const query = createQueryRunner(clickhouse);
    const counts = "count(), uniqExact(event_id), uniqExact(_seq, _index)";
    t.same((await query(`SELECT ${counts} FROM readings`)).rows, [[rows, rows, rows]], `${rows} rows, each once`);
    t.same(poisoned, []);
    t.ok(most > 0 && most < LIMITS.maxBufferedBytes + 1536 * KB, `${most} of ${bytes} bytes were held at most`);
    t.comment(`${rows} rows, ${bytes} bytes; held at most ${most}`);
  },
);

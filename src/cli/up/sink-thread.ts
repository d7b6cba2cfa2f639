import { join } from "node:path";
import { workerData } from "node:worker_threads";
import { createLogger, type DeadLetter, type Log } from "../../core/index.js";
import {
  connectClickhouse,
  createClickhouseSink,
  createQueryRunner,
  createSinkTask,
  type PoisonRow,
  RESULT_TABLES,
} from "../../sinks/index.js";
import { connectLog, type LogOptions } from "../../streams/index.js";
import { serveThread } from "./thread.js";

export interface SinkThreadData {
  readonly log: LogOptions;
  /** Undefined: the embedded engine, under `dataDir`. */
  readonly clickhouseUrl: string | undefined;
  readonly dataDir: string;
  readonly logLevel: string;
}

export interface SinkThreadStatus {
  /** Rows by table. */
  readonly stored: Readonly<Record<string, number>>;
  /** Records of accepted events that no table took, by domain: they are in the dead letters. */
  readonly poisoned: Readonly<Record<DeadLetter["domain"], number>>;
  readonly place: string;
  /** Why a sink task ended; empty while all run. */
  readonly failures: readonly string[];
}

/** The thread that owns the database: one sink task a stream, and queries. */
await serveThread<SinkThreadStatus>(async () => {
  const { log: logOptions, clickhouseUrl, dataDir, logLevel } = workerData as SinkThreadData;
  const logger = createLogger(logLevel).child({ component: "sinks.clickhouse" });
  const connection = await connectLog({ ...logOptions, name: "millrace-sinks" });
  const clickhouse = await connectClickhouse(
    clickhouseUrl === undefined ? { path: join(dataDir, "clickhouse") } : { url: clickhouseUrl },
  );
  const sink = createClickhouseSink(clickhouse);
  await sink.open();
  const query = createQueryRunner(clickhouse);
  const poisoned = { github: 0, telemetry: 0 };
  const failures: string[] = [];
  const streams = [...new Set(RESULT_TABLES.flatMap(({ stream }) => stream ?? []))];
  const tasks = new Map(
    streams.map((stream) => {
      const onPoison = async (row: PoisonRow, reason: string): Promise<void> => {
        poisoned[await setAside(connection.log, row, reason)] += 1;
      };
      return [stream, createSinkTask({ log: connection.log, sink, stream, onPoison, logger })];
    }),
  );
  const stopping = new AbortController();
  const runs = [...tasks].map(async ([stream, task]) => {
    await task.run(stopping.signal).catch((error: unknown) => {
      logger.error({ stream, err: error }, "sink task ended");
      failures.push(`sink ${stream}: ${error instanceof Error ? error.message : String(error)}`);
    });
  });
  const stored = (): Record<string, number> => {
    return Object.fromEntries(
      RESULT_TABLES.map(({ name, stream }) => [name, tasks.get(stream ?? "")?.stored(name) ?? 0]),
    );
  };
  return {
    status: () => ({ stored: stored(), poisoned, place: clickhouse.place, failures }),
    handlers: {
      query: async ({ sql }: { sql: string }) => {
        const { columns, ...rest } = await query(sql);
        return { columns: columns.map(({ name }) => name), ...rest };
      },
    },
    stop: async () => {
      stopping.abort();
      await Promise.all(runs);
      await clickhouse.close();
      await connection.close();
    },
  };
});

/** A record no table takes becomes a dead letter; resolves with the domain it belonged to. */
async function setAside(log: Log, row: PoisonRow, reason: string): Promise<DeadLetter["domain"]> {
  const domain = row.table === "github_events" ? "github" : "telemetry";
  const bytes = Buffer.from(row.text);
  const letter: DeadLetter & { id: string } = {
    id: `sink/${row.stream}/${row.sequence}/${row.index}`,
    kind: "dead",
    domain,
    eventId: `sink/${row.stream}/${row.sequence}/${row.index}`,
    reason: `not stored in ${row.table ?? "any table"}: ${reason}`,
    source: "sink",
    door: "sink",
    subject: row.stream,
    origin: { stream: row.stream, sequence: row.sequence, index: row.index },
    bytesBase64: bytes.subarray(0, 64 * 1024).toString("base64"),
    bytesTotal: bytes.length,
  };
  await log.publish({ subject: "dead.sink", data: Buffer.from(JSON.stringify(letter)) });
  return domain;
}

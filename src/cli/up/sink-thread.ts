import { join } from "node:path";
import { workerData } from "node:worker_threads";
import { createLogger, isMillraceError, MillraceError, reasonOf, systemClock } from "../../core/index.js";
import {
  connectClickhouse,
  createClickhouseSink,
  createQueryRunner,
  createSinkTask,
  type PoisonRow,
  RESULT_TABLES,
  type RunQuery,
  type SinkTask,
  type SinkWait,
} from "../../sinks/index.js";
import { type Connection, connectLog, type LogOptions } from "../../streams/index.js";
import { registerReader } from "../../workers/keeper/index.js";
import { openTracing } from "../tracing/tracing.js";
import { type DeadDomain, setAside } from "./set-aside.js";
import { serveThread } from "./thread.js";

export interface SinkThreadData {
  readonly log: LogOptions;
  /** Undefined: the embedded engine, under `dataDir`. */
  readonly clickhouseUrl: string | undefined;
  readonly dataDir: string;
  readonly logLevel: string;
}

export interface SinkThreadStatus {
  /** Rows by table; empty while another process holds the sinks. */
  readonly stored: Readonly<Record<string, number>>;
  /** Records of accepted events that no table took, by domain: they are in the dead letters. */
  readonly poisoned: Readonly<Record<DeadDomain, number>>;
  /** Where the rows go; empty while another process holds the sinks. */
  readonly place: string;
  /** Why the database could not be opened at the last try; null when it could, or nobody has tried here. */
  readonly refusal: string | null;
  /** Why a sink task ended; empty while all run. */
  readonly failures: readonly string[];
  /** Of each stream's sink, while it runs here. */
  readonly sinks: readonly SinkStatus[];
}

export interface SinkStatus {
  readonly stream: string;
  /** Every record up to this sequence is stored or set aside. */
  readonly position: number;
  /** Messages of the stream after that, as of some seconds ago. */
  readonly lag: number;
  /** Read and not stored. */
  readonly bufferedBytes: number;
  /** Null while it stores what comes. */
  readonly wait: SinkWait | null;
}

const TELL_EVERY_MS = 5_000;
const STREAMS = [...new Set(RESULT_TABLES.flatMap(({ stream }) => stream ?? []))];

/** The thread that owns the database while this process holds the lease of the sinks: one sink task a stream, and queries. */
await serveThread<SinkThreadStatus>(async () => {
  const { log: logOptions, clickhouseUrl, dataDir, logLevel } = workerData as SinkThreadData;
  const logger = createLogger(logLevel).child({ component: "sinks.clickhouse" });
  const connection = await connectLog({ ...logOptions, name: "millrace-sinks" });
  const tracing = await openTracing(process.env);
  const log = tracing.log(connection.log, { verb: "store" });
  const { registers } = connection;
  const poisoned = { github: 0, telemetry: 0, notify: 0 };
  const failures: string[] = [];
  let tasks = new Map<string, SinkTask>();
  const ends = new Map<string, number>();
  let place = "";
  let refusal: string | null = null;
  let query: RunQuery | undefined;
  let stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();

  const onPoison = async (row: PoisonRow, reason: string): Promise<void> => {
    poisoned[await setAside(connection.log, row, reason)] += 1;
  };
  const work = async (signal: AbortSignal): Promise<void> => {
    const clickhouse = await connectClickhouse(
      clickhouseUrl === undefined ? { path: join(dataDir, "clickhouse") } : { url: clickhouseUrl },
    );
    let unserve = (): void => undefined;
    try {
      const sink = createClickhouseSink(clickhouse);
      await sink.open();
      query = createQueryRunner(clickhouse);
      place = clickhouse.place;
      refusal = null;
      unserve = connection.requests.serve("query", answer);
      tasks = new Map(
        STREAMS.map((stream) => [stream, createSinkTask({ log, registers, sink, stream, onPoison, logger })]),
      );
      failures.length = 0;
      const runs = [...tasks].map(async ([stream, task]) => {
        await task.run(signal).catch((error: unknown) => {
          logger.error({ stream, err: error }, "sink task ended");
          if (isMillraceError(error, "MR_FENCED")) stopping.abort(); // all of it begins anew, with whoever has the lease then
          failures.push(`sink ${stream}: ${reasonOf(error)}`);
        });
      });
      await Promise.all([...runs, tellPositions(connection, { tasks, ends }, signal)]);
    } finally {
      unserve();
      query = undefined;
      place = "";
      tasks = new Map();
      await clickhouse.close();
    }
  };
  const answer = async ({ sql }: { sql: string }): Promise<unknown> => {
    if (query === undefined) throw new MillraceError("MR_SINK_UNAVAILABLE", "the database is not open here");
    const { columns, ...rest } = await query(sql);
    return { columns: columns.map(({ name }) => name), ...rest };
  };
  const stored = (): Record<string, number> =>
    Object.fromEntries(RESULT_TABLES.map(({ name, stream }) => [name, tasks.get(stream ?? "")?.stored(name) ?? 0]));
  return {
    status: () => ({
      stored: stored(),
      poisoned,
      place,
      refusal,
      failures,
      sinks: [...tasks].map(([stream, task]) => ({
        stream,
        position: task.position(),
        lag: Math.max(0, (ends.get(stream) ?? 0) - task.position()),
        bufferedBytes: Math.round(task.bufferedBytes()),
        wait: task.wait() ?? null,
      })),
    }),
    handlers: {
      run: async () => {
        await running.catch(() => undefined);
        stopping = new AbortController();
        running = work(stopping.signal).catch((error: unknown) => {
          refusal = reasonOf(error);
          throw error;
        });
        await running;
      },
      end: async () => stopping.abort(),
      query: answer,
    },
    stop: async () => {
      stopping.abort();
      await running.catch(() => undefined);
      await connection.close();
      await tracing.close();
    },
  };
});

/**
 * Registers the sinks as readers, with where a restart would begin: the keeper leaves the rest. Notes in `ends` where the streams end.
 * Resolves when `signal` aborts.
 */
async function tellPositions(
  { log, registers }: Connection,
  { tasks, ends }: { readonly tasks: ReadonlyMap<string, SinkTask>; readonly ends: Map<string, number> },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for (const [stream, task] of tasks) {
        const { incarnation, lastSequence } = await log.info(stream);
        ends.set(stream, lastSequence);
        const position = task.saved();
        await registerReader(registers, { stream, name: "sink.clickhouse", kind: "position", incarnation, position });
      }
    } catch (error) {
      if (!isMillraceError(error) || error.disposition !== "retry") throw error;
    }
    await systemClock.sleep(TELL_EVERY_MS, signal);
  }
}

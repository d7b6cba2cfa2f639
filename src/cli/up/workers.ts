import { hostname } from "node:os";
import { type Config, isMillraceError, type Lease, type Logger, systemClock } from "../../core/index.js";
import { shareNames, type TaskStatus, whileHeld } from "../../runtime/index.js";
import type { Connection, LogOptions } from "../../streams/index.js";
import { runClock } from "../../workers/clock/index.js";
import { createSolver, createSolverWorker, type SolverCounters } from "../../workers/solver/index.js";
import { restingPipelines } from "../wishes.js";
import type { Sabotage } from "./sabotage.js";
import type { SinkThreadData, SinkThreadStatus } from "./sink-thread.js";
import type { TasksThreadData, TasksThreadStatus } from "./tasks-thread.js";
import { Thread } from "./thread.js";

const LIVE_STREAMS = ["github", "telemetry"];
/** How often the wishes of `millrace pause` and `resume` are read. */
const WISHES_EVERY_MS = 500;
/** Between two tries to open the database. */
const SINK_RETRY_MS = 1_000;

/** What works on the log in one process: its share of the tasks, and whatever single jobs it holds the lease of. */
export interface Workers {
  /** Resolves when the threads have started. */
  ready(): Promise<void>;
  /** Of the tasks this process runs. */
  tasks(): readonly TaskStatus[];
  solver(): SolverCounters;
  /** Undefined before the first status, or when this process never takes the sinks. */
  sinks(): SinkThreadStatus | undefined;
  /** Resolves with the reason when a thread ends by itself. */
  readonly broken: Promise<string>;
  /** Gives everything back. Safe to call twice. */
  stop(): Promise<void>;
}

export interface WorkersOptions {
  readonly config: Config;
  readonly log: Omit<LogOptions, "name">;
  /** Of the main thread: all leases are held here. */
  readonly connection: Connection;
  readonly partitions: number;
  /** Whether this process can reach the database. */
  readonly sinks: boolean;
  readonly sabotage: Sabotage | undefined;
  readonly logger: Logger;
}

/**
 * Starts `config.workers` threads for tasks and one for the database. Nothing runs before its lease is held; the leases are held in
 * the calling thread, which must never be busy for a second.
 */
export function startWorkers(options: WorkersOptions): Workers {
  const { config, connection, partitions, logger, sabotage } = options;
  const { leases } = connection;
  const stopping = new AbortController();
  const holder = `${hostname()}/${process.pid}`;
  let breakWith: (reason: string) => void = () => undefined;
  const broken = new Promise<string>((resolve) => {
    breakWith = resolve;
  });
  const onFailure = (error: Error): void => {
    logger.error({ err: error }, "a thread ended");
    breakWith(error.message);
  };
  const log = { ...options.log, name: "thread" };
  const { dataDir, clickhouseUrl, logLevel, topologies } = config;
  const tasksData: TasksThreadData = { log, partitions, logLevel, topologies, sabotage };
  const threads = Array.from(
    { length: config.workers },
    () => new Thread<TasksThreadStatus>(new URL("./tasks-thread.js", import.meta.url), tasksData, onFailure),
  );
  const sinkData: SinkThreadData = { log, clickhouseUrl, dataDir, logLevel };
  const sinks = options.sinks
    ? new Thread<SinkThreadStatus>(new URL("./sink-thread.js", import.meta.url), sinkData, onFailure)
    : undefined;

  const names = Array.from({ length: partitions }, (_, partition) => `partition/${partition}`);
  const shareWith = async (thread: Thread<TasksThreadStatus>, index: number): Promise<void> => {
    await thread.ready();
    const member = `${holder}/${index}`;
    const membership = await connection.leases.join("workers", member);
    const work = async (name: string, lease: Lease, until: AbortSignal): Promise<void> => {
      const partition = Number(name.slice(name.indexOf("/") + 1));
      await endedBy(until, thread.request("run", { partition, epoch: lease.epoch }), () =>
        thread.request("end", { partition, lost: lease.lost.aborted }),
      );
    };
    const { signal } = stopping;
    await shareNames({ leases, clock: systemClock, membership, member, names: () => names, signal, work });
    await membership.leave();
  };
  const single = (name: string, signal: AbortSignal, work: (lease: Lease, until: AbortSignal) => Promise<void>) =>
    whileHeld({ leases, clock: systemClock, name, holder, signal, work });
  const watched = (job: Promise<void>): Promise<void> => {
    job.catch((error: unknown) => stopping.signal.aborted || onFailure(error as Error));
    return job;
  };

  const solver = createSolver({});
  const solverWorker = createSolverWorker({ ...connection, solver, logger: logger.child({ component: "workers.solver" }) });
  const jobs = [
    ...threads.map(shareWith),
    single("clock/live", stopping.signal, (_, signal) =>
      runClock({ ...connection, clock: systemClock, logger, streams: LIVE_STREAMS, partitions, signal }),
    ),
    single("solver", stopping.signal, (_, signal) => solverWorker.run(signal)),
    followWishes(connection, threads, stopping.signal),
  ].map(watched);
  const lastly = new AbortController();
  const storing = sinks && watched(single("sink/clickhouse", lastly.signal, (_, until) => store(sinks, until, logger)));

  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    stopping.abort();
    await Promise.allSettled(jobs);
    await Promise.all(threads.map((thread) => thread.stop()));
    lastly.abort(); // the tasks' last outputs are in the log
    await Promise.allSettled([storing]);
    await sinks?.stop();
    await solver.close();
  };
  return {
    ready: async () => {
      await Promise.all([...threads, ...(sinks === undefined ? [] : [sinks])].map((thread) => thread.ready()));
    },
    tasks: () => threads.flatMap(({ status }) => status?.tasks ?? []),
    solver: () => solverWorker.counters(),
    sinks: () => sinks?.status,
    broken,
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** `work`, which is asked to `end` once `signal` aborts. */
async function endedBy(signal: AbortSignal, work: Promise<unknown>, end: () => Promise<unknown>): Promise<void> {
  const ask = (): void => void end().catch(() => undefined); // a thread that has ended: `work` rejects as well
  signal.addEventListener("abort", ask, { once: true });
  if (signal.aborted) ask();
  try {
    await work;
  } finally {
    signal.removeEventListener("abort", ask);
  }
}

/** Runs the sinks until `signal` aborts. A database that is away, or held by a process that is paused, is tried again. */
async function store(sinks: Thread<SinkThreadStatus>, signal: AbortSignal, logger: Logger): Promise<void> {
  try {
    await endedBy(signal, sinks.request("run", null), () => sinks.request("end", null));
  } catch (error) {
    if (!isMillraceError(error) || error.disposition !== "retry" || signal.aborted) throw error;
    logger.warn({ err: error }, "the database cannot be opened; the lease is given back");
    await systemClock.sleep(SINK_RETRY_MS, signal);
  }
}

/** Tells the threads which pipelines are to rest. */
async function followWishes(
  { registers }: Connection,
  threads: readonly Thread<TasksThreadStatus>[],
  signal: AbortSignal,
): Promise<void> {
  let before = "[]";
  while (!signal.aborted) {
    const pipelines = await restingPipelines(registers).catch(() => undefined);
    const now = JSON.stringify(pipelines ?? []);
    if (pipelines !== undefined && now !== before) {
      await Promise.all(threads.map((thread) => thread.request("pause", { pipelines })));
      before = now;
    }
    await systemClock.sleep(WISHES_EVERY_MS, signal);
  }
}

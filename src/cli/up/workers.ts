import { hostname } from "node:os";
import { type Config, isMillraceError, type Lease, type Logger, systemClock } from "../../core/index.js";
import { shareNames, whileHeld } from "../../runtime/index.js";
import type { Connection, LogOptions } from "../../streams/index.js";
import { runClock } from "../../workers/clock/index.js";
import { runKeeper } from "../../workers/keeper/index.js";
import { createSolver, createSolverWorker, type SolverCounters } from "../../workers/solver/index.js";
import { restingPipelines } from "../wishes.js";
import { keeperOptions } from "./keeper-options.js";
import type { Sabotage } from "./sabotage.js";
import type { SinkThreadData, SinkThreadStatus } from "./sink-thread.js";
import type { OwnTaskStatus } from "./task-set.js";
import type { TasksThreadData, TasksThreadStatus } from "./tasks-thread.js";
import { Thread } from "./thread.js";

const SINK_LEASE = "sink/clickhouse";
/** How often the wishes of `millrace pause` and `resume` are read. */
const WISHES_EVERY_MS = 500;
/** Between two tries to open the database. */
const SINK_RETRY_MS = 1_000;
const LOOK_MS = 20;

/** What works on the log in one process: its share of the tasks, and whatever single jobs it holds the lease of. */
export interface Workers {
  /** `<host>/<process id>` */
  readonly holder: string;
  /**
   * Resolves when the threads have started and the database is open here, or another process has it. Rejects with the error when it
   * must be opened here and cannot.
   */
  ready(): Promise<void>;
  /** From now on this process tells the time to live sources, when nobody else does. */
  tellTime(): void;
  /** Of the tasks this process runs. */
  tasks(): readonly OwnTaskStatus[];
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
  /** Whether this process takes the sinks when they are free; `must`: not being able to open the database is fatal. */
  readonly sinks: "must" | "may" | "never";
  readonly sabotage: Sabotage | undefined;
  readonly logger: Logger;
}

/**
 * Starts `config.workers` threads for tasks and one for the database. Nothing runs before its lease is held; the leases are held in
 * the calling thread, which must never be busy for a second.
 */
export function startWorkers(options: WorkersOptions): Workers {
  const { connection, partitions, logger } = options;
  const { leases } = connection;
  const holder = `${hostname()}/${process.pid}`;
  const stopping = new AbortController();
  const lastly = new AbortController();
  const broken = later<string>();
  const onFailure = (error: Error): void => {
    logger.error({ err: error }, "a thread ended");
    broken.resolve(error.message);
  };
  const { threads, sinks } = startThreads(options, onFailure);
  const watched = (job: Promise<void>): Promise<void> => {
    job.catch((error: unknown) => stopping.signal.aborted || onFailure(error as Error));
    return job;
  };
  const single = (name: string, signal: AbortSignal, work: (lease: Lease, until: AbortSignal) => Promise<void>) =>
    whileHeld({ leases, clock: systemClock, name, holder, signal, work });

  const time = later<void>();
  const solver = createSolver({});
  const solverLogger = logger.child({ component: "workers.solver" });
  const solverWorker = createSolverWorker({ log: connection.log, solver, logger: solverLogger });
  const tick = (_: Lease, signal: AbortSignal): Promise<void> =>
    runClock({
      ...connection,
      clock: systemClock,
      logger,
      inputs: { github: partitions, telemetry: partitions, desk: 1 },
      signal,
    });
  const jobs = [
    ...threads.map((thread, i) => share(thread, `${holder}/${i}`, options, stopping.signal)),
    time.promise.then(() => single("clock/live", stopping.signal, tick)),
    single("solver", stopping.signal, (_, signal) => solverWorker.run(signal)),
    single("keeper", stopping.signal, (_, signal) =>
      runKeeper(keeperOptions(connection, options.config, logger), signal),
    ),
    followWishes(connection, threads, stopping.signal),
  ].map(watched);

  const database = createStore(sinks, options);
  const storing = sinks && watched(single(SINK_LEASE, lastly.signal, (_, signal) => database.run(signal)));

  const stop = async (): Promise<void> => {
    stopping.abort();
    time.resolve();
    await Promise.allSettled(jobs);
    await Promise.all(threads.map((thread) => thread.stop()));
    lastly.abort(); // the tasks' last outputs are in the log
    await Promise.allSettled([storing]);
    await sinks?.stop();
    await solver.close();
  };
  let stopped: Promise<void> | undefined;
  return {
    holder,
    ready: async () => {
      await Promise.all([...threads, ...(sinks === undefined ? [] : [sinks])].map((thread) => thread.ready()));
      await database.decided(holder, stopping.signal);
    },
    tellTime: () => time.resolve(),
    tasks: () => threads.flatMap(({ status }) => status?.tasks ?? []),
    solver: () => solverWorker.counters(),
    sinks: () => sinks?.status,
    broken: broken.promise,
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

function startThreads({ config, log, partitions, sinks, sabotage }: WorkersOptions, onFailure: (error: Error) => void) {
  const { dataDir, clickhouseUrl, logLevel, topologies } = config;
  const named = { ...log, name: "thread" };
  const tasksData: TasksThreadData = { log: named, partitions, logLevel, topologies, sabotage };
  const sinkData: SinkThreadData = { log: named, clickhouseUrl, dataDir, logLevel };
  const [tasksUrl, sinksUrl] = [
    new URL("./tasks-thread.js", import.meta.url),
    new URL("./sink-thread.js", import.meta.url),
  ];
  return {
    threads: Array.from(
      { length: config.workers },
      () => new Thread<TasksThreadStatus>(tasksUrl, tasksData, onFailure),
    ),
    sinks: sinks === "never" ? undefined : new Thread<SinkThreadStatus>(sinksUrl, sinkData, onFailure),
  };
}

/** Keeps one thread busy with its share of the partitions. */
async function share(
  thread: Thread<TasksThreadStatus>,
  member: string,
  { connection, partitions }: WorkersOptions,
  signal: AbortSignal,
): Promise<void> {
  await thread.ready();
  const { leases } = connection;
  const names = Array.from({ length: partitions }, (_, partition) => `partition/${partition}`);
  const membership = await leases.join("workers", member);
  const work = (name: string, lease: Lease, until: AbortSignal): Promise<void> => {
    const partition = names.indexOf(name);
    const end = () => thread.request("end", { partition, lost: lease.lost.aborted });
    return endedBy(until, thread.request("run", { partition, epoch: lease.epoch }), end);
  };
  await shareNames({ leases, clock: systemClock, membership, member, names: () => names, signal, work });
  await membership.leave();
}

/** The database, while we hold its lease. */
function createStore(sinks: Thread<SinkThreadStatus> | undefined, options: WorkersOptions) {
  let refused: { readonly error: unknown } | undefined;
  let wasOpen = false;
  const isOpen = (): boolean => (sinks?.status?.place ?? "") !== "";
  return {
    /** Runs the sinks until `signal` aborts. A database that is away, or open in a process that is paused, is tried again. */
    async run(signal: AbortSignal): Promise<void> {
      if (sinks === undefined) return;
      try {
        await endedBy(signal, sinks.request("run", null), () => sinks.request("end", null));
        wasOpen = true;
      } catch (error) {
        if (!isMillraceError(error) || error.disposition !== "retry") throw error;
        const told = refused !== undefined && !wasOpen;
        if (!told) options.logger.warn({ err: error }, "the database cannot be opened, trying again");
        refused = { error };
        wasOpen = false;
        await systemClock.sleep(SINK_RETRY_MS, signal);
      }
    },
    /** Resolves when the database is open here or belongs to somebody else for now. */
    async decided(holder: string, signal: AbortSignal): Promise<void> {
      const { leases } = options.connection;
      const givenUpMs = performance.now() + 2 * leases.periodMs;
      while (sinks !== undefined && !isOpen() && !signal.aborted) {
        if (refused !== undefined && options.sinks === "must") throw refused.error;
        if (refused !== undefined) return;
        const owner = await leases.holder(SINK_LEASE);
        if (owner !== undefined && owner.holder !== holder && performance.now() > givenUpMs) return;
        await systemClock.sleep(LOOK_MS, signal);
      }
    },
  };
}

/** `work`, which is asked to `end` once `signal` aborts. */
async function endedBy(signal: AbortSignal, work: Promise<unknown>, end: () => Promise<unknown>): Promise<void> {
  const ask = (): void => void end().catch(() => undefined); // a thread that has ended: `work` rejects as well
  if (signal.aborted) ask();
  else signal.addEventListener("abort", ask, { once: true });
  try {
    await work;
  } finally {
    signal.removeEventListener("abort", ask);
  }
}

/** Tells the threads which pipelines are to rest. */
async function followWishes(
  { registers }: Connection,
  threads: readonly Thread<TasksThreadStatus>[],
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(threads.map((thread) => thread.ready()));
  let before = "[]";
  while (!signal.aborted) {
    const pipelines = await restingPipelines(registers).catch(() => undefined); // the log is away: nothing changes
    if (pipelines !== undefined && JSON.stringify(pipelines) !== before) {
      await Promise.all(threads.map((thread) => thread.request("pause", { pipelines })));
      before = JSON.stringify(pipelines);
    }
    await systemClock.sleep(WISHES_EVERY_MS, signal);
  }
}

function later<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

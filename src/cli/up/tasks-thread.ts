import { setMaxListeners } from "node:events";
import { hostname } from "node:os";
import { workerData } from "node:worker_threads";
import { createLogger, type Lease, systemClock } from "../../core/index.js";
import { models, pipelines } from "../../pipelines/index.js";
import { Task, type TaskStatus, whileHeld } from "../../runtime/index.js";
import { connectLog, type LogOptions } from "../../streams/index.js";
import { createInference } from "../../workers/inference/index.js";
import { createSolver, createSolverWorker, type SolverCounters } from "../../workers/solver/index.js";
import { serveThread } from "./thread.js";

export interface TasksThreadData {
  readonly log: LogOptions;
  readonly partitions: number;
  readonly logLevel: string;
}

export interface TasksThreadStatus {
  readonly tasks: readonly TaskStatus[];
  readonly solver: SolverCounters;
}

/** The thread that runs every pipeline task and hands plan requests to the solver (which solves in a thread of its own). */
await serveThread<TasksThreadStatus>(async () => {
  const { log: logOptions, partitions, logLevel } = workerData as TasksThreadData;
  const logger = createLogger(logLevel);
  const connection = await connectLog({ ...logOptions, name: "millrace-tasks" });
  const inference = createInference({ models });
  const solver = createSolver({});
  const solverWorker = createSolverWorker({
    log: connection.log,
    logger: logger.child({ component: "workers.solver" }),
    solver,
  });
  const shared = { ...connection, inference, partitions, clock: systemClock };
  const holder = `${hostname()}/${process.pid}`;
  const tasks = pipelines.flatMap((pipeline) =>
    Array.from({ length: partitions }, (_, partition) => {
      return new Task({ ...shared, pipeline, partition, logger: logger.child({ component: "runtime.task" }) });
    }),
  );
  const stopping = new AbortController();
  setMaxListeners(0, stopping.signal); // every task listens
  const { leases } = connection;
  const owned = Array.from({ length: partitions }, (_, partition) => {
    const ours = tasks.filter((task) => task.status().partition === partition);
    const work = async (lease: Lease, signal: AbortSignal): Promise<void> => {
      setMaxListeners(0, signal);
      await Promise.all(ours.map((task) => task.run(lease, signal)));
    };
    const name = `partition/${partition}`;
    return whileHeld({ leases, clock: systemClock, name, holder, signal: stopping.signal, work });
  });
  const runs = [...owned, solverWorker.run(stopping.signal)];
  return {
    status: () => ({
      tasks: tasks.map((task) => task.status()),
      solver: solverWorker.counters(),
    }),
    handlers: {},
    stop: async () => {
      stopping.abort();
      await Promise.allSettled(runs);
      await solver.close();
      await inference.close();
      await connection.close();
    },
  };
});

import { workerData } from "node:worker_threads";
import { createLogger, systemClock } from "../../core/index.js";
import { models } from "../../pipelines/index.js";
import { connectLog, type LogOptions } from "../../streams/index.js";
import { createInference } from "../../workers/inference/index.js";
import { openTracing } from "../tracing/tracing.js";
import { type Sabotage, sabotaged } from "./sabotage.js";
import { createTaskSet, type OwnTaskStatus } from "./task-set.js";
import { serveThread } from "./thread.js";
import { loadPipelines } from "./topologies.js";

export interface TasksThreadData {
  readonly log: LogOptions;
  readonly partitions: number;
  readonly logLevel: string;
  /** Module of the pipelines; undefined: the built-in applications. */
  readonly topologies: string | undefined;
  readonly sabotage: Sabotage | undefined;
}

export interface TasksThreadStatus {
  readonly tasks: readonly OwnTaskStatus[];
}

/** A thread that runs the tasks of the partitions it is told to; their leases are held by the main thread, which runs no operator. */
await serveThread<TasksThreadStatus>(async () => {
  const { log: logOptions, partitions, logLevel, topologies, sabotage } = workerData as TasksThreadData;
  const connected = await connectLog({ ...logOptions, name: "millrace-tasks" });
  const means = { connection: connected, pipelines: await loadPipelines(topologies), heedLoss: true };
  const { connection, pipelines, heedLoss } = sabotaged(sabotage, means);
  const tracing = await openTracing(process.env);
  const sources = new Map(pipelines.map(({ name, source }) => [name, source]));
  const sourceOf = (task: string) => sources.get(task.slice(0, task.lastIndexOf("/")));
  const log = tracing.log(connection.log, { verb: "process", sourceOf });
  const inference = createInference({ models });
  const logger = createLogger(logLevel).child({ component: "runtime.task" });
  const tasks = createTaskSet(pipelines, { ...connection, log, inference, partitions, clock: systemClock, logger });
  const ending: Promise<void>[] = [];
  return {
    status: () => ({ tasks: tasks.status() }),
    handlers: {
      run: async ({ partition, epoch }: { partition: number; epoch: number }) => {
        const run = tasks.run(partition, epoch);
        ending.push(run);
        await run;
      },
      end: async ({ partition, lost }: { partition: number; lost: boolean }) => {
        if (!lost || heedLoss) tasks.end(partition, lost);
      },
      pause: async ({ pipelines }: { pipelines: readonly string[] }) => tasks.pause(pipelines),
    },
    stop: async () => {
      for (let partition = 0; partition < partitions; partition++) tasks.end(partition, false);
      await Promise.allSettled(ending);
      await inference.close();
      await connection.close();
      await tracing.close();
    },
  };
});

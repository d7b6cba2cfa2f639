import type { Inference, Leases, Logger, Pipeline } from "../../../src/core/index.js";
import { Task, whileHeld } from "../../../src/runtime/index.js";
import { openLeases } from "../../../src/streams/leases.js";
import type { Ports } from "./ports.js";
import type { Process } from "./process.js";

/** Short, so that a seed sees several owners. */
const LEASE_MS = 1_200;
const SNAPSHOT_EVERY = { messages: 20, busyMs: 400, quietMs: 1_500 };
const inference: Inference = { run: async () => new Float32Array() };

/** What runs in one process: tasks of every partition whose lease it gets. */
export interface Worker {
  readonly process: Process;
  readonly tasks: readonly Task[];
  /** As SIGTERM: last snapshots, leases released. */
  stop(): void;
  readonly isStopped: boolean;
}

export function startWorker(options: {
  readonly process: Process;
  readonly ports: Ports;
  readonly pipelines: readonly Pipeline[];
  readonly partitions: number;
  readonly wrapLeases: (leases: Leases) => Leases;
  readonly trace: (line: string) => void;
  readonly onFailure: (error: unknown) => void;
}): Worker {
  const { process, ports, pipelines, partitions, wrapLeases, onFailure } = options;
  const { clock } = process;
  const logger = tracing(options.trace, process.name);
  const leases = wrapLeases(openLeases(ports.registers, clock, LEASE_MS));
  const stopping = new AbortController();
  const tasks: Task[] = [];
  const runs = Array.from({ length: partitions }, (_, partition) => {
    const ours = pipelines.map(
      (pipeline) =>
        new Task({
          ...ports,
          pipeline,
          partition,
          partitions,
          inference,
          clock,
          logger,
          snapshotEvery: SNAPSHOT_EVERY,
        }),
    );
    tasks.push(...ours);
    return whileHeld({
      leases,
      clock,
      name: `partition/${partition}`,
      holder: process.name,
      signal: stopping.signal,
      work: async (lease, signal) => {
        options.trace(`${process.name} holds partition ${partition} in epoch ${lease.epoch}`);
        await Promise.all(ours.map((task) => task.run(lease, signal)));
      },
    });
  });
  let isStopped = false;
  Promise.all(runs).then(() => {
    isStopped = true;
  }, onFailure);
  return {
    process,
    tasks,
    stop: () => stopping.abort(),
    get isStopped() {
      return isStopped;
    },
  };
}

/** As much of a pino logger as the runtime uses. */
function tracing(trace: (line: string) => void, name: string): Logger {
  const say = (fields: { task?: string; err?: unknown }, message: string) => {
    const { task, err, ...rest } = fields;
    const reason = err instanceof Error ? `: ${err.message}` : "";
    const more = Object.keys(rest).length > 0 ? ` ${JSON.stringify(rest)}` : "";
    trace(`${name} ${task ?? ""}: ${message}${more}${reason}`);
  };
  return { info: say, warn: say, error: say, debug: say } as unknown as Logger;
}

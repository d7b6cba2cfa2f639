import type { Inference, Lease, Leases, Logger, Membership, Pipeline } from "../../../src/core/index.js";
import { shareNames, Task } from "../../../src/runtime/index.js";
import { openLeases } from "../../../src/streams/leases.js";
import type { Ports } from "./ports.js";
import type { Process } from "./process.js";

/** Short, so that a seed sees several owners. */
const LEASE_MS = 1_500;
const FENCED_MS = 2 * LEASE_MS;
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
  const byPartition = Array.from({ length: partitions }, (_, partition) =>
    pipelines.map((pipeline) => {
      const shared = { ...ports, inference, clock, logger, snapshotEvery: SNAPSHOT_EVERY };
      return new Task({ ...shared, pipeline, partition, partitions });
    }),
  );
  const work = async (name: string, lease: Lease, signal: AbortSignal): Promise<void> => {
    options.trace(`${process.name} holds partition ${name} in epoch ${lease.epoch}`);
    const again = new AbortController();
    const over = AbortSignal.any([signal, again.signal]);
    const run = async (task: Task): Promise<void> => {
      await task.run(lease, over);
      if (!over.aborted) await clock.sleep(FENCED_MS, over);
      again.abort(); // fenced although the lease is ours, as in `createTaskSet`
    };
    await Promise.all((byPartition[Number(name)] ?? []).map(run));
  };
  const run = async (): Promise<void> => {
    const membership = await joined(leases, process);
    const names = byPartition.map((_, partition) => String(partition));
    await shareNames({
      leases,
      clock,
      membership,
      member: process.name,
      names: () => names,
      signal: stopping.signal,
      work,
    });
    await membership.leave().catch(() => undefined); // it is forgotten after a while
  };
  let isStopped = false;
  run().then(() => {
    isStopped = true;
  }, onFailure);
  return {
    process,
    tasks: byPartition.flat(),
    stop: () => stopping.abort(),
    get isStopped() {
      return isStopped;
    },
  };
}

/** Tries until the log answers. */
async function joined(leases: Leases, { clock, name }: Process): Promise<Membership> {
  for (;;) {
    try {
      return await leases.join("workers", name);
    } catch {
      await clock.sleep(LEASE_MS / 6);
    }
  }
}

/** As much of a pino logger as is used. */
export function tracing(trace: (line: string) => void, name: string): Logger {
  const say = (fields: { task?: string; err?: unknown }, message: string) => {
    const { task, err, ...rest } = fields;
    const reason = err instanceof Error ? `: ${err.message}` : "";
    const more = Object.keys(rest).length > 0 ? ` ${JSON.stringify(rest)}` : "";
    trace(`${name} ${task ?? ""}: ${message}${more}${reason}`);
  };
  const logger = { info: say, warn: say, error: say, debug: () => undefined, child: () => logger };
  return logger as unknown as Logger;
}

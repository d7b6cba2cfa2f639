import type { Connection } from "../../streams/index.js";
import type { SolverCounters } from "../../workers/solver/index.js";
import type { SinkThreadStatus } from "./sink-thread.js";
import type { OwnTaskStatus } from "./task-set.js";
import type { Workers } from "./workers.js";

const EVERY_MS = 1_000;
/** How long answers are waited for: processes answer from memory. */
const ANSWERS_MS = 300;
/** What a process said counts for so long after it fell silent. */
const KEPT_MS = 5_000;

/** What one process says about itself. */
export interface ProcessStatus {
  /** `<host>/<process id>` */
  readonly process: string;
  readonly tasks: readonly OwnTaskStatus[];
  readonly solver: SolverCounters;
  /** Undefined where this process never takes the sinks. */
  readonly sinks?: SinkThreadStatus;
}

/** All processes of one log together. */
export interface ClusterView {
  readonly tasks: readonly (OwnTaskStatus & { readonly owner: string })[];
  /** Plans since the start of each process, added up. */
  readonly solver: SolverCounters;
  /** Of the process that holds the database; undefined while none does. */
  readonly sinks: (SinkThreadStatus & { readonly owner: string }) | undefined;
  /** Why those who tried could not open it. */
  readonly refusals: readonly string[];
}

export interface Cluster {
  view(): ClusterView;
  stop(): void;
}

/** Serves what this process does, and asks the others once a second. */
export function watchCluster({ requests }: Connection, ours: () => ProcessStatus): Cluster {
  const unserve = requests.serve("status", async () => ours());
  const others = new Map<string, { readonly status: ProcessStatus; readonly atMs: number }>();
  let asking = false;
  const ask = async (): Promise<void> => {
    if (asking) return;
    asking = true;
    const answers = await requests.askAll<ProcessStatus>("status", null, ANSWERS_MS).catch(() => []);
    const now = performance.now();
    for (const status of answers)
      if (status.process !== ours().process) others.set(status.process, { status, atMs: now });
    for (const [name, { atMs }] of others) if (now - atMs > KEPT_MS) others.delete(name);
    asking = false;
  };
  const timer = setInterval(() => void ask(), EVERY_MS);
  void ask();
  return {
    view: () => merge([ours(), ...[...others.values()].map(({ status }) => status)]),
    stop() {
      clearInterval(timer);
      unserve();
    },
  };
}

/** Where two processes speak of one task, the one that is further along owns it: the other has not noticed yet. */
export function merge(processes: readonly ProcessStatus[]): ClusterView {
  const tasks = new Map<string, OwnTaskStatus & { owner: string }>();
  const solver = { requests: 0, superseded: 0, plans: 0, failed: 0 };
  for (const { process, tasks: own, solver: counted } of processes) {
    for (const task of own) {
      const other = tasks.get(task.task);
      if (other === undefined || task.position > other.position) tasks.set(task.task, { ...task, owner: process });
    }
    for (const name of ["requests", "superseded", "plans", "failed"] as const) solver[name] += counted[name];
  }
  const [sinks] = processes.flatMap(({ process: owner, sinks }) => (sinks?.place ? [{ ...sinks, owner }] : []));
  const refusals = sinks ? [] : processes.flatMap(({ sinks }) => sinks?.refusal ?? []);
  return { tasks: [...tasks.values()].sort((a, b) => (a.task < b.task ? -1 : 1)), solver, sinks, refusals };
}

export function statusOf(workers: Workers): ProcessStatus {
  const sinks = workers.sinks();
  return {
    process: workers.holder,
    tasks: workers.tasks(),
    solver: workers.solver(),
    ...(sinks === undefined ? {} : { sinks }),
  };
}

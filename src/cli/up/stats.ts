import type { DomainStats, ReplayStats, Stats } from "../../core/index.js";
import type { TaskStatus } from "../../runtime/index.js";
import type { SinkThreadStatus } from "./sink-thread.js";

export interface StatsParts {
  readonly tasks: readonly TaskStatus[];
  readonly sinks: SinkThreadStatus | undefined;
  readonly replay: ReplayStats;
  readonly startedMs: number;
  readonly nowMs: number;
}

/** Puts together what each thread counted by itself; no figure is derived from another. */
export function assembleStats({ tasks, sinks, replay, startedMs, nowMs }: StatsParts): Stats {
  const stored = (table: string): number => sinks?.stored[table] ?? 0;
  const domain = (source: "github" | "telemetry", table: string): DomainStats => {
    const own = tasks.filter((task) => task.source === source);
    const deadLettered = sum(own, (task) => task.counters.deadLettered) + (sinks?.poisoned[source] ?? 0);
    return {
      received: sum(own, (task) => task.counters.received),
      stored: stored(table),
      duplicates: sum(own, (task) => task.counters.duplicates),
      deadLettered,
    };
  };
  return {
    github: domain("github", "github_events"),
    telemetry: domain("telemetry", "readings"),
    features: { stored: stored("features") },
    anomalies: { stored: stored("anomalies") },
    alerts: { stored: stored("alerts") },
    plans: { stored: stored("plans") },
    late: sum(tasks, (task) => task.counters.late),
    replay,
    uptimeS: Math.floor((nowMs - startedMs) / 1000),
  };
}

function sum(tasks: readonly TaskStatus[], of: (task: TaskStatus) => number): number {
  return tasks.reduce((total, task) => total + of(task), 0);
}

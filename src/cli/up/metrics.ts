import type { Stats } from "../../core/index.js";
import type { TaskStatus } from "../../runtime/index.js";
import type { ForeignMetric } from "../../ws/index.js";
import type { ClusterView } from "./cluster.js";
import { labelled } from "./hot-keys.js";
import type { LogWrites } from "./log-writes.js";
import type { SinkStatus } from "./sink-thread.js";

export interface Counted extends ClusterView {
  readonly stats: Stats;
  readonly logWrites: LogWrites;
  readonly nowMs: number;
}

/** What the tasks and the sinks counted, for `/metrics`. Labels come from closed sets (task names, domains, tables), but for hot keys. */
export function foreignMetrics({ tasks, solver, sinks, stats, logWrites, nowMs }: Counted): readonly ForeignMetric[] {
  const perTask = (
    name: string,
    help: string,
    type: ForeignMetric["type"],
    of: (task: TaskStatus) => number,
  ): ForeignMetric => {
    return { name, help, type, samples: tasks.map((task) => ({ labels: { task: task.task }, value: of(task) })) };
  };
  const perSink = (name: string, help: string, of: (sink: SinkStatus) => number): ForeignMetric => {
    const samples = (sinks?.sinks ?? []).map((sink) => ({ labels: { stream: sink.stream }, value: of(sink) }));
    return { name, help, type: "gauge", samples };
  };
  const stored = Object.entries({
    github_events: stats.github,
    readings: stats.telemetry,
    features: stats.features,
    anomalies: stats.anomalies,
    alerts: stats.alerts,
    plans: stats.plans,
  });
  return [
    perTask(
      "millrace_task_events_received_total",
      "Events a task saw in the log",
      "counter",
      (task) => task.counters.received,
    ),
    perTask(
      "millrace_task_duplicates_total",
      "Events dropped because their id was seen before",
      "counter",
      (task) => task.counters.duplicates,
    ),
    perTask(
      "millrace_task_dead_letters_total",
      "Events set aside as malformed",
      "counter",
      (task) => task.counters.deadLettered,
    ),
    perTask(
      "millrace_task_late_events_total",
      "Events behind their window's end",
      "counter",
      (task) => task.counters.late,
    ),
    perTask("millrace_task_position_sequence", "Last input position applied", "gauge", (task) => task.position),
    perTask(
      "millrace_task_snapshot_sequence",
      "Input position of the newest snapshot",
      "gauge",
      (task) => task.snapshotAt,
    ),
    perTask("millrace_task_running", "1 while the task runs", "gauge", (task) => (task.state === "running" ? 1 : 0)),
    {
      name: "millrace_task_hot_key_ratio",
      help: "Share of a task's messages since it started that its busiest keys make up, an estimate; ten a task at most",
      type: "gauge",
      samples: tasks.flatMap(({ task, hotKeys }) =>
        labelled(hotKeys).map(({ key, share01 }) => ({ labels: { task, key }, value: share01 })),
      ),
    },
    {
      name: "millrace_sink_rows",
      help: "Rows in a table",
      type: "gauge",
      samples: stored.map(([table, { stored }]) => ({ labels: { table }, value: stored })),
    },
    perSink(
      "millrace_sink_position_sequence",
      "Every record up to here is stored or set aside",
      (sink) => sink.position,
    ),
    perSink("millrace_sink_lag_messages", "Messages of the stream that are not stored yet", (sink) => sink.lag),
    perSink("millrace_sink_buffered_bytes", "Bytes read and not stored, bounded", (sink) => sink.bufferedBytes),
    perSink("millrace_sink_waiting_seconds", "How long the database has refused; 0 while it takes rows", ({ wait }) =>
      wait === null ? 0 : Math.max(0, nowMs - wait.sinceMs) / 1000,
    ),
    {
      name: "millrace_log_unwritable",
      help: "1 while the log's server cannot write",
      type: "gauge",
      samples: [{ value: logWrites.reason() === undefined ? 0 : 1 }],
    },
    {
      name: "millrace_log_restarts_total",
      help: "Restarts of our own log server after it could not write",
      type: "counter",
      samples: [{ value: logWrites.restarts() }],
    },
    {
      name: "millrace_solver_plans_total",
      help: "Plans the solver published since the start",
      type: "counter",
      samples: [{ value: solver.plans }],
    },
  ];
}

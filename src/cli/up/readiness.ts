import { formatTime } from "../../core/index.js";
import type { MqttDoor } from "../../streams/index.js";
import type { ClusterView } from "./cluster.js";

/** Why callers should be sent elsewhere; empty when there is no reason. `limits`: what disk and log say, where they say something. */
export function reasonsNotReady(
  { tasks, sinks, refusals }: ClusterView,
  partitions: number,
  mqtt: MqttDoor | undefined,
  limits: readonly (string | undefined)[],
): string[] {
  const stopped = tasks.filter(({ state }) => state !== "running");
  const covered = new Set(tasks.map(({ partition }) => partition));
  const idle = Array.from({ length: partitions }, (_, partition) => partition).filter((p) => !covered.has(p));
  return [
    ...idle.map((partition) => `nobody runs partition ${partition} yet`),
    ...(sinks ? [] : [["the database is not open", ...refusals].join(": ")]),
    ...stopped.map(({ task, state, reason }) => `task ${task} is ${state}${reason ? `: ${reason}` : ""}`),
    ...(sinks?.failures ?? []),
    ...limits.filter((reason) => reason !== undefined),
    ...(mqtt && !mqtt.status().connected ? ["the MQTT broker is not connected"] : []),
  ];
}

/** Sinks whose database does not take their rows: doors, tasks and the page do without, and the rows stand in the log meanwhile. */
export function waitsOf({ sinks }: ClusterView): string[] {
  return (sinks?.sinks ?? []).flatMap(({ stream, lag, wait }) =>
    wait === null
      ? []
      : [`sink ${stream} waits since ${formatTime(wait.sinceMs)}, ${lag} messages behind: ${wait.reason}`],
  );
}

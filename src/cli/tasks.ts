import { Command } from "commander";
import { createLogger, formatTime } from "../core/index.js";
import { readPointer } from "../runtime/index.js";
import type { Connection } from "../streams/index.js";
import { listReaders, streamLimits } from "../workers/keeper/index.js";
import { loadConfig } from "./config.js";
import { askCluster } from "./known-tasks.js";
import { formatTable } from "./table.js";
import type { ClusterView } from "./up/cluster.js";
import { keeperOptions } from "./up/keeper-options.js";
import { restingPipelines } from "./wishes.js";
import { type LogFlags, withLog } from "./with-log.js";

export function tasksCommand(): Command {
  return new Command("tasks")
    .description(
      "every task: its owner, lag, watermark, state and last snapshot; the sinks; and who holds back the log",
    )
    .option("--data-dir <path>", "data directory of the running instance")
    .option("--nats-url <url>", "log of the instance")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  millrace tasks")
    .action(({ json, ...flags }: LogFlags & { json?: boolean }) =>
      withLog(flags, async (connection) => {
        const view = await askCluster(connection);
        const tasks = await describeTasks(connection, view);
        const sinks = await describeSinks(connection, view);
        const { retentionDays } = loadConfig({ ...flags });
        const limits = await streamLimits(keeperOptions(connection, { retentionDays }, createLogger("silent")));
        const streams = await Promise.all(
          limits.map(async ({ stream, from, heldBy }) => {
            const { firstSequence, lastSequence, bytes } = await connection.log.info(stream);
            return { stream, firstSequence, lastSequence, bytes, purgeableBefore: from, heldBy: heldBy?.what ?? null };
          }),
        );
        if (json) return JSON.stringify({ tasks, sinks, streams });
        return [taskTable(tasks), sinkTable(sinks), streamTable(streams)].join("\n\n");
      }),
    );
}

interface TaskLine {
  readonly task: string;
  /** Process; null while nobody runs it. */
  readonly owner: string | null;
  readonly state: string;
  readonly reason: string | null;
  /** Positions of the input stream between the task and the newest message of its partition. */
  readonly lag: number;
  readonly watermark: string | null;
  readonly stateBytes: number | null;
  /** Wall time of the newest snapshot. */
  readonly snapshot: string | null;
  readonly hotKeys: readonly { readonly key: string; readonly share01: number }[];
}

/** All tasks that have run on this log, running or not. */
async function describeTasks(connection: Connection, { tasks }: ClusterView): Promise<readonly TaskLine[]> {
  const { log, registers, objects } = connection;
  const [readers, resting] = await Promise.all([listReaders(registers), restingPipelines(registers)]);
  const running = new Map(tasks.map((task) => [task.task, task]));
  const known = readers.filter(({ kind }) => kind === "task").sort((a, b) => (a.name < b.name ? -1 : 1));
  return Promise.all(
    known.map(async ({ stream, name }): Promise<TaskLine> => {
      const slash = name.lastIndexOf("/");
      const status = running.get(name);
      const { pointer } = await readPointer(registers, name);
      const newest = pointer?.kept.at(-1);
      const position = status?.position ?? newest?.sequence ?? 0;
      const last = await log.last(stream, `${stream}.${name.slice(slash + 1)}.>`);
      const bytes = newest && (await objects.get(newest.object).catch(() => undefined))?.length;
      const watermarkMs = status?.watermarkMs ?? newest?.watermarkMs ?? null;
      return {
        task: name,
        owner: status?.owner ?? null,
        state: status?.state ?? (resting.includes(name.slice(0, slash)) ? "paused" : "waiting"),
        reason: status?.reason ?? null,
        lag: Math.max(0, (last?.sequence ?? 0) - position),
        watermark: watermarkMs === null || watermarkMs < 0 ? null : formatTime(watermarkMs),
        stateBytes: bytes ?? null,
        snapshot: newest === undefined ? null : formatTime(newest.savedMs),
        hotKeys: status?.hotKeys ?? [],
      };
    }),
  );
}

interface SinkLine {
  readonly stream: string;
  /** Process. */
  readonly owner: string;
  readonly state: "storing" | "waiting";
  /** Messages of the stream that are not stored yet. */
  readonly lag: number;
  readonly bufferedBytes: number;
  readonly waitingSince: string | null;
  readonly reason: string | null;
}

/** The sinks that run; none while nobody has the database open. */
function describeSinks({ log }: Connection, { sinks }: ClusterView): Promise<readonly SinkLine[]> {
  return Promise.all(
    (sinks?.sinks ?? []).map(async ({ stream, position, bufferedBytes, wait }): Promise<SinkLine> => {
      const { lastSequence } = await log.info(stream);
      return {
        stream,
        owner: sinks?.owner ?? "",
        state: wait === null ? "storing" : "waiting",
        lag: Math.max(0, lastSequence - position),
        bufferedBytes,
        waitingSince: wait === null ? null : formatTime(wait.sinceMs),
        reason: wait?.reason ?? null,
      };
    }),
  );
}

function sinkTable(sinks: readonly SinkLine[]): string {
  if (sinks.length === 0) return "nobody has the database open";
  const rows = sinks.map(({ stream, owner, state, lag, bufferedBytes, waitingSince, reason }) => {
    return [stream, owner, state, lag, bufferedBytes, waitingSince ?? "", reason ?? ""];
  });
  return formatTable(["sink", "owner", "state", "lag", "buffered bytes", "waiting since", "why"], rows);
}

function taskTable(tasks: readonly TaskLine[]): string {
  if (tasks.length === 0) return "no task has run on this log";
  const rows = tasks.map(({ task, owner, state, lag, watermark, stateBytes, snapshot, hotKeys, reason }) => {
    const hot = hotKeys.slice(0, 1).map(({ key, share01 }) => `${key} ${Math.round(100 * share01)} %`);
    return [
      task,
      owner ?? "-",
      state,
      lag,
      watermark ?? "-",
      stateBytes ?? "-",
      snapshot ?? "-",
      hot[0] ?? "",
      reason ?? "",
    ];
  });
  return formatTable(
    ["task", "owner", "state", "lag", "watermark", "state bytes", "last snapshot", "hottest key", "why"],
    rows,
  );
}

function streamTable(
  streams: readonly {
    stream: string;
    firstSequence: number;
    lastSequence: number;
    bytes: number;
    heldBy: string | null;
  }[],
): string {
  const rows = streams.map(({ stream, firstSequence, lastSequence, bytes, heldBy }) => [
    stream,
    `${firstSequence}..${lastSequence}`,
    bytes,
    heldBy ?? "retention",
  ]);
  return formatTable(["stream", "messages", "bytes", "held back by"], rows);
}

import { setTimeout as delay } from "node:timers/promises";
import { Command, InvalidArgumentError } from "commander";
import { MillraceError } from "../core/index.js";
import type { Connection } from "../streams/index.js";
import { askCluster, tasksOf } from "./known-tasks.js";
import { pause } from "./pause.js";
import { type LogFlags, withLog } from "./with-log.js";

const LOOK_MS = 200;

export function drainCommand(): Command {
  return new Command("drain")
    .description("let a pipeline work off what is in the log by now, then rest: before its program is changed")
    .argument("<pipeline>", "such as mine.telemetry")
    .option("--within <seconds>", "give up after so long; the pipeline then goes on", seconds, 300)
    .option("--data-dir <path>", "data directory of the running instance")
    .option("--nats-url <url>", "log of the instance")
    .addHelpText("after", "\nExample:\n  millrace drain mine.telemetry && millrace savepoint mine.telemetry before-v2")
    .action((pipeline: string, { within, ...flags }: LogFlags & { within: number }) =>
      withLog(flags, async (connection) => {
        await worked(connection, pipeline, within);
        return pause(connection, pipeline);
      }),
    );
}

/** Resolves when every task has passed the end its partition had when this was called. */
async function worked(connection: Connection, pipeline: string, withinS: number): Promise<void> {
  const { log, registers } = connection;
  const ends = new Map<string, number>();
  for (const { name, source, partition } of await tasksOf(registers, pipeline))
    ends.set(name, (await log.last(source, `${source}.${partition}.>`))?.sequence ?? 0);
  for (const endMs = performance.now() + withinS * 1_000; ; await delay(LOOK_MS)) {
    const positions = new Map((await askCluster(connection)).tasks.map(({ task, position }) => [task, position]));
    const behind = [...ends].filter(([name, end]) => (positions.get(name) ?? -1) < end);
    if (behind.length === 0) return;
    if (performance.now() < endMs) continue;
    const shown = behind.map(([name, end]) => `${name} at ${positions.get(name) ?? "nowhere"} of ${end}`).join(", ");
    throw new MillraceError("MR_LOG_UNAVAILABLE", `draining ${pipeline}: after ${withinS} s ${shown}`);
  }
}

function seconds(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("must be a number of seconds");
  return value;
}

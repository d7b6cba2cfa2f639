import { setTimeout as delay } from "node:timers/promises";
import { Command } from "commander";
import { MillraceError } from "../core/index.js";
import type { Connection } from "../streams/index.js";
import { askCluster, tasksOf } from "./known-tasks.js";
import { wish } from "./wishes.js";
import { type LogFlags, withLog } from "./with-log.js";

const LOOK_MS = 200;
const LONGEST_MS = 30_000;

export function pauseCommand(): Command {
  return new Command("pause")
    .description("let a pipeline rest, after a last snapshot; its input waits in the log")
    .argument("<pipeline>", "such as mine.telemetry")
    .option("--data-dir <path>", "data directory of the running instance")
    .option("--nats-url <url>", "log of the instance")
    .addHelpText("after", "\nExample:\n  millrace pause mine.telemetry")
    .action((pipeline: string, flags: LogFlags) => withLog(flags, (connection) => pause(connection, pipeline)));
}

/** Resolves when no task of the pipeline runs any more. Errors: MR_OPTION_INVALID, MR_LOG_UNAVAILABLE. */
export async function pause(connection: Connection, pipeline: string): Promise<string> {
  const tasks = await tasksOf(connection.registers, pipeline);
  await wish(connection.registers, pipeline, "rest");
  for (const endMs = performance.now() + LONGEST_MS; ; await delay(LOOK_MS)) {
    const running = (await askCluster(connection)).tasks.filter((task) => task.pipeline === pipeline);
    if (running.length === 0) return `${pipeline} rests: ${tasks.length} tasks`;
    if (performance.now() > endMs) {
      const names = running.map(({ task }) => task).join(", ");
      throw new MillraceError(
        "MR_LOG_UNAVAILABLE",
        `pausing ${pipeline}: ${names} still run after ${LONGEST_MS / 1000} s`,
      );
    }
  }
}

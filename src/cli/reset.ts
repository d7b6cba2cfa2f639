import { Command } from "commander";
import { MillraceError, parseTimeMs } from "../core/index.js";
import { resetPointer, type Snapshot } from "../runtime/index.js";
import type { Connection } from "../streams/index.js";
import { checkRests, tasksOf } from "./known-tasks.js";
import { resetToSavepoint } from "./savepoint.js";
import { type LogFlags, withLog } from "./with-log.js";

export function resetCommand(): Command {
  return new Command("reset")
    .description("let a pipeline that rests begin again elsewhere; outputs that are in the log are not written twice")
    .argument("<pipeline>", "such as mine.telemetry")
    .requiredOption(
      "--to <place>",
      "beginning, savepoint:NAME, a position of its input, or a time such as 2026-11-20T12:00:00Z",
    )
    .option("--data-dir <path>", "data directory of the running instance")
    .option("--nats-url <url>", "log of the instance")
    .addHelpText(
      "after",
      `
A position or a time means the newest kept snapshot at or before it; without one, the beginning of the log.

Examples:
  millrace pause mine.telemetry
  millrace reset mine.telemetry --to beginning
  millrace resume mine.telemetry`,
    )
    .action((pipeline: string, { to, ...flags }: LogFlags & { to: string }) =>
      withLog(flags, (connection) => reset(connection, pipeline, to)),
    );
}

async function reset(connection: Connection, pipeline: string, to: string): Promise<string> {
  const { registers, log } = connection;
  const tasks = await tasksOf(registers, pipeline);
  await checkRests(connection, pipeline);
  if (to.startsWith("savepoint:")) {
    await resetToSavepoint(connection, pipeline, tasks, to.slice("savepoint:".length));
  } else {
    const keep = choice(to);
    for (const { name, source } of tasks) {
      const { incarnation } = await log.info(source);
      if (!(await resetPointer(registers, name, { incarnation, keep })))
        throw new MillraceError("MR_LOG_UNAVAILABLE", `resetting ${name}: somebody else changed it; try again`);
    }
  }
  return `${pipeline} begins again at ${to} when it is resumed: ${tasks.length} tasks`;
}

/** Which of its snapshots a task may begin with. */
function choice(to: string): (snapshot: Snapshot) => boolean {
  if (to === "beginning") return () => false;
  if (/^\d+$/.test(to)) return ({ sequence }) => sequence <= Number(to);
  const timeMs = parseTimeMs(to);
  if (timeMs !== undefined) return ({ watermarkMs }) => watermarkMs !== null && watermarkMs <= timeMs;
  throw new MillraceError(
    "MR_OPTION_INVALID",
    `--to: ${JSON.stringify(to)} is not beginning, savepoint:NAME, a position or a time`,
  );
}

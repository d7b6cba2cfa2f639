import { Command } from "commander";
import { tasksOf } from "./known-tasks.js";
import { wish } from "./wishes.js";
import { type LogFlags, withLog } from "./with-log.js";

export function resumeCommand(): Command {
  return new Command("resume")
    .description("let a pipeline that rests go on where it stopped")
    .argument("<pipeline>", "such as mine.telemetry")
    .option("--data-dir <path>", "data directory of the running instance")
    .option("--nats-url <url>", "log of the instance")
    .addHelpText("after", "\nExample:\n  millrace resume mine.telemetry")
    .action((pipeline: string, flags: LogFlags) =>
      withLog(flags, async ({ registers }) => {
        const tasks = await tasksOf(registers, pipeline);
        await wish(registers, pipeline, "run");
        return `${pipeline} goes on: ${tasks.length} tasks`;
      }),
    );
}

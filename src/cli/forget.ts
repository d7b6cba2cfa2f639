import { Command } from "commander";
import { MillraceError } from "../core/index.js";
import { forgetReader, listReaders } from "../workers/keeper/index.js";
import { type LogFlags, withLog } from "./with-log.js";

export function forgetCommand(): Command {
  return new Command("forget")
    .description("no longer keep anything in the log for a reader that will not come back")
    .argument("<reader>", 'as "millrace tasks" names it: mine.telemetry/0, sink.clickhouse')
    .option("--data-dir <path>", "data directory of the running instance")
    .option("--nats-url <url>", "log of the instance")
    .addHelpText("after", "\nExample:\n  millrace forget old.pipeline/0")
    .action((reader: string, flags: LogFlags) =>
      withLog(flags, async ({ registers }) => {
        const all = await listReaders(registers);
        const found = all.filter(({ name, kind }) => name === reader && kind !== "forgotten");
        if (found.length === 0) {
          const known = [...new Set(all.map(({ name }) => name))].sort().join(", ");
          throw new MillraceError("MR_OPTION_INVALID", `there is no reader ${reader}; known are ${known}`);
        }
        for (const { stream, name } of found) await forgetReader(registers, stream, name);
        const streams = found.map(({ stream }) => stream).join(", ");
        return `${reader} no longer holds back ${streams}; it counts again if it runs again`;
      }),
    );
}

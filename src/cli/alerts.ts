import { Command } from "commander";
import { previewCommand } from "./alerts/preview-command.js";
import { testCommand } from "./alerts/test-command.js";

export function alertsCommand(): Command {
  return new Command("alerts")
    .description("try out the alarm desk's configuration")
    .addCommand(testCommand())
    .addCommand(previewCommand());
}

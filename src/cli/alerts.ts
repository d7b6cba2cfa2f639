import { Command } from "commander";
import { testCommand } from "./alerts/test-command.js";

export function alertsCommand(): Command {
  return new Command("alerts").description("try out the alarm desk's configuration").addCommand(testCommand());
}

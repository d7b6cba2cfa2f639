import { Command } from "commander";
import { MillraceError } from "../core/index.js";
import { EXIT } from "./exit.js";
import { runTest } from "./rules/rehearse.js";
import { readRuleFiles, shippedRules } from "./rules/rule-file.js";

export function testCommand(): Command {
  return new Command("test")
    .description("run the tests inside rules files: given features, the alerts that must come, and no others")
    .argument("[path]", "rules file, or a folder of them", shippedRules())
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  millrace test rules/\n  millrace test rules/engines.yaml --json\n\nExits with 3 when a test fails, with 2 when a file is broken.",
    )
    .action(async (path: string, { json }: { json?: boolean }) => {
      const files = await readRuleFiles(path);
      if (files.length === 0) throw new MillraceError("MR_OPTION_INVALID", `there is no rules file at ${path}`);
      const failures = files.flatMap((file) => file.tests.flatMap((test) => runTest(file, test)));
      const tests = files.reduce((sum, file) => sum + file.tests.length, 0);
      const failed = new Set(failures.map(({ place, test }) => `${place.split(":")[0]} ${test}`)).size;
      const lines = failures.map(({ place, test, message }) => `${place}: ${test}: ${message}`);
      lines.push(`${tests - failed} of ${tests} tests passed`);
      process.stdout.write(`${json ? JSON.stringify({ tests, failures }) : lines.join("\n")}\n`);
      if (failures.length > 0) process.exitCode = EXIT.found;
    });
}

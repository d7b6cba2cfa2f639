import { Command } from "commander";
import { readRuleFiles, shippedRules } from "./alerts/rule-files.js";
import { differencesOf } from "./alerts/rule-tests.js";
import { EXIT } from "./exit.js";

export function testRulesCommand(): Command {
  return new Command("test")
    .description("run the tests that stand in rule files: given events, expect alerts")
    .argument("[path]", "folder of rule files, or one file", shippedRules())
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  millrace test rules/\n  millrace test rules/sensors.yaml\n\nExits with 3 when a test does not hold.",
    )
    .action(async (path: string, { json }: { json?: boolean }) => {
      const results = (await readRuleFiles(path)).flatMap(({ path, rules, tests }) =>
        tests.map((test) => ({ path, test: test.name, differences: differencesOf(rules, test) })),
      );
      const lines = results.flatMap(({ path, test, differences }) => [
        `${differences.length === 0 ? "ok    " : "not ok"} ${path}: ${test}`,
        ...differences.map((line) => `       ${line}`),
      ]);
      process.stdout.write(`${json ? JSON.stringify(results) : [...lines, `${results.length} tests`].join("\n")}\n`);
      if (results.some(({ differences }) => differences.length > 0)) process.exitCode = EXIT.found;
    });
}

import { Command } from "commander";
import { type Alert, formatTime, MillraceError, parseTimeMs } from "../core/index.js";
import { models } from "../pipelines/index.js";
import { type Backtest, backtest } from "../runtime/index.js";
import { createInference } from "../workers/inference/index.js";
import { findInstance } from "./client.js";
import { loadConfig } from "./config.js";
import { EXIT } from "./exit.js";
import { connectInstance } from "./log-client.js";
import { enabledRules, readRuleFiles, rulesMessage } from "./rules/rule-file.js";
import { formatTable } from "./table.js";
import { loadPipelines, pipelineNamed } from "./up/topologies.js";

interface BacktestFlags {
  readonly from: string;
  readonly to: string;
  readonly set?: readonly string[];
  readonly rules?: string;
  readonly json?: boolean;
  readonly dataDir?: string;
}

export function backtestCommand(): Command {
  return new Command("backtest")
    .description("run a pipeline again over a part of the log and compare the alerts")
    .argument("[pipeline]", "such as mine.telemetry", "rules")
    .requiredOption("--from <time>", "alerts from then on, RFC 3339")
    .requiredOption("--to <time>", "alerts before then")
    .option("--set <kind.field=value...>", "as if this control message had been in the log from the start")
    .option("--rules <path>", "with these rules in place of those in the log: a file or a folder")
    .option("--data-dir <path>", "data directory of the running instance")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  millrace backtest mine.telemetry --from 2026-10-01T00:00:00Z --to 2026-10-08T00:00:00Z --set detector.truck-unusual=2.5" +
        "\n  millrace backtest --from 2026-10-01T00:00:00Z --to 2026-10-08T00:00:00Z --rules rules/" +
        "\n\nExits with 3 when alerts differ. It writes nothing.",
    )
    .action(async (name: string, { from, to, set = [], rules, json, ...flags }: BacktestFlags) => {
      const config = loadConfig({ ...flags });
      const pipeline = pipelineNamed(await loadPipelines(config.topologies), name);
      const range = { fromMs: timeOption("--from", from), toMs: timeOption("--to", to) };
      const settings = new Map(readSettings(set));
      if (rules !== undefined) settings.set("rules", { ...rulesMessage(enabledRules(await readRuleFiles(rules))) });
      const instance = findInstance(config.dataDir);
      const connection = await connectInstance(instance);
      const inference = createInference({ models });
      try {
        const { partitions } = instance;
        const result = await backtest({ ...connection, ...range, pipeline, partitions, inference, settings });
        process.stdout.write(`${json ? JSON.stringify(result) : plain(result)}\n`);
        if (result.gained.length + result.lost.length + result.moved.length > 0) process.exitCode = EXIT.found;
      } finally {
        await inference.close();
        await connection.close();
      }
    });
}

/** `kind.field=value`, the value as JSON where it is some, else as text. Errors: MR_OPTION_INVALID. */
export function readSettings(set: readonly string[]): ReadonlyMap<string, Readonly<Record<string, unknown>>> {
  const settings = new Map<string, Record<string, unknown>>();
  for (const each of set) {
    const { kind, field, text } = /^(?<kind>[\w-]+)\.(?<field>[\w-]+)=(?<text>.*)$/.exec(each)?.groups ?? {};
    if (kind === undefined || field === undefined || text === undefined)
      throw new MillraceError("MR_OPTION_INVALID", `--set takes kind.field=value, got ${each}`);
    settings.set(kind, { ...settings.get(kind), [field]: parsedValue(text) });
  }
  return settings;
}

function parsedValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function timeOption(option: string, text: string): number {
  const ms = parseTimeMs(text);
  if (ms !== undefined) return ms;
  throw new MillraceError("MR_OPTION_INVALID", `${option} takes a time such as 2026-10-01T00:00:00Z, got ${text}`);
}

function plain({ starts, gained, lost, moved, same, warmingUp }: Backtest): string {
  const lines = starts.map(({ partition, sequence, watermarkMs, messages }) => {
    const where =
      watermarkMs === null ? "the log's beginning" : `the snapshot at ${sequence} (${formatTime(watermarkMs)})`;
    return `partition ${partition}: ${messages} messages from ${where}`;
  });
  const rows = [
    ...gained.map((alert) => ["gained", ...columnsOf(alert), ""]),
    ...lost.map((alert) => ["lost", ...columnsOf(alert), ""]),
    ...moved.map(({ before, after }) => ["moved", ...columnsOf(after), `was ${before.window.start}`]),
  ];
  if (rows.length > 0) lines.push(formatTable(["", "rule", "key", "window", "score", ""], rows));
  lines.push(`${same} the same, ${gained.length} gained, ${lost.length} lost, ${moved.length} moved`);
  if (warmingUp > 0) lines.push(`${warmingUp} left out: models were still warming up`);
  return lines.join("\n");
}

function columnsOf({ rule, key, window, score }: Alert): readonly unknown[] {
  return [rule, key, `${window.start} to ${window.end}`, score];
}

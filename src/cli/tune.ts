import { Command } from "commander";
import { type Log, MillraceError, type Pipeline } from "../core/index.js";
import { Topology } from "../operators/index.js";
import { DETECTOR } from "../pipelines/index.js";
import { loadConfig } from "./config.js";
import { tasksOf } from "./known-tasks.js";
import { loadPipelines, pipelineNamed } from "./up/topologies.js";
import { type LogFlags, withLog } from "./with-log.js";

const DEFAULT = "default";

type Words = Readonly<Record<string, number>>;

export function tuneCommand(): Command {
  return new Command("tune")
    .description(
      "change what the scores of a pipeline's rules must exceed, from now on; without a rule, show what was changed",
    )
    .argument("<pipeline>", "such as mine.telemetry")
    .argument("[rule=threshold...]", `such as truck-unusual=2.5; truck-unusual=${DEFAULT} takes it back`)
    .option("--data-dir <path>", "data directory of the running instance")
    .option("--nats-url <url>", "log of the instance")
    .addHelpText(
      "after",
      `
The change is a message of the log: a replay knows it. "millrace backtest" shows beforehand which alerts it would have changed.

Examples:
  millrace tune mine.telemetry
  millrace tune mine.telemetry truck-unusual=2.5 sensor-unusual=2`,
    )
    .action((pipeline: string, changes: readonly string[], flags: LogFlags) =>
      withLog(flags, async ({ log, registers }) => {
        const topology = pipelineNamed(await loadPipelines(loadConfig({ ...flags }).topologies), pipeline);
        const partitions = (await tasksOf(registers, pipeline)).map(({ partition }) => partition);
        return tune(log, topology, partitions, changes);
      }),
    );
}

/** Resolves with what holds then, for people. Errors: MR_OPTION_INVALID, MR_LOG_UNAVAILABLE. */
export async function tune(
  log: Log,
  topology: Pipeline,
  partitions: readonly number[],
  changes: readonly string[],
): Promise<string> {
  const { name, source } = topology;
  const table = topology instanceof Topology ? topology.tables.find((each) => each.name === DETECTOR) : undefined;
  if (table === undefined)
    throw new MillraceError("MR_OPTION_INVALID", `tuning ${name}: it has no thresholds that can be changed`);
  const wanted = changes.map(readChange);
  let said: Words = {};
  for (const partition of partitions) {
    const subject = `${source}.${partition}._ctl.${DETECTOR}`;
    const last = await log.last(source, subject);
    const before: Words = last === undefined ? {} : JSON.parse(Buffer.from(last.data).toString());
    said = changed(before, wanted);
    try {
      table.options.read(said);
    } catch (cause) {
      throw new MillraceError("MR_OPTION_INVALID", `tuning ${name}: ${(cause as Error).message}`, { cause });
    }
    if (wanted.length > 0) await log.publish({ subject, data: Buffer.from(JSON.stringify(said)) });
  }
  const words = Object.entries(said).map(([rule, threshold]) => `${rule}=${threshold}`);
  return `${name}: ${words.length === 0 ? "every threshold is the default" : words.join(" ")}`;
}

function changed(before: Words, wanted: readonly (readonly [string, number | undefined])[]): Words {
  const after = new Map(Object.entries(before));
  for (const [rule, threshold] of wanted) {
    if (threshold === undefined) after.delete(rule);
    else after.set(rule, threshold);
  }
  return Object.fromEntries(after);
}

function readChange(text: string): readonly [string, number | undefined] {
  const { rule, value } = /^(?<rule>[\w-]+)=(?<value>.+)$/.exec(text)?.groups ?? {};
  if (rule === undefined || value === undefined)
    throw new MillraceError("MR_OPTION_INVALID", `a change is rule=threshold, got ${JSON.stringify(text)}`);
  return [rule, value === DEFAULT ? undefined : Number(value)];
}

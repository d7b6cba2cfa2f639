import { relative } from "node:path";
import { Command } from "commander";
import { type Config, isMillraceError, MillraceError } from "../core/index.js";
import { type LintFinding, lint, Topology } from "../operators/index.js";
import { streamSpecs } from "../streams/index.js";
import { readRoutingFile, shippedRouting } from "./alerts/routing-file.js";
import { loadConfig } from "./config.js";
import { EXIT } from "./exit.js";
import { readRuleFiles } from "./rules/rule-file.js";
import { loadPipelines } from "./up/topologies.js";

/** What the partition of an input message follows from: a key must, or each partition keeps its own part of it. */
const PARTITIONED_BY: Readonly<Record<string, string>> = {
  github: "owner and repository",
  telemetry: "site and equipment",
};

interface Linted {
  readonly name: string;
  readonly findings: readonly LintFinding[];
}

export function lintCommand(): Command {
  return new Command("lint")
    .description(
      "check the pipelines, or those of a module, and who is told of alarms, before they run, or rules files",
    )
    .argument(
      "[path]",
      'compiled module that exports a list `pipelines`, as for `topologies` of "up"; or rules (.yaml, a folder)',
    )
    .option("--stream <name...>", "streams that exist beside Millrace's own")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  millrace lint\n  millrace lint ./build/orders.js --stream orders turnover\n  millrace lint rules/\n\nExits with 3 when there is an error, with 2 when a rules file is broken; warnings are for the author to judge.",
    )
    .action(async (path: string | undefined, { stream = [], json }: { stream?: string[]; json?: boolean }) => {
      if (path !== undefined && !/\.[cm]?js$/.test(path)) {
        process.stdout.write(`${await lintRules(path, json === true)}\n`);
        return;
      }
      const topologies = await topologiesOf(path);
      const ofTopologies = topologies.map(
        (topology): Linted => ({ name: topology.name, findings: findingsOf(topology, stream) }),
      );
      const linted = path === undefined ? [...ofTopologies, await lintRouting(loadConfig({}))] : ofTopologies;
      process.stdout.write(`${json ? JSON.stringify(linted) : linted.map(plain).join("\n")}\n`);
      if (linted.some(({ findings }) => findings.some(isError))) process.exitCode = EXIT.found;
    });
}

/** Who is told of which alarms: each problem with its place in the file. */
async function lintRouting({ routing: path = shippedRouting() }: Config): Promise<Linted> {
  const name = relative(".", path);
  try {
    await readRoutingFile(path);
    return { name, findings: [] };
  } catch (error) {
    if (!isMillraceError(error)) throw error;
    return { name, findings: error.message.split("\n").map((message) => ({ level: "error", step: "", message })) };
  }
}

/** Errors: MR_OPTION_INVALID with the place and the fix of everything that is wrong. */
async function lintRules(path: string, json: boolean): Promise<string> {
  const files = await readRuleFiles(path);
  if (files.length === 0)
    throw new MillraceError("MR_OPTION_INVALID", `there is no module and no rules file at ${path}`);
  const linted = files.map(({ path: name, rules, tests }) => ({ name, rules: rules.length, tests: tests.length }));
  if (json) return JSON.stringify(linted);
  return linted.map(({ name, rules, tests }) => `${name}: ${rules} rules, ${tests} tests, nothing found`).join("\n");
}

/** Errors: MR_OPTION_INVALID with everything that keeps a pipeline (of the module, where there is one) from starting. */
export async function refuseLintErrors(path: string | undefined): Promise<void> {
  const errors = (await topologiesOf(path)).flatMap((topology) =>
    findingsOf(topology)
      .filter(isError)
      .map(({ step, message }) => `${topology.name}${step === "" ? "" : `, ${step}`}: ${message}`),
  );
  if (errors.length > 0)
    throw new MillraceError("MR_OPTION_INVALID", `not starting, "millrace lint" finds:\n  ${errors.join("\n  ")}`);
}

function findingsOf(topology: Topology, more: readonly string[] = []): readonly LintFinding[] {
  const streams = [...streamSpecs(1).map(({ name }) => name), ...more];
  const partitionedBy = PARTITIONED_BY[topology.definition?.stream ?? ""];
  return lint(topology, { streams, ...(partitionedBy !== undefined && { partitionedBy }) });
}

/** A pipeline written without the engine has no steps to check. */
async function topologiesOf(path: string | undefined): Promise<readonly Topology[]> {
  return (await loadPipelines(path)).filter((pipeline) => pipeline instanceof Topology);
}

function isError({ level }: LintFinding): boolean {
  return level === "error";
}

function plain({ name, findings }: Linted): string {
  if (findings.length === 0) return `${name}: nothing found`;
  const lines = findings.map(({ level, step, message }) => `  ${level}: ${step === "" ? "" : `${step}: `}${message}`);
  return [`${name}:`, ...lines].join("\n");
}

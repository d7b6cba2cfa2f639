import { Command } from "commander";
import { MillraceError, type Pipeline } from "../core/index.js";
import { pipelines } from "../pipelines/index.js";

export function topologyCommand(): Command {
  return new Command("topology")
    .description("show the pipelines, or the steps of one")
    .argument("[name]", "pipeline, such as mine.telemetry")
    .option("--json", "print JSON")
    .option("--mermaid", "print a Mermaid flow chart")
    .addHelpText("after", "\nExample:\n  millrace topology mine.site --mermaid")
    .action((name: string | undefined, options: { json?: boolean; mermaid?: boolean }) => {
      const chosen = name === undefined ? pipelines : pipelines.filter((pipeline) => pipeline.name === name);
      if (chosen.length === 0) {
        const known = pipelines.map((pipeline) => pipeline.name).join(", ");
        throw new MillraceError("MR_OPTION_INVALID", `there is no pipeline ${name}; known are ${known}`);
      }
      const text = options.json
        ? JSON.stringify(chosen)
        : options.mermaid
          ? mermaid(chosen)
          : chosen.map(plain).join("\n\n");
      process.stdout.write(`${text}\n`);
    });
}

function plain({ name, summary, source, writes, steps, version }: Pipeline): string {
  const width = Math.max(...steps.map((step) => step.name.length));
  const lines = steps.map((step) => {
    const to = step.to ? `  -> ${step.to.join(", ")}` : "";
    return `  ${step.name.padEnd(width)}  ${step.kind.padEnd(8)}  ${step.detail}${to}`;
  });
  return [`${name} (version ${version}): ${summary}`, `  reads ${source}, writes ${writes.join(", ")}`, ...lines].join(
    "\n",
  );
}

function mermaid(chosen: readonly Pipeline[]): string {
  const lines = ["flowchart LR"];
  for (const [p, { source, steps }] of chosen.entries()) {
    let previous = `${source}[(${source})]`;
    for (const [s, step] of steps.entries()) {
      const node = `p${p}s${s}["${step.name.replaceAll('"', "'")}"]`;
      lines.push(`  ${previous} --> ${node}`);
      for (const stream of step.to ?? []) lines.push(`  p${p}s${s} --> ${stream}[(${stream})]`);
      previous = `p${p}s${s}`;
    }
  }
  return lines.join("\n");
}

import { Command } from "commander";
import { MillraceError } from "../core/index.js";
import { type Topology, topologyJson, topologyMermaid, topologyText } from "../operators/index.js";
import { pipelines } from "../pipelines/index.js";
import { pipelineNamed } from "./up/topologies.js";

export function topologyCommand(): Command {
  return new Command("topology")
    .description("show the pipelines, or the steps of one")
    .argument("[name]", "pipeline, such as mine.telemetry")
    .option("--json", "print JSON")
    .option("--mermaid", "print a Mermaid flow chart (of one pipeline)")
    .addHelpText("after", "\nExample:\n  millrace topology mine.site --mermaid")
    .action((name: string | undefined, options: { json?: boolean; mermaid?: boolean }) => {
      const chosen = name === undefined ? pipelines : [pipelineNamed(pipelines, name)];
      if (options.mermaid && name === undefined)
        throw new MillraceError("MR_OPTION_INVALID", `a chart is of one pipeline: name one of ${names()}`);
      const text = options.json
        ? `${JSON.stringify(chosen.map(topologyJson))}\n`
        : chosen.map(options.mermaid ? topologyMermaid : plain).join("\n");
      process.stdout.write(text);
    });
}

function names(): string {
  return pipelines.map(({ name }) => name).join(", ");
}

function plain(topology: Topology): string {
  const { source, writes, version } = topology;
  const [title, ...steps] = topologyText(topology).split("\n");
  return [`${title} (version ${version})`, `  reads ${source}, writes ${writes.join(", ")}`, ...steps].join("\n");
}

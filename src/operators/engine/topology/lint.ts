import type { Topology } from "./topology.js";

/** Something `lint` found. An error keeps the topology from starting; a warning is for its author to judge. */
export interface LintFinding {
  readonly level: "error" | "warning";
  /** The step it is about; empty for the topology as a whole. */
  readonly step: string;
  readonly message: string;
}

export interface LintOptions {
  /** Streams of the log that exist. @default not checked */
  readonly streams?: readonly string[];
  /** Fields that the partition of an input message is chosen by: a `keyBy` must depend on these alone. @default not checked */
  readonly partitionedBy?: string;
}

/**
 * Checks a topology before it runs: no source, unknown streams, steps that lead nowhere, sinks without ids, lateness shorter than
 * the sources' disorder, state that is never forgotten, keys that need a repartition.
 */
export function lint(topology: Topology, { streams, partitionedBy }: LintOptions = {}): readonly LintFinding[] {
  const findings: LintFinding[] = [];
  const say = (level: LintFinding["level"], step: string, message: string): void =>
    void findings.push({ level, step, message });
  const source = topology.definition;
  if (source === undefined) {
    say("error", "", "has no source: begin with .from(source)");
    return findings;
  }
  if (streams !== undefined) {
    const unknown = [source.stream, ...topology.writes].filter((stream) => stream !== "" && !streams.includes(stream));
    for (const stream of new Set(unknown))
      say("error", "", `stream ${stream} does not exist; known are ${streams.join(", ")}`);
  }
  if (!topology.nodes.some(({ kind }) => kind === "sink"))
    say("error", "", "writes nothing: end a branch with .to(target)");
  for (const { name, kind, to, consumers, warnings, latenessMs, keyed, stateful, local } of topology.nodes) {
    if (kind === "sink" && to.length === 0) {
      say("error", name, "its rows leave without an id, which only the log gives: name the stream they are written to");
    }
    if (consumers.length === 0 && kind !== "sink" && !topology.tables.some((table) => table.name === name)) {
      say("warning", name, "its values go nowhere");
    }
    for (const warning of warnings) say("warning", name, warning);
    const disorderMs = source.timing?.disorderMs ?? 0;
    if (latenessMs !== undefined && latenessMs > 0 && latenessMs < disorderMs) {
      say(
        "warning",
        name,
        `lateness of ${latenessMs} ms is shorter than the source's disorder of ${disorderMs} ms: it hardly ever helps`,
      );
    }
    if (partitionedBy !== undefined && keyed && !stateful && name === "keyBy" && !local) {
      say(
        "warning",
        name,
        `each partition keeps its own part of a key unless the key follows from ${partitionedBy}; say { local: true } if it does`,
      );
    }
  }
  return findings;
}

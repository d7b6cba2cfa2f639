import type { Topology } from "./topology.js";

/** A topology as plain data, for `millrace topology NAME --json`. */
export function topologyJson(topology: Topology): object {
  const { name, summary, version, source, writes } = topology;
  const steps = topology.nodes.map(({ id, name, kind, detail, stateful, to, consumers }) => ({
    id,
    name,
    kind,
    detail,
    stateful,
    ...(to.length > 0 && { to }),
    next: consumers.map(({ node }) => node.id),
  }));
  return { name, summary, version, source, writes, steps };
}

/** A topology as a Mermaid flow chart, for `millrace topology NAME --mermaid`. */
export function topologyMermaid(topology: Topology): string {
  const lines = ["flowchart LR"];
  for (const { id, name, detail, kind, stateful, consumers } of topology.nodes) {
    const label = detail === "" || detail === name ? name : `${name}<br/><small>${detail}</small>`;
    const text = label.replaceAll('"', "#quot;");
    lines.push(
      `  n${id}${kind === "sink" ? `[/"${text}"/]` : kind === "source" ? `(["${text}"])` : stateful ? `[("${text}")]` : `["${text}"]`}`,
    );
    for (const { node } of consumers) lines.push(`  n${id} --> n${node.id}`);
  }
  return `${lines.join("\n")}\n`;
}

/** A topology as indented text: each step under the one that feeds it. A step with two inputs is shown under the first. */
export function topologyText(topology: Topology): string {
  const lines = [`${topology.name}: ${topology.summary}`];
  const shown = new Set<number>();
  const fed = new Set(topology.nodes.flatMap(({ consumers }) => consumers.map(({ node }) => node.id)));
  const show = (node: Topology["nodes"][number], depth: number): void => {
    const again = shown.has(node.id);
    lines.push(
      `${"  ".repeat(depth)}${node.name}${node.detail === "" || node.detail === node.name ? "" : `  ${node.detail}`}${again ? "  (above)" : ""}`,
    );
    if (again) return;
    shown.add(node.id);
    for (const consumer of node.consumers) show(consumer.node, depth + 1);
  };
  for (const node of topology.nodes) if (!fed.has(node.id)) show(node, 1);
  return `${lines.join("\n")}\n`;
}

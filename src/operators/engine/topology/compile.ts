import { inTurn } from "../aggregates/fuse.js";
import type { Node } from "./node.js";
import type { Push, Runtime } from "./runtime.js";

/** One push for the root, made consumers first. A node with several producers is made once. */
export function compile<V>(root: Node, roots: readonly Node[], runtime: Runtime): Push<V> {
  // biome-ignore lint/suspicious/noExplicitAny: edges of all types meet here; the typed API keeps them apart.
  type Edges = readonly Push<any>[];
  const made = new Map<Node, Edges>();
  const build = (node: Node): Edges => {
    const known = made.get(node);
    if (known !== undefined) return known;
    const consumers = node.consumers.map((consumer) => build(consumer.node)[consumer.port] as Edges[number]);
    const pushes = node.make(runtime, fan(consumers));
    made.set(node, pushes);
    return pushes;
  };
  const [push] = build(root);
  for (const other of roots) build(other);
  return push as Push<V>;
}

// biome-ignore lint/suspicious/noExplicitAny: as in `compile`.
function fan(consumers: readonly Push<any>[]): Push<any> {
  const [only] = consumers;
  if (only === undefined) return () => undefined;
  if (consumers.length === 1) return only;
  return inTurn(
    consumers,
    ["value"],
    consumers.map(() => "value"),
  );
}

import type { TopologyStep } from "../../../core/index.js";
import type { Push, Runtime } from "./runtime.js";

/** One step as declared. Edges run from producer to consumer; a consumer of two streams has two ports. */
export interface Node {
  readonly id: number;
  readonly name: string;
  readonly kind: TopologyStep["kind"];
  readonly detail: string;
  /** Named state that snapshots match by name. */
  readonly stateful: boolean;
  /** Streams written. */
  readonly to: readonly string[];
  /** Things `lint` should say about this step. */
  readonly warnings: readonly string[];
  readonly consumers: { readonly node: Node; readonly port: number }[];
  /** What comes out is filed by key. */
  readonly keyed: boolean;
  /** A key that the author says stays within its partition. */
  readonly local: boolean;
  /** Of a window. */
  readonly latenessMs: number | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: edges of all types meet here; the typed API above it keeps them apart.
  make(runtime: Runtime, next: Push<any>): readonly Push<any>[];
}

export type NodeOptions = Pick<Node, "name" | "kind" | "detail" | "make"> &
  Partial<Pick<Node, "stateful" | "to" | "warnings" | "keyed" | "local" | "latenessMs">>;

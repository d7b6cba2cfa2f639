import type { Output } from "../../../core/index.js";
import { ownFunction } from "../aggregates/fuse.js";
import type { Table } from "../joins/table.js";
import type { Key } from "../state/keys.js";
import type { Node, NodeOptions } from "./node.js";
import { type At, type Push, Refusal, type Runtime } from "./runtime.js";
import type { Topology } from "./topology.js";

/** Where rows leave a topology. `write` makes the output of one row; undefined sends nothing. */
export interface Target<V> {
  /** The stream of the log written to; empty for a target that writes to none. */
  readonly stream: string;
  readonly write: (value: V, at: At) => Output | undefined;
}

export interface StepOptions {
  /** What happens when the function throws: `dead` sets the event aside, `fail` stops the task. @default "dead" */
  readonly onError?: "dead" | "fail";
}

// biome-ignore lint/suspicious/noExplicitAny: inside a step the types of both sides are known; between steps the API keeps them.
export type AnyPush = Push<any>;

/** What one stream of a topology can do whether keyed or not. */
export interface Joint {
  readonly topology: Topology;
  readonly node: Node;
}

export function extend(from: Joint, options: NodeOptions, ports: readonly Joint[] = [from]): Node {
  const node = from.topology.declare(options);
  ports.forEach(({ node: producer, topology }, port) => {
    if (topology !== from.topology) throw new TypeError(`${options.name}: its inputs belong to different topologies`);
    producer.consumers.push({ node, port });
  });
  return node;
}

/** Runs a user's function so that a throw of it stops the task where asked to; otherwise as it is, at no cost. */
export function guarded<F extends (...args: never[]) => unknown>(call: F, { onError = "dead" }: StepOptions): F {
  if (onError === "dead") return call;
  return ((...args: never[]) => {
    try {
      return call(...args);
    } catch (error) {
      throw new Refusal(error);
    }
  }) as F;
}

/** A stateless step: one push. */
export function stateless<V>(
  from: Joint,
  name: string,
  detail: string,
  keyed: boolean,
  make: (runtime: Runtime, next: Push<never>, step: number) => Push<V>,
  local = false,
): Node {
  const node: Node = extend(from, {
    name,
    kind: "operator",
    detail,
    keyed,
    local,
    make: (runtime, next) => [make(runtime, next, node.id)],
  });
  return node;
}

export function mapNode<V, W>(
  from: Joint,
  keyed: boolean,
  f: (value: V, at: At<never>) => W,
  options: StepOptions,
): Node {
  return stateless<V>(from, "map", f.name || "function", keyed, (runtime, next, step) => {
    const call = guarded(f, options);
    return ownFunction(
      { runtime, now: runtime.now, next, call, step },
      "(value) => { runtime.step = step; next(call(value, now)); }",
    );
  });
}

export function filterNode<V>(
  from: Joint,
  keyed: boolean,
  f: (value: V, at: At<never>) => boolean,
  options: StepOptions,
): Node {
  return stateless<V>(from, "filter", f.name || "function", keyed, (runtime, next, step) => {
    const call = guarded(f, options);
    return ownFunction(
      { runtime, now: runtime.now, next, call, step },
      "(value) => { runtime.step = step; if (call(value, now)) next(value); }",
    );
  });
}

export function flatMapNode<V, W>(
  from: Joint,
  keyed: boolean,
  f: (value: V, emit: (item: W) => void, at: At<never>) => void,
  options: StepOptions,
): Node {
  return stateless<V>(from, "flatMap", f.name || "function", keyed, (runtime, next, step) => {
    const call = guarded(f, options);
    return ownFunction(
      { runtime, now: runtime.now, next, call, step },
      "(value) => { runtime.step = step; call(value, next, now); }",
    );
  });
}

export function toNode<V>(from: Joint, target: Target<V>): Topology {
  const node: Node = extend(from, {
    name: `to ${target.stream || "nowhere"}`,
    kind: "sink",
    detail: target.stream,
    to: target.stream === "" ? [] : [target.stream],
    make: (runtime) => [
      ownFunction<Push<V>>(
        { runtime, now: runtime.now, outputs: runtime.outputs, target, step: node.id },
        `(value) => {
          runtime.step = step;
          const output = target.write(value, now);
          if (output !== undefined) outputs.push(output);
        }`,
      ),
    ],
  });
  return from.topology;
}

export function lookupNode<V, T, W>(
  from: Joint,
  keyed: boolean,
  table: Table<T>,
  keyOf: (value: V) => Key,
  combine: (value: V, found: T | undefined) => W,
): Node {
  return stateless<V>(
    from,
    `lookup ${table.name}`,
    table.versioned ? "as of event time" : "latest",
    keyed,
    (runtime, next, step) => {
      const { now } = runtime;
      const read = table.readerIn(runtime);
      return (value) => {
        runtime.step = step;
        (next as Push<W>)(combine(value, read(keyOf(value), now.timeMs)));
      };
    },
  );
}

export function unboundedState(name: string, ttlMs: number): string[] {
  return ttlMs === Number.POSITIVE_INFINITY ? [`${name}: state is never forgotten (ttlMs is Infinity)`] : [];
}

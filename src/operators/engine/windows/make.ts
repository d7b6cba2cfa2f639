import { MillraceError } from "../../../core/index.js";
import { type Aggregates, planAggregates } from "../aggregates/plan.js";
import type { Operator, Push, Runtime } from "../topology/runtime.js";
import { COUNT_EXTRA, CountWindow } from "./count.js";
import { Hop } from "./hop.js";
import { SESSION_EXTRA, Session } from "./session.js";
import type { WindowSpec } from "./specs.js";
import { TUMBLE_EXTRA, Tumble } from "./tumble.js";

/** The operator of a window. Errors: MR_OPTION_INVALID for an aggregate that cannot be merged where the window needs it. */
export function makeWindow<V>(
  id: number,
  name: string,
  runtime: Runtime,
  spec: WindowSpec,
  aggregates: Aggregates<V>,
  next: Push<never>,
): Operator & { readonly push: Push<V> } {
  const push = next as Push<unknown>;
  switch (spec.kind) {
    case "tumbling": {
      const revisable =
        (spec.latenessMs ?? 0) > 0 || spec.earlyEveryMs !== undefined || spec.earlyEveryCount !== undefined;
      return new Tumble<V>(id, name, runtime, spec, planAggregates<V>(aggregates, revisable ? TUMBLE_EXTRA : 0), push);
    }
    case "hopping":
      checkMergeable(name, aggregates);
      return new Hop<V>(id, name, runtime, spec, aggregates, push);
    case "session":
      checkMergeable(name, aggregates);
      return new Session<V>(id, name, runtime, spec, planAggregates<V>(aggregates, SESSION_EXTRA), push);
    case "count":
      return new CountWindow<V>(id, name, runtime, spec.size, planAggregates<V>(aggregates, COUNT_EXTRA), push);
  }
}

function checkMergeable<V>(name: string, aggregates: Aggregates<V>): void {
  const bad = Object.entries(aggregates).find(([, aggregate]) => !planAggregates<V>({ aggregate }).mergeable);
  if (bad !== undefined)
    throw new MillraceError("MR_OPTION_INVALID", `${name}: aggregate ${bad[0]} has no merge, which this window needs`);
}

export function describeWindow(spec: WindowSpec): string {
  switch (spec.kind) {
    case "tumbling":
      return `tumbling ${spec.sizeMs} ms`;
    case "hopping":
      return `hopping ${spec.sizeMs} ms every ${spec.slideMs} ms`;
    case "session":
      return `session, gap ${spec.gapMs} ms`;
    case "count":
      return `every ${spec.size} events`;
  }
}

import type { Test } from "tap";
import type { TaskContext } from "../../../../src/core/index.js";
import type { Topology } from "../../../../src/operators/engine/index.js";

/** What a topology says of saved state that it does not take; `accepted` of one that it does. */
export function refusal(t: Test, topology: Topology, context: TaskContext, state: Uint8Array): string {
  try {
    topology.create(context).load(state);
  } catch (error) {
    t.match(error, { code: "MR_STATE_INCOMPATIBLE" });
    return (error as Error).message;
  }
  return "accepted";
}

import { type Sent, TestKit, type Topology } from "../../../../src/operators/engine/index.js";
import type { Reading, Step } from "./arrivals.js";

export interface Ran {
  readonly rows: readonly unknown[];
  readonly late: readonly string[];
  readonly dead: readonly string[];
  readonly state: string;
  readonly kit: TestKit<Reading>;
}

/** Runs the steps; `cuts` are the steps before which the program is saved and loaded into a fresh one. */
export function run(topology: Topology, steps: readonly Step[], cuts: readonly number[] | "always" = []): Ran {
  const kit = new TestKit<Reading>(topology);
  steps.forEach((step, i) => {
    if (cuts === "always" || cuts.includes(i)) kit.cut();
    if (step.kind === "mark") kit.watermark(step.timeMs);
    else kit.event(step.event.timeMs, step.event, { id: String(step.event.id) });
  });
  const state = Buffer.from(kit.save()).toString("hex");
  return {
    rows: kit.rows(),
    late: kit.late().map(({ eventId }) => eventId),
    dead: kit.dead().map(({ eventId }) => eventId),
    state,
    kit,
  };
}

export function readingOf(sent: Sent<Reading>): Reading {
  return sent.value;
}

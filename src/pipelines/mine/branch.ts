import type { Emit, Origin, Reading } from "../../core/index.js";
import type { Stateful } from "../../operators/index.js";

/** An accepted reading and where it lies: what a branch gets. */
export interface Arrival {
  readonly eventId: string;
  readonly reading: Reading;
  readonly origin: Origin;
}

/** One way readings take through the pipeline; each owns some groups. */
export interface Branch {
  readonly operators: Readonly<Record<string, Stateful>>;
  /** How late the reading is, ms, when its window has fired; undefined when it counted. */
  take(arrival: Arrival, emit: Emit): number | undefined;
  /** Event time has passed `watermarkMs`. */
  advance(watermarkMs: number, emit: Emit): void;
}

import { MillraceError } from "../../../core/index.js";
import type { Aggregate, Cell, Part } from "./aggregate.js";
import type { Aggregates } from "./plan.js";

/** How a window reads a changelog: rows that are said, and rows that are taken back. */
export interface ChangelogOptions<V> {
  /** True of a value that takes an earlier, equal one back: `({ kind }) => kind === "retract"` of a window's rows. */
  readonly retracts: (value: V) => boolean;
}

let serial = 0;

/**
 * The same aggregates over a stream of changes: a value that `retracts` is taken away again instead of added.
 *
 * Errors: MR_OPTION_INVALID for an aggregate that cannot take a value away exactly (sums of floats, extremes, sketches of samples).
 */
export function overChangelog<V, A extends Aggregates<V>>(
  step: string,
  aggregates: A,
  options: ChangelogOptions<V>,
): A {
  const { retracts } = options;
  const run = ++serial; // parts are shared by id, and a part that takes back is not the part that does not
  const entries = Object.entries(aggregates).map(([name, aggregate]) => {
    const { parts, cell } = aggregate;
    if (parts.some(({ retract }) => retract === undefined) || (cell !== undefined && cell.retract === undefined)) {
      throw new MillraceError(
        "MR_OPTION_INVALID",
        `${step}: aggregate ${name} cannot take a value away exactly; use count, sumIntegers, histogram, distinctExact, quantiles, or custom with retract`,
      );
    }
    const changed: Aggregate<V, unknown> = {
      ...aggregate,
      parts: parts.map((part): Part<V> => changingPart(part, retracts, run)),
      ...(cell !== undefined && { cell: changingCell(cell, retracts) }),
    };
    return [name, changed];
  });
  return Object.fromEntries(entries) as A;
}

function changingPart<V>(part: Part<V>, retracts: (value: V) => boolean, run: number): Part<V> {
  const retract = part.retract as Part<V>["add"];
  return {
    ...part,
    id: `changelog ${run} ${part.id}`,
    add: (rows, at, value, timeMs) => (retracts(value) ? retract : part.add)(rows, at, value, timeMs),
  };
}

function changingCell<V, C>(cell: Cell<V, C>, retracts: (value: V) => boolean): Cell<V, C> {
  const retract = cell.retract as Cell<V, C>["add"];
  return {
    ...cell,
    add: (state, value, timeMs, undo) => (retracts(value) ? retract : cell.add)(state, value, timeMs, undo),
  };
}

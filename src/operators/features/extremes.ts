import type { Origin } from "../../core/index.js";
import { custom } from "../engine/index.js";

type OriginsOf<V> = ReturnType<typeof custom<V, Extremes, readonly Origin[]>>;

/** An event that may become evidence: what it measured, what orders it, and where it lies. */
export interface Witness {
  readonly value: number;
  readonly timeMs: number;
  /** Tells events of equal value and time apart; from their content, never from their place in the log. */
  readonly eventId: string;
  readonly origin: Origin;
}

/** The events with the smallest and the largest values of a window, each at most `PER_SIDE`, most extreme first. */
interface Extremes {
  readonly lowest: readonly Witness[];
  readonly highest: readonly Witness[];
}

/** Eight in all: as many as an alert carries. */
const PER_SIDE = 4;

/**
 * An aggregate: where the events with the most extreme values of a window lie, at most four of each side, by time. Which are kept
 * depends on their content alone, not on their order. O(1) an event: a comparison with what is kept.
 */
export function evidence<V>(witnessOf: (value: V) => Witness): OriginsOf<V> {
  return custom<V, Extremes, readonly Origin[]>({
    name: "evidence",
    init: () => ({ lowest: [], highest: [] }),
    add(kept, value) {
      const witness = witnessOf(value);
      const lowest = withWitness(kept.lowest, witness, 1);
      const highest = withWitness(kept.highest, witness, -1);
      return lowest === kept.lowest && highest === kept.highest ? kept : { lowest, highest };
    },
    merge: (a, b) => ({
      lowest: b.lowest.reduce((kept, witness) => withWitness(kept, witness, 1), a.lowest),
      highest: b.highest.reduce((kept, witness) => withWitness(kept, witness, -1), a.highest),
    }),
    result: evidenceOf,
  });
}

/** The events to show: the extreme ones of both sides, each once, by time. */
function evidenceOf({ lowest, highest }: Extremes): Origin[] {
  const byId = new Map<string, Witness>();
  for (const witness of [...lowest, ...highest]) byId.set(`${witness.timeMs} ${witness.eventId}`, witness);
  return [...byId.values()].sort((a, b) => a.timeMs - b.timeMs || compareIds(a, b)).map(({ origin }) => origin);
}

/** The list itself when the witness is not extreme enough. */
function withWitness(kept: readonly Witness[], witness: Witness, sign: 1 | -1): readonly Witness[] {
  const before = (a: Witness, b: Witness) => sign * (a.value - b.value) || a.timeMs - b.timeMs || compareIds(a, b);
  const last = kept[kept.length - 1];
  if (kept.length === PER_SIDE && last !== undefined && before(witness, last) >= 0) return kept;
  const found = kept.findIndex((other) => before(witness, other) < 0);
  const at = found < 0 ? kept.length : found;
  return [...kept.slice(0, at), witness, ...kept.slice(at)].slice(0, PER_SIDE);
}

function compareIds(a: Witness, b: Witness): number {
  return a.eventId < b.eventId ? -1 : a.eventId > b.eventId ? 1 : 0;
}

import type { Origin } from "../../core/index.js";

/** An event that may become evidence: what it measured, what orders it, and where it lies. */
export interface Witness {
  readonly value: number;
  readonly timeMs: number;
  /** Tells events of equal value and time apart; from their content, never from their place in the log. */
  readonly eventId: string;
  readonly origin: Origin;
}

/** The events with the smallest and the largest values of a window, each at most `PER_SIDE`, most extreme first. JSON. */
export interface Extremes {
  lowest: Witness[];
  highest: Witness[];
}

/** Eight in all: as many as an alert carries. */
const PER_SIDE = 4;

export function noExtremes(): Extremes {
  return { lowest: [], highest: [] };
}

/** O(1): a comparison with what is kept. Which events are kept depends on their content alone, not on their order. */
export function addWitness(extremes: Extremes, witness: Witness): void {
  insert(extremes.lowest, witness, 1);
  insert(extremes.highest, witness, -1);
}

/** The events to show: the extreme ones of both sides, each once, by time. */
export function evidenceOf({ lowest, highest }: Extremes): Origin[] {
  const byId = new Map<string, Witness>();
  for (const witness of [...lowest, ...highest]) byId.set(`${witness.timeMs} ${witness.eventId}`, witness);
  return [...byId.values()].sort((a, b) => a.timeMs - b.timeMs || compareIds(a, b)).map(({ origin }) => origin);
}

function insert(kept: Witness[], witness: Witness, sign: 1 | -1): void {
  const before = (a: Witness, b: Witness) => sign * (a.value - b.value) || a.timeMs - b.timeMs || compareIds(a, b);
  const last = kept[kept.length - 1];
  if (kept.length === PER_SIDE && last !== undefined && before(witness, last) >= 0) return;
  const at = kept.findIndex((other) => before(witness, other) < 0);
  kept.splice(at < 0 ? kept.length : at, 0, witness);
  kept.length = Math.min(kept.length, PER_SIDE);
}

function compareIds(a: Witness, b: Witness): number {
  return a.eventId < b.eventId ? -1 : a.eventId > b.eventId ? 1 : 0;
}

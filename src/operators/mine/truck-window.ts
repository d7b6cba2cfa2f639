import type { Origin } from "../../core/index.js";
import { count, type Results, sum, sumIntegers } from "../engine/index.js";
import { evidence } from "../features/extremes.js";
import type { HaulCycle } from "./haul-cycles.js";

/** A finished cycle and the event that finished it. */
export interface CycleEvent {
  readonly cycle: HaulCycle;
  readonly eventId: string;
  readonly origin: Origin;
}

const hoursOf =
  (name: string) =>
  ({ cycle }: CycleEvent): number =>
    cycle.values[name] ?? 0;

/** Aggregates: a truck's work over a window, from the cycles it finished in it. Evidence: the shortest and longest cycles. */
export const truckWindow = {
  cycles: count(),
  hours: sum(hoursOf("cycleH")),
  emptyH: sum(hoursOf("travelEmptyH")),
  fullH: sum(hoursOf("travelFullH")),
  /** At the shovel and at the dump: waiting and being served. */
  waitH: sum(({ cycle: { values } }: CycleEvent) => (values.atShovelH ?? 0) + (values.atDumpH ?? 0)),
  distFullKm: sum(hoursOf("distFullKm")),
  payloadSumT: sum(({ cycle }: CycleEvent) => (cycle.payloadMeasured ? (cycle.values.payloadT ?? 0) : 0)),
  payloads: sumIntegers(({ cycle }: CycleEvent) => (cycle.payloadMeasured ? 1 : 0)),
  evidence: evidence(({ cycle, eventId, origin }: CycleEvent) => {
    return { value: cycle.values.cycleH ?? 0, timeMs: cycle.endMs, eventId, origin };
  }),
};

/**
 * The numbers of a window, for its feature: how many cycles, mean hours of each part, share of the round spent at the shovel and the
 * dump, tonnes (of cycles whose scale said something), km/h loaded. What cannot be measured is absent.
 */
export function truckValues(row: Omit<Results<typeof truckWindow>, "evidence">): Readonly<Record<string, number>> {
  const { cycles, hours, emptyH, fullH, waitH, distFullKm, payloadSumT, payloads } = row;
  const values: Record<string, number> = {
    cycles,
    cycleMeanH: hours / cycles,
    travelEmptyMeanH: emptyH / cycles,
    travelFullMeanH: fullH / cycles,
    waitMeanH: waitH / cycles,
  };
  const roundH = emptyH + fullH + waitH;
  if (roundH > 0) values.queueShare01 = waitH / roundH;
  if (payloads > 0) values.payloadMeanT = payloadSumT / payloads;
  if (fullH > 0) values.speedFullKmh = distFullKm / fullH;
  return values;
}

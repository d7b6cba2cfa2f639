import type { Origin } from "../../core/index.js";
import { addWitness, type Extremes, evidenceOf, noExtremes } from "../features/extremes.js";
import type { Aggregate } from "../windows/tumbling.js";
import type { HaulCycle } from "./haul-cycles.js";

/** A finished cycle and the event that finished it. */
export interface CycleEvent {
  readonly cycle: HaulCycle;
  readonly eventId: string;
  readonly origin: Origin;
}

interface Accumulator {
  cycles: number;
  hours: number;
  emptyH: number;
  fullH: number;
  /** At the shovel and at the dump: waiting and being served. */
  waitH: number;
  distFullKm: number;
  payloadSumT: number;
  payloads: number;
  readonly evidence: Extremes;
}

export interface TruckWindow {
  readonly values: Readonly<Record<string, number>>;
  readonly evidence: readonly Origin[];
}

/**
 * A truck's work over a window, from the cycles it finished in it: how many, mean hours of each part, share of the round spent at
 * the shovel and the dump, tonnes (of cycles whose scale said something), km/h loaded. Evidence: the shortest and longest cycles.
 */
export const truckWindow: Aggregate<CycleEvent, Accumulator, TruckWindow> = {
  init: () => ({
    ...{
      cycles: 0,
      hours: 0,
      emptyH: 0,
      fullH: 0,
      waitH: 0,
      distFullKm: 0,
      payloadSumT: 0,
      payloads: 0,
      evidence: noExtremes(),
    },
  }),
  add(sum, { cycle, eventId, origin }) {
    const {
      cycleH = 0,
      travelEmptyH = 0,
      travelFullH = 0,
      atShovelH = 0,
      atDumpH = 0,
      distFullKm = 0,
      payloadT = 0,
    } = cycle.values;
    sum.cycles++;
    sum.hours += cycleH;
    sum.emptyH += travelEmptyH;
    sum.fullH += travelFullH;
    sum.waitH += atShovelH + atDumpH;
    sum.distFullKm += distFullKm;
    if (cycle.payloadMeasured) {
      sum.payloadSumT += payloadT;
      sum.payloads++;
    }
    addWitness(sum.evidence, { value: cycleH, timeMs: cycle.endMs, eventId, origin });
  },
  result({ cycles, hours, emptyH, fullH, waitH, distFullKm, payloadSumT, payloads, evidence }) {
    const values: Record<string, number> = {
      ...{
        cycles,
        cycleMeanH: hours / cycles,
        travelEmptyMeanH: emptyH / cycles,
        travelFullMeanH: fullH / cycles,
        waitMeanH: waitH / cycles,
      },
    };
    const roundH = emptyH + fullH + waitH;
    if (roundH > 0) values.queueShare01 = waitH / roundH;
    if (payloads > 0) values.payloadMeanT = payloadSumT / payloads;
    if (fullH > 0) values.speedFullKmh = distFullKm / fullH;
    return { values, evidence: evidenceOf(evidence) };
  },
};

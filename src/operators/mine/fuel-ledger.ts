import { HOUR_MS } from "../../core/index.js";
import { keyed } from "../keyed.js";
import type { Stateful } from "../state.js";

/** What went into a truck against what its work should have burnt since the last refuelling. */
export interface FuelBalance {
  readonly startMs: number;
  readonly endMs: number;
  readonly litres: number;
  readonly predictedL: number;
  readonly cycles: number;
  /** litres / predictedL - 1: 0.1 is a tenth more than predicted. */
  readonly residualRatio: number;
}

export interface FuelLedger extends Stateful {
  /** Notes a cycle of the truck; `litres` is undefined when nothing could be predicted. In event-time order. */
  burn(truck: string, timeMs: number, litres: number | undefined): void;
  /** Closes the interval; undefined when it cannot be trusted. In event-time order, a cycle ending at this moment before it. */
  refuel(truck: string, timeMs: number, litres: number): FuelBalance | undefined;
}

interface Truck {
  sinceMs: number | null;
  predictedL: number;
  cycles: number;
  unknown: number;
}

/** Intervals beyond these are a meter error or a missed refuelling (the filter the model's own baseline was measured with). */
const PLAUSIBLE = { cyclesLeast: 4, cyclesMost: 30, hoursBelow: 40, litresLeast: 1_500, litresMost: 5_000 };

/**
 * Predicted litres of each truck since it was last refuelled.
 *
 * State: four numbers a truck, at most `maxTrucks`. O(1) an event.
 */
export function fuelLedger({ maxTrucks }: { maxTrucks: number }): FuelLedger {
  const trucks = keyed<Truck>({
    maxKeys: maxTrucks,
    create: () => ({ sinceMs: null, predictedL: 0, cycles: 0, unknown: 0 }),
    save: (truck) => truck,
    load: (saved) => saved as Truck,
  });
  return {
    burn(name, timeMs, litres) {
      const truck = trucks.at(name, timeMs);
      truck.cycles++;
      if (litres === undefined || !Number.isFinite(litres)) truck.unknown++;
      else truck.predictedL += litres;
    },
    refuel(name, timeMs, litres) {
      const truck = trucks.at(name, timeMs);
      const { sinceMs, predictedL, cycles, unknown } = truck;
      truck.sinceMs = timeMs;
      truck.predictedL = truck.cycles = truck.unknown = 0;
      if (sinceMs === null || unknown > 0 || predictedL <= 0 || timeMs - sinceMs >= PLAUSIBLE.hoursBelow * HOUR_MS)
        return undefined;
      if (cycles < PLAUSIBLE.cyclesLeast || cycles > PLAUSIBLE.cyclesMost) return undefined;
      if (!(litres >= PLAUSIBLE.litresLeast && litres <= PLAUSIBLE.litresMost)) return undefined;
      return { startMs: sinceMs, endMs: timeMs, litres, predictedL, cycles, residualRatio: litres / predictedL - 1 };
    },
    save: () => trucks.save(),
    load: (state) => trucks.load(state as ReturnType<typeof trucks.save>),
  };
}

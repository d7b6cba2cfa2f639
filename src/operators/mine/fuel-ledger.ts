import { HOUR_MS } from "../../core/index.js";
import type { ProcessFunction } from "../engine/index.js";

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

/** A cycle that burnt, predicted, or a refuelling. `litres` of a cycle is null when nothing could be predicted. */
export type FuelEvent =
  | { readonly kind: "cycle"; readonly litres: number | null }
  | { readonly kind: "refuel"; readonly litres: number };

interface Truck {
  readonly sinceMs: number | null;
  readonly predictedL: number;
  readonly cycles: number;
  readonly unknown: number;
}

/** Intervals beyond these are a meter error or a missed refuelling (the filter the model's own baseline was measured with). */
const PLAUSIBLE = { cyclesLeast: 4, cyclesMost: 30, hoursBelow: 40, litresLeast: 1_500, litresMost: 5_000 };

/**
 * Predicted litres of each truck since it was last refuelled: says each refuelling, with the balance of the interval it closes where
 * that can be trusted. For a stream by truck, in event-time order, a cycle ending at the moment of a refuelling before it.
 *
 * State: four numbers a truck, at most `maxTrucks`. O(1) an event.
 */
export function fuelLedger<V extends FuelEvent>({
  maxTrucks,
}: {
  readonly maxTrucks: number;
}): ProcessFunction<
  string,
  V,
  Truck,
  { readonly refuel: V & { readonly kind: "refuel" }; readonly balance: FuelBalance | undefined }
> {
  return {
    ttlMs: Number.POSITIVE_INFINITY,
    maxKeys: maxTrucks,
    init: () => ({ sinceMs: null, predictedL: 0, cycles: 0, unknown: 0 }),
    onEvent(truck, event, at) {
      if (event.kind === "cycle") return burn(truck, event.litres);
      const refuel = event as V & { readonly kind: "refuel" };
      at.emit({ refuel, balance: balanceOf(truck, at.timeMs, refuel.litres) });
      return { sinceMs: at.timeMs, predictedL: 0, cycles: 0, unknown: 0 };
    },
  };
}

function burn(truck: Truck, litres: number | null): Truck {
  const cycles = truck.cycles + 1;
  if (litres === null || !Number.isFinite(litres)) return { ...truck, cycles, unknown: truck.unknown + 1 };
  return { ...truck, cycles, predictedL: truck.predictedL + litres };
}

function balanceOf(truck: Truck, timeMs: number, litres: number): FuelBalance | undefined {
  const { sinceMs, predictedL, cycles, unknown } = truck;
  if (sinceMs === null || unknown > 0 || predictedL <= 0 || timeMs - sinceMs >= PLAUSIBLE.hoursBelow * HOUR_MS)
    return undefined;
  if (cycles < PLAUSIBLE.cyclesLeast || cycles > PLAUSIBLE.cyclesMost) return undefined;
  if (!(litres >= PLAUSIBLE.litresLeast && litres <= PLAUSIBLE.litresMost)) return undefined;
  return { startMs: sinceMs, endMs: timeMs, litres, predictedL, cycles, residualRatio: litres / predictedL - 1 };
}

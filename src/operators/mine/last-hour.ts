import { HOUR_MS, type PlanRequest, type Route } from "../../core/index.js";
import { median, quantileOfSorted } from "../features/quantile.js";

/** A finished round, as far as planning needs it. */
export interface MeasuredCycle {
  readonly truck: string;
  readonly shovel: string;
  readonly dump: string;
  readonly endMs: number;
  readonly travelMin: number;
  readonly atShovelMin: number;
  readonly atDumpMin: number;
  readonly litres: number;
  readonly payloadT: number;
}

/** What a plan request says about the measured hour. */
export type Measured = Pick<PlanRequest, "trucks" | "routes" | "dumps"> & {
  readonly tonnes: number;
  readonly shovels: readonly { readonly shovel: string; readonly loadMin: number }[];
};

/** The cycles of a site's last hour or two. Plain data, never changed in place; at most 5,000, the oldest go first. */
export interface LastHour {
  readonly firstMs: number | null;
  readonly cycles: readonly MeasuredCycle[];
}

export const NOTHING_MEASURED: LastHour = { firstMs: null, cycles: [] };

const MOST_CYCLES = 5_000;
const TRAVEL_LEAST_MIN = 2;
const ROUND_MOST_MIN = 240;
/** The quarter of visits that waited least: what loading and dumping take when nobody is in front. */
const WITHOUT_WAITING = 0.25;

/**
 * The hour with one more cycle, in event-time order. Cycles that cannot be (no travel at all, faster than a truck, longer than four hours)
 * do not count. O(cycles).
 */
export function withCycle(hour: LastHour, cycle: MeasuredCycle): LastHour {
  const { travelMin, atShovelMin, atDumpMin, shovel, dump, endMs } = cycle;
  const roundMin = travelMin + atShovelMin + atDumpMin;
  if (travelMin < TRAVEL_LEAST_MIN || roundMin > ROUND_MOST_MIN || shovel === "" || dump === "") return hour;
  const cycles = [...hour.cycles, cycle];
  const firstMs = hour.firstMs ?? endMs;
  if (cycles.length <= MOST_CYCLES && (cycles[0] as MeasuredCycle).endMs > endMs - 2 * HOUR_MS)
    return { firstMs, cycles };
  return { firstMs, cycles: cycles.filter((old) => old.endMs > endMs - HOUR_MS).slice(-MOST_CYCLES) };
}

/**
 * The hour up to `nowMs`: its routes, what they took and cost, its shovels and dumps; undefined until an hour has been measured, or
 * when nothing moved in it. O(cycles log cycles).
 */
export function measureHour(hour: LastHour, nowMs: number): Measured | undefined {
  if (hour.firstMs === null || nowMs - hour.firstMs < HOUR_MS) return undefined;
  const cycles = hour.cycles.filter(({ endMs }) => endMs > nowMs - HOUR_MS && endMs <= nowMs);
  return cycles.length === 0 ? undefined : measured(cycles);
}

function measured(cycles: readonly MeasuredCycle[]): Measured {
  const shovels = groups(cycles, ({ shovel }) => shovel).map(([shovel, visits]) => {
    return { shovel, loadMin: withoutWaiting(visits.map(({ atShovelMin }) => atShovelMin)) };
  });
  const dumps = groups(cycles, ({ dump }) => dump).map(([dump, visits]) => {
    return { dump, dumpMin: withoutWaiting(visits.map(({ atDumpMin }) => atDumpMin)) };
  });
  const loadMin = new Map(shovels.map((one) => [one.shovel, one.loadMin]));
  const dumpMin = new Map(dumps.map((one) => [one.dump, one.dumpMin]));
  const routes = groups(cycles, ({ shovel, dump }) => JSON.stringify([shovel, dump])).map(([, trips]): Route => {
    const { shovel, dump } = trips[0] as MeasuredCycle;
    const travelMin = median(trips.map((trip) => trip.travelMin)) ?? 0;
    const cycleMin = round(travelMin + (loadMin.get(shovel) ?? 0) + (dumpMin.get(dump) ?? 0));
    return {
      shovel,
      dump,
      cycleMin,
      litres: mean(trips, "litres"),
      payloadT: mean(trips, "payloadT"),
      trips: trips.length,
    };
  });
  const trucks = new Set(cycles.map(({ truck }) => truck)).size;
  const tonnes = round(cycles.reduce((sum, { payloadT }) => sum + payloadT, 0));
  return { trucks, tonnes, shovels, dumps, routes };
}

function groups<T>(items: readonly T[], keyOf: (item: T) => string): (readonly [string, readonly T[]])[] {
  const found = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = found.get(key);
    if (group === undefined) found.set(key, [item]);
    else group.push(item);
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1));
}

function withoutWaiting(minutes: readonly number[]): number {
  return round(
    quantileOfSorted(
      [...minutes].sort((a, b) => a - b),
      WITHOUT_WAITING,
    ) ?? 0,
  );
}

function mean(trips: readonly MeasuredCycle[], name: "litres" | "payloadT"): number {
  return round(trips.reduce((sum, trip) => sum + trip[name], 0) / trips.length);
}

/** Hundredths: a plan needs no more, and people read it. */
function round(value: number): number {
  return Math.round(value * 100) / 100;
}

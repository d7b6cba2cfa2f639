import { HOUR_MS, type PlanRequest, type Route } from "../../core/index.js";
import { median, quantileOfSorted } from "../features/quantile.js";
import { keyed } from "../keyed.js";
import type { Stateful } from "../state.js";

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

export interface LastHour extends Stateful {
  /** In event-time order. Cycles that cannot be (no travel at all, faster than a truck, longer than four hours) do not count. */
  add(site: string, cycle: MeasuredCycle): void;
  /** The site's hour up to `nowMs`; undefined until an hour has been measured, or when nothing moved in it. */
  measure(site: string, nowMs: number): Measured | undefined;
}

interface Site {
  firstMs: number | null;
  cycles: MeasuredCycle[];
}

const MOST_CYCLES = 5_000;
const TRAVEL_LEAST_MIN = 2;
const ROUND_MOST_MIN = 240;
/** The quarter of visits that waited least: what loading and dumping take when nobody is in front. */
const WITHOUT_WAITING = 0.25;

/**
 * The last hour of each site: its routes, what they took and cost, its shovels and dumps.
 *
 * State: the cycles of an hour, at most 5,000 a site (the oldest go first). O(1) a cycle, O(cycles log cycles) a measurement.
 */
export function lastHour({ maxSites }: { maxSites: number }): LastHour {
  const sites = keyed<Site>({
    maxKeys: maxSites,
    create: () => ({ firstMs: null, cycles: [] }),
    save: (site) => site,
    load: (saved) => saved as Site,
  });
  return {
    add(name, cycle) {
      const { travelMin, atShovelMin, atDumpMin, shovel, dump, endMs } = cycle;
      if (
        travelMin < TRAVEL_LEAST_MIN ||
        travelMin + atShovelMin + atDumpMin > ROUND_MOST_MIN ||
        shovel === "" ||
        dump === ""
      )
        return;
      const site = sites.at(name, endMs);
      site.firstMs ??= endMs;
      site.cycles.push(cycle);
      if (site.cycles.length > MOST_CYCLES || (site.cycles[0] as MeasuredCycle).endMs <= endMs - 2 * HOUR_MS) {
        site.cycles = site.cycles.filter((old) => old.endMs > endMs - HOUR_MS).slice(-MOST_CYCLES);
      }
    },
    measure(name, nowMs) {
      const site = sites.get(name);
      if (site === undefined || site.firstMs === null || nowMs - site.firstMs < HOUR_MS) return undefined;
      const cycles = site.cycles.filter(({ endMs }) => endMs > nowMs - HOUR_MS && endMs <= nowMs);
      return cycles.length === 0 ? undefined : measured(cycles);
    },
    save: () => sites.save(),
    load: (state) => sites.load(state as ReturnType<typeof sites.save>),
  };
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

import { HOUR_MS } from "../../core/index.js";
import type { ProcessFunction } from "../engine/index.js";

/** A truck's round, in the order it must report them. */
export const CYCLE_STEPS = [
  "assigned-load",
  "arrived-load",
  "loaded",
  "assigned-dump",
  "arrived-dump",
  "dumped",
] as const;

/** A step of a truck's round, as its status event says it. */
export interface CycleStep {
  readonly timeMs: number;
  /** One of `CYCLE_STEPS`; anything else spoils the cycle. */
  readonly status: string;
  readonly values: Readonly<Record<string, number>>;
  readonly labels: Readonly<Record<string, string>>;
}

export interface HaulCycle {
  readonly shovel: string;
  readonly load: string;
  readonly dump: string;
  readonly dumpType: string;
  /** Assigned to load. */
  readonly startMs: number;
  /** Dumped. */
  readonly endMs: number;
  /** False: the scale said nothing sane, `payloadT` is the fleet's usual load. */
  readonly payloadMeasured: boolean;
  /** See `valuesOf`; only numbers that could be had. */
  readonly values: Readonly<Record<string, number>>;
}

/** Real loads weigh 182 to 366 t. 0: nothing was weighed; 65519: a 16-bit wrap of the scale. */
const PAYLOAD_LOW_T = 100;
const PAYLOAD_HIGH_T = 400;
const PAYLOAD_USUAL_T = 303;
/** A longer pause has the engine off. */
const PAUSE_LIMIT_H = 2;

interface Truck {
  /** Times of the steps of the open cycle; empty: waiting for the next `assigned-load`. */
  readonly times: readonly number[];
  /** Shovel and bench are named from the first step on, the dump from the fourth. */
  readonly labels: Readonly<Record<string, string>>;
  readonly lastDumpedMs: number | null;
}

/**
 * Puts a truck's status events together to haul cycles, each with the event that completed it. For a stream by truck.
 *
 * Rule:  a cycle counts when its six steps come in this order, with times that do not run back; `assigned-load` begins one anew,
 *        any other step out of turn spoils it until the next `assigned-load`. Telemetry of real fleets has missing, doubled and
 *        overlapping steps; a guessed cycle would cost more than a lost one (1.5 % on Mine Z).
 * Order: of the log, not of time: a step and the next often carry the same second.
 * State: five times and four labels a truck, at most `maxTrucks`. O(1) a step.
 */
export function haulCycles<V>({
  maxTrucks,
  stepOf,
}: {
  readonly maxTrucks: number;
  readonly stepOf: (value: V) => CycleStep;
}): ProcessFunction<string, V, Truck, { readonly cycle: HaulCycle; readonly by: V }> {
  return {
    ttlMs: Number.POSITIVE_INFINITY,
    maxKeys: maxTrucks,
    init: () => ({ times: [], labels: {}, lastDumpedMs: null }),
    onEvent(truck, value, at) {
      const { timeMs, status, labels, values } = stepOf(value);
      const place = CYCLE_STEPS.indexOf(status as (typeof CYCLE_STEPS)[number]);
      if (place === 0) return { times: [timeMs], labels, lastDumpedMs: truck.lastDumpedMs };
      const previousMs = truck.times[truck.times.length - 1];
      const { lastDumpedMs } = truck;
      if (previousMs === undefined || place !== truck.times.length || timeMs < previousMs)
        return { times: [], labels: {}, lastDumpedMs };
      const next = { times: [...truck.times, timeMs], labels: { ...truck.labels, ...labels }, lastDumpedMs };
      if (place < CYCLE_STEPS.length - 1) return next;
      at.emit({ cycle: cycleOf(next, values), by: value });
      return { times: [], labels: {}, lastDumpedMs: timeMs };
    },
  };
}

function cycleOf({ times, labels, lastDumpedMs }: Truck, values: CycleStep["values"]): HaulCycle {
  const [startMs, endMs] = [times[0] as number, times[5] as number];
  const pauseMs = lastDumpedMs === null ? 0 : Math.max(0, startMs - lastDumpedMs);
  const { shovel = "", load = "", dump = "", dumpType = "" } = labels;
  const payloadT = values.payloadT;
  const payloadMeasured = payloadT !== undefined && payloadT >= PAYLOAD_LOW_T && payloadT <= PAYLOAD_HIGH_T;
  const usedT = payloadMeasured ? payloadT : PAYLOAD_USUAL_T;
  return {
    shovel,
    load,
    dump,
    dumpType,
    startMs,
    endMs,
    payloadMeasured,
    values: valuesOf(times, pauseMs, usedT, values),
  };
}

/**
 * Hours of each part of the round, kilometres, tonnes. `atShovelH` and `atDumpH` hold waiting and work; `pauseH` lies before the
 * round; `queueAndIdleH` is all three, the pause counting two hours at most.
 */
function valuesOf(
  times: readonly number[],
  pauseMs: number,
  payloadT: number,
  raw: Readonly<Record<string, number>>,
): Record<string, number> {
  const [assignedLoad, arrivedLoad, , assignedDump, arrivedDump, dumped] = times as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const atShovelH = (assignedDump - arrivedLoad) / HOUR_MS;
  const atDumpH = (dumped - arrivedDump) / HOUR_MS;
  const values: Record<string, number> = {
    payloadT,
    cycleH: (dumped - assignedLoad) / HOUR_MS,
    travelEmptyH: (arrivedLoad - assignedLoad) / HOUR_MS,
    travelFullH: (arrivedDump - assignedDump) / HOUR_MS,
    queueAndIdleH: atShovelH + atDumpH + Math.min(pauseMs / HOUR_MS, PAUSE_LIMIT_H),
    atShovelH,
    atDumpH,
    pauseH: pauseMs / HOUR_MS,
  };
  for (const [name, metres] of KILOMETRES) if (raw[metres] !== undefined) values[name] = raw[metres] / 1000;
  return values;
}

const KILOMETRES = [
  ["efhEmptyKm", "efhEmptyM"],
  ["efhFullKm", "efhFullM"],
  ["distEmptyKm", "distEmptyM"],
  ["distFullKm", "distFullM"],
] as const;

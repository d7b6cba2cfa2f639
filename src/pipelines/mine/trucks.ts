import { HOUR_MS, type Origin } from "../../core/index.js";
import {
  type CycleEvent,
  type HaulCycle,
  haulCycles,
  type LofScore,
  lofModel,
  type Results,
  type Stream,
  truckValues,
  truckWindow,
  tumbling,
  type WindowRow,
} from "../../operators/index.js";
import {
  type FeatureRow,
  type Finding,
  features,
  type PartitionOf,
  plain,
  report,
  type Speaker,
  severityOf,
} from "../report.js";
import { type Limited, limited, type Thresholds, thresholdOf } from "../thresholds.js";
import type { Arrival } from "./sensor-input.js";

/** Trucks watched at once, per partition. */
const MAX_TRUCKS = 2_000;
/** Two hours hold two or three cycles; a week of them is normal, judged after two days. */
const WINDOW_MS = 2 * HOUR_MS;
const UNUSUAL = { window: 84, neighbours: 10, warmUp: 24, leastSpreads: 3 };
const QUIET_MS = 6 * HOUR_MS;

/** One cycle is an anecdote. */
const FEWEST_CYCLES = 2;

/** What a truck's window is compared by. Durations on a log scale: a road that takes 8 or 32 min is as far from 16. */
const COMPARED = [
  { name: "waitMeanH", text: "time at shovel and dump", unit: "min", log: true },
  { name: "travelEmptyMeanH", text: "empty travel", unit: "min", log: true },
  { name: "travelFullMeanH", text: "loaded travel", unit: "min", log: true },
  { name: "payloadMeanT", text: "payload", unit: "t", log: false },
] as const;
/** Half a minute: differences below it are how promptly somebody pressed a button. */
const PROMPT_H = 1 / 120;

interface TruckCycle extends CycleEvent {
  readonly site: string;
  readonly equipment: string;
}

/** Two hours of a truck that are over. */
interface Shift {
  readonly site: string;
  readonly equipment: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly values: Readonly<Record<string, number>>;
  readonly evidence: readonly Origin[];
}

interface Judged {
  readonly shift: Shift;
  readonly threshold: number;
  readonly found: LofScore | undefined;
}

/** Haul trucks: loads, cycles and refuellings for stage two as they happen, two-hour windows, unusual ones among them. */
export function trucks(
  { status, refuel }: { readonly status: Stream<Arrival>; readonly refuel: Stream<Arrival> },
  speaker: Speaker,
  limits: Thresholds<"truck-unusual">,
  partitionOfSite: PartitionOf,
): void {
  const forSite = features(speaker, partitionOfSite);
  refuel.flatMap(refuelling).to(forSite);
  status.flatMap(load).to(forSite);
  const cycles = status
    .keyBy(truckOf, { local: true })
    .process("cycles", haulCycles<Arrival>({ maxTrucks: MAX_TRUCKS, stepOf }))
    .map(cycleEventOf);
  cycles.map(cycleFeature).to(forSite);

  const shifts = cycles
    .window("truckWindows", tumbling({ sizeMs: WINDOW_MS }))
    .aggregate(truckWindow)
    .map(shiftOf);
  const judged = limited(shifts, limits, "truck-unusual").score("truckScores", {
    model: () =>
      lofModel<Limited<Shift>>({
        ...{ width: COMPARED.length, ...UNUSUAL, thresholdOf },
        vectorOf: ({ value: shift }) => vectorOf(shift),
      }),
    maxKeys: MAX_TRUCKS,
    combine: ({ value: shift, threshold }, found) => ({ shift, threshold, found }),
  });
  judged.map(shiftFeature).to(features(speaker));
  report(judged.flatMap(unusualShift).values(), speaker, {
    ...{ rule: "truck-unusual", quietMs: QUIET_MS, maxKeys: MAX_TRUCKS },
  });
}

function truckOf({ reading: { site, equipment } }: Arrival): string {
  return JSON.stringify([site, equipment]);
}

function stepOf({ reading: { tsMs: timeMs, values, labels } }: Arrival) {
  return { timeMs, status: labels.status ?? "", values, labels };
}

function load({ reading }: Arrival, emit: (row: FeatureRow) => void): void {
  const { site, equipment: truck, tsMs, labels } = reading;
  const { status, shovel = "" } = labels;
  if (status !== "loaded" || shovel === "") return;
  const times = { startMs: tsMs, endMs: tsMs };
  const said = { values: {}, labels: { shovel, truck }, scores: {} };
  emit({ feature: "mine.load", site, key: `${site}/${shovel}`, ...times, ...said });
}

function refuelling({ reading }: Arrival, emit: (row: FeatureRow) => void): void {
  const { site, equipment, tsMs, values } = reading;
  const { litres, durationS = 0 } = values;
  if (litres === undefined) return;
  const times = { startMs: tsMs - Math.max(0, durationS) * 1000, endMs: tsMs };
  const said = { values: { litres }, labels: {}, scores: {} };
  emit({ feature: "mine.refuel", site, key: `${site}/${equipment}`, ...times, ...said });
}

function cycleEventOf({ cycle, by }: { readonly cycle: HaulCycle; readonly by: Arrival }): TruckCycle {
  const { eventId, origin, reading } = by;
  return { cycle, eventId, origin, site: reading.site, equipment: reading.equipment };
}

function cycleFeature({ cycle, site, equipment }: TruckCycle): FeatureRow {
  const { startMs, endMs, values, shovel, load, dump, dumpType, payloadMeasured } = cycle;
  const labels = { shovel, load, dump, dumpType, payload: payloadMeasured ? "measured" : "assumed" };
  return { feature: "mine.cycle", site, key: `${site}/${equipment}`, startMs, endMs, values, labels, scores: {} };
}

function shiftOf(row: WindowRow<string, Results<typeof truckWindow>>): Shift {
  const [site, equipment] = JSON.parse(row.key) as [string, string];
  const { startMs, endMs, evidence } = row;
  return { site, equipment, startMs, endMs, values: truckValues(row), evidence };
}

/** Without a payload the vector would have a hole in one dimension, and only the scale would be odd. */
function vectorOf({ values }: Shift): readonly number[] | undefined {
  const comparable = (values.cycles ?? 0) >= FEWEST_CYCLES && COMPARED.every(({ name }) => values[name] !== undefined);
  if (!comparable) return undefined;
  return COMPARED.map(({ name, log }) => (log ? Math.log(PROMPT_H + (values[name] ?? 0)) : (values[name] ?? 0)));
}

const aboutOf = ({ site, equipment, startMs, endMs }: Shift) => {
  return { feature: "mine.truck-window", site, key: `${site}/${equipment}`, startMs, endMs, labels: { equipment } };
};

function shiftFeature({ shift, found }: Judged): FeatureRow {
  const scores: Record<string, number> = found === undefined ? {} : { lof: found.score };
  return { ...aboutOf(shift), values: shift.values, scores };
}

function unusualShift({ shift, threshold, found }: Judged, emit: (finding: Finding) => void): void {
  if (!found?.isAnomaly) return;
  const { score, mostUnusual, usual } = found;
  const { equipment, values } = shift;
  const { name, text, unit, log } = COMPARED[mostUnusual] as (typeof COMPARED)[number];
  const inUnit = (x: number): number => (log ? 60 * Math.max(0, Math.exp(x) - PROMPT_H) : x);
  const value = inUnit(vectorOf(shift)?.[mostUnusual] as number);
  const expected = { low: inUnit(usual.low), high: inUnit(usual.high) };
  const said = `${plain(value)} ${unit}, usually ${plain(expected.low)} to ${plain(expected.high)} ${unit}`;
  emit({
    ...aboutOf(shift),
    labels: { equipment, measure: name },
    ...{ detector: "lof", score, threshold, value, expected },
    severity: severityOf(score, threshold),
    title: `${equipment}: mean ${text} of ${values.cycles} cycles ${said}`,
    evidence: shift.evidence,
  });
}

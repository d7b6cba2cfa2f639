import { type Emit, type Feature, HOUR_MS } from "../../core/index.js";
import {
  type HaulCycle,
  haulCycles,
  incidents,
  lofScorer,
  type TruckWindow,
  truckWindow,
  tumbling,
  type WindowResult,
} from "../../operators/index.js";
import { emitFeature, emitFinding, plain, type Speaker, sayTo, severityOf } from "../report.js";
import type { Arrival, Branch } from "./branch.js";

/** Trucks watched at once, per partition. */
const MAX_TRUCKS = 2_000;
/** Two hours hold two or three cycles; a week of them is normal, judged after two days. */
const WINDOW_MS = 2 * HOUR_MS;
const UNUSUAL = { window: 84, neighbours: 10, warmUp: 24, threshold: 2, leastSpreads: 3, maxKeys: MAX_TRUCKS };
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

/** Haul trucks: loads, cycles and refuellings for stage two as they happen, two-hour windows, unusual ones among them. */
export function truckBranch(speaker: Speaker, partitionOfSite: (site: string) => number): Branch {
  const cycles = haulCycles({ maxTrucks: MAX_TRUCKS });
  const windows = tumbling(WINDOW_MS, truckWindow);
  const unusual = lofScorer({ width: COMPARED.length, ...UNUSUAL });
  const unusualTrucks = incidents({
    pipeline: speaker.pipeline,
    domain: "mine",
    rule: "truck-unusual",
    quietMs: QUIET_MS,
    maxKeys: MAX_TRUCKS,
  });

  /** To the partition where all of the site comes together. */
  function forSite(
    feature: Pick<Feature, "feature" | "site" | "key" | "startMs" | "endMs" | "values" | "labels">,
    emit: Emit,
  ): void {
    emitFeature({ ...speaker, partition: partitionOfSite(feature.site) }, { ...feature, scores: {} }, emit);
  }

  function status({ eventId, reading, origin }: Arrival, emit: Emit): number | undefined {
    const { site, equipment, tsMs, values, labels } = reading;
    const truck = `${site}/${equipment}`;
    const { status: step = "", shovel = "" } = labels;
    if (step === "loaded" && shovel !== "") {
      forSite(
        {
          feature: "mine.load",
          site,
          key: `${site}/${shovel}`,
          startMs: tsMs,
          endMs: tsMs,
          values: {},
          labels: { shovel, truck: equipment },
        },
        emit,
      );
    }
    const cycle = cycles.step({ truck, timeMs: tsMs, status: step, values, labels });
    if (cycle === undefined) return undefined;
    forSite(featureOf(cycle, site, equipment), emit);
    return windows.add(JSON.stringify([site, equipment]), cycle.endMs, { cycle, eventId, origin });
  }

  function refuel({ reading }: Arrival, emit: Emit): void {
    const { site, equipment, tsMs, values } = reading;
    if (values.litres === undefined) return;
    const times = { startMs: tsMs - Math.max(0, values.durationS ?? 0) * 1000, endMs: tsMs };
    forSite(
      {
        feature: "mine.refuel",
        site,
        key: `${site}/${equipment}`,
        ...times,
        values: { litres: values.litres },
        labels: {},
      },
      emit,
    );
  }

  function windowIsOver({ key, startMs, endMs, result }: WindowResult<TruckWindow>, emit: Emit): void {
    const [site, equipment] = JSON.parse(key) as [string, string];
    const { values, evidence } = result;
    // Without a payload the vector would have a hole in one dimension, and only the scale would be odd.
    const comparable =
      (values.cycles ?? 0) >= FEWEST_CYCLES && COMPARED.every(({ name }) => values[name] !== undefined);
    const vector = COMPARED.map(({ name, log }) =>
      log ? Math.log(PROMPT_H + (values[name] ?? 0)) : (values[name] ?? 0),
    );
    const found = comparable ? unusual.process(key, endMs, vector) : undefined;
    const scores: Record<string, number> = found === undefined ? {} : { lof: found.score };
    const window = {
      feature: "mine.truck-window",
      site,
      key: `${site}/${equipment}`,
      startMs,
      endMs,
      labels: { equipment },
    };
    emitFeature(speaker, { ...window, values, scores }, emit);
    if (!found?.isAnomaly) return;
    const { score, mostUnusual, usual } = found;
    const { name, text, unit, log } = COMPARED[mostUnusual] as (typeof COMPARED)[number];
    const inUnit = (x: number): number => (log ? 60 * Math.max(0, Math.exp(x) - PROMPT_H) : x);
    const value = inUnit(vector[mostUnusual] as number);
    const expected = { low: inUnit(usual.low), high: inUnit(usual.high) };
    const said = `${plain(value)} ${unit}, usually ${plain(expected.low)} to ${plain(expected.high)} ${unit}`;
    const title = `${equipment}: mean ${text} of ${values.cycles} cycles ${said}`;
    const severity = severityOf(score, UNUSUAL.threshold);
    const finding = {
      ...window,
      labels: { equipment, measure: name },
      detector: "lof",
      score,
      threshold: UNUSUAL.threshold,
      value,
      expected,
      severity,
      title,
      evidence,
    };
    emitFinding(speaker, finding, unusualTrucks, emit);
  }

  return {
    operators: { cycles, truckWindows: windows, truckScores: unusual, unusualTrucks },
    take(arrival, emit) {
      if (arrival.reading.group === "status") return status(arrival, emit);
      refuel(arrival, emit);
      return undefined;
    },
    advance(watermarkMs, emit) {
      windows.advance(watermarkMs, (result) => windowIsOver(result, emit));
      unusualTrucks.advance(watermarkMs, sayTo(speaker, emit));
    },
  };
}

function featureOf(cycle: HaulCycle, site: string, equipment: string): Parameters<typeof emitFeature>[1] {
  const { startMs, endMs, values, shovel, load, dump, dumpType, payloadMeasured } = cycle;
  const labels = { shovel, load, dump, dumpType, payload: payloadMeasured ? "measured" : "assumed" };
  return { feature: "mine.cycle", site, key: `${site}/${equipment}`, startMs, endMs, values, labels, scores: {} };
}

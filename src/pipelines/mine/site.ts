import { HOUR_MS, MINUTE_MS, type Origin } from "../../core/index.js";
import {
  type Clearance,
  type DriftState,
  driftWatch,
  type FuelBalance,
  fuelLedger,
  incidents,
  type ProcessFunction,
  pipeline,
  type ShovelNews,
  type Sighting,
  type Silence,
  shovelWatch,
} from "../../operators/index.js";
import { alerts, anomalies, type FeatureRow, type Finding, features, plain, report, sightingOf } from "../report.js";
import { type PlanNews, planner, planRequests } from "./planner.js";
import { readAhead, type SiteEvent, type SiteRecord, siteSource } from "./site-input.js";

const NAME = "mine.site";
const VERSION = 2;
const SPEAKER = { pipeline: NAME, domain: "mine" } as const;
const MAX_SITES = 100;
const MAX_TRUCKS = 10_000;
/** An hour without a load and four times its usual gap, of a shovel that made sixteen in the three hours before. */
const SILENCE = { leastSilenceMs: HOUR_MS, gaps: 4, leastLoads: 16, recentMs: 3 * HOUR_MS, maxSites: MAX_SITES };
/** A shovel silent for half a day was taken out of service: nobody waits for it any more. */
const SILENT = { rule: "shovel-silent", quietMs: 12 * HOUR_MS, maxKeys: 10_000 };
/** One refuelling says little (a spread of 12 %): at least sixteen on each side of a change, tested at every eighth. */
const FUEL = driftWatch({ delta: 0.002, clock: 8, minWindow: 16, spread: 0.12 });
const FUEL_QUIET_MS = 24 * HOUR_MS;
const SHOWN_REFUELS = 8;

type Load = SiteEvent & { readonly kind: "load" };
type Cycle = SiteEvent & { readonly kind: "cycle" };
type Refuel = SiteEvent & { readonly kind: "refuel" };

/** A mine as a whole: fuel against the model, shovels that fell silent, and requests for a new dispatch plan. */
export const site = pipeline(NAME, {
  summary: "haul cycles and refuellings of a site to fuel residuals, silent shovels and dispatch plan requests",
  version: VERSION,
  lookAhead: (messages, { inference }) => readAhead(messages, inference),
  late: ({ value }) => ({ domain: "mine", key: (value as SiteRecord).key }),
});

/** In event-time order by the marks of every telemetry task: how their messages interleave must never show. */
const events = site
  .from(siteSource)
  .inOrder("held", { order: ({ order }) => order })
  .map(eventOf);
const cycles = events.filter(isCycle);

const shovels = events.filter(isLoad).keyBy(siteOf, { local: true }).process("shovels", shovelWatch(SILENCE));
shovels.flatMap(silencesIn).values().to(anomalies(SPEAKER));
shovels
  .flatMap(silenceNews)
  .values()
  .keyBy(shovelOf, { local: true })
  .process(SILENT.rule, incidents({ ...SPEAKER, ...SILENT }))
  .to(alerts(SPEAKER));

const refuels = events
  .filter(isFuel)
  .keyBy(truckOf, { local: true })
  .process("ledger", fuelLedger<Cycle | Refuel>({ maxTrucks: MAX_TRUCKS }));
refuels.flatMap(residual).to(features(SPEAKER));
const drifts = refuels.values().keyBy(refuelledSite, { local: true }).process("fuelResiduals", fuelDrift());
report(drifts.values(), SPEAKER, { rule: "fuel-drift", quietMs: FUEL_QUIET_MS, maxKeys: MAX_SITES });

cycles
  .flatMap(measuredCycle)
  .union(shovels.map(shovelNews).values(), drifts.map(driftNews).values())
  .keyBy(siteOf, { local: true })
  .map(planNews)
  .process("plans", planner({ maxSites: MAX_SITES }))
  .to(planRequests);

function eventOf({ event }: SiteRecord): SiteEvent {
  return event;
}

function isLoad(event: SiteEvent): event is Load {
  return event.kind === "load";
}

function isCycle(event: SiteEvent): event is Cycle {
  return event.kind === "cycle";
}

function isFuel(event: SiteEvent): event is Cycle | Refuel {
  return event.kind !== "load";
}

function siteOf({ site }: { readonly site: string }): string {
  return site;
}

function truckOf({ site, truck }: Cycle | Refuel): string {
  return JSON.stringify([site, truck]);
}

function shovelOf({ key }: Sighting | Clearance): string {
  return key;
}

function refuelledSite({ refuel }: Refuelled): string {
  return refuel.site;
}

function planNews({ news }: SiteNews): PlanNews {
  return news;
}

interface Where {
  readonly key: string;
  readonly timeMs: number;
}

function silencesIn({ silent }: ShovelNews, emit: (finding: Finding) => void, at: Where): void {
  for (const silence of silent) emit(findingOf(silence, at));
}

function silenceNews({ resumed, silent }: ShovelNews, emit: (news: Sighting | Clearance) => void, at: Where): void {
  if (resumed !== undefined) emit({ kind: "clearance", key: `${at.key}/${resumed}`, timeMs: at.timeMs });
  for (const silence of silent) emit(sightingOf(findingOf(silence, at)));
}

function titleOf({ shovel, silentMs, medianGapMs }: Silence): string {
  const usualMin = medianGapMs / MINUTE_MS;
  const usual = usualMin < 1 ? "several a minute" : `one every ${plain(usualMin)} min`;
  return `${shovel}: no load for ${plain(silentMs / MINUTE_MS)} min while others work, usually ${usual}`;
}

function findingOf(silence: Silence, { key: name, timeMs: endMs }: Where): Finding {
  const { shovel, sinceMs: startMs, silentMs, limitMs, evidence } = silence;
  return {
    ...{ feature: "mine.load", site: name, key: `${name}/${shovel}`, startMs, endMs, evidence },
    ...{ detector: "silence", score: silentMs / limitMs, threshold: 1, value: silentMs / MINUTE_MS },
    ...{ expected: { low: 0, high: limitMs / MINUTE_MS }, labels: { shovel } },
    ...{ severity: "warning", title: titleOf(silence) },
  };
}

interface Refuelled {
  readonly refuel: Refuel;
  readonly balance: FuelBalance | undefined;
}

function residual({ refuel, balance }: Refuelled, emit: (row: FeatureRow) => void): void {
  if (balance === undefined) return;
  const { startMs, endMs, litres, predictedL, cycles, residualRatio } = balance;
  const { site, truck } = refuel;
  const values = { litres, predictedL, cycles, residualL: litres - predictedL, residualRatio };
  const about = { feature: "mine.fuel-residual", site, key: `${site}/${truck}`, startMs, endMs };
  emit({ ...about, values, labels: {}, scores: {} });
}

interface FuelState {
  readonly drift: DriftState;
  /** The site's last refuellings, trusted or not. */
  readonly refuels: readonly Origin[];
}

/** ADWIN over a site's fuel residuals. */
function fuelDrift(): ProcessFunction<string, Refuelled, FuelState, Finding> {
  return {
    ttlMs: Number.POSITIVE_INFINITY,
    maxKeys: MAX_SITES,
    init: () => ({ drift: FUEL.fresh, refuels: [] }),
    onEvent(before, { refuel, balance }, at) {
      const refuels = [...before.refuels, refuel.origin].slice(-SHOWN_REFUELS);
      if (balance === undefined) return { ...before, refuels };
      const { state, drift } = FUEL.next(before.drift, balance.residualRatio);
      if (drift !== undefined) {
        const { score, meanBefore, meanAfter: value } = drift;
        const { startMs, endMs } = balance;
        at.emit({
          ...{
            feature: "mine.fuel-residual",
            site: at.key,
            key: at.key,
            startMs,
            endMs,
            evidence: refuels,
            labels: {},
          },
          ...{ detector: "adwin", score, threshold: 1, value, expected: { low: meanBefore, high: meanBefore } },
          severity: value > meanBefore ? "warning" : "info",
          title: `${at.key}: trucks take ${morePercent(value)} fuel than predicted, before ${morePercent(meanBefore)}`,
        });
      }
      return { drift: state, refuels };
    },
  };
}

function morePercent(ratio: number): string {
  return `${plain(Math.abs(100 * ratio))} % ${ratio < 0 ? "less" : "more"}`;
}

interface SiteNews {
  readonly site: string;
  readonly news: PlanNews;
}

/** A cycle the model had no litres for cannot be planned with. */
function measuredCycle(
  { site, truck, shovel, dump, values, litres }: Cycle,
  emit: (news: SiteNews) => void,
  { timeMs: endMs }: { readonly timeMs: number },
): void {
  if (litres === null) return;
  const minutes = (hours = 0): number => hours * 60;
  const cycle = {
    truck,
    shovel,
    dump,
    endMs,
    litres,
    payloadT: values.payloadT ?? 0,
    travelMin: minutes(values.travelEmptyH) + minutes(values.travelFullH),
    atShovelMin: minutes(values.atShovelH),
    atDumpMin: minutes(values.atDumpH),
  };
  emit({ site, news: { kind: "cycle", cycle } });
}

function shovelNews({ resumed, silent }: ShovelNews, { key: site }: { readonly key: string }): SiteNews {
  const reasons = silent.map((silence) => ({ shovel: silence.shovel, reason: titleOf(silence) }));
  return { site, news: { kind: "shovels", resumed, silent: reasons } };
}

function driftNews({ site, title: reason }: Finding): SiteNews {
  return { site, news: { kind: "fuel-drift", reason } };
}

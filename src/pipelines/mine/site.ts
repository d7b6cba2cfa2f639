import {
  type Counters,
  type Emit,
  encodeToken,
  HOUR_MS,
  MINUTE_MS,
  type Origin,
  type Pipeline,
  type Program,
  type TaskContext,
} from "../../core/index.js";
import {
  driftWatch,
  type FuelBalance,
  fuelLedger,
  incidents,
  inOrder,
  keyed,
  lastHour,
  loadState,
  type Silence,
  type Stateful,
  saveState,
  shovelWatch,
  stageMarks,
} from "../../operators/index.js";
import { emitFeature, emitFinding, plain, type Speaker, sayTo } from "../report.js";
import { kindOf } from "../subject.js";
import { planner } from "./planner.js";
import { markOf, readAhead, type SiteEvent, type SiteInput } from "./site-input.js";

const NAME = "mine.site";
const VERSION = 1;
const PRODUCER = "mine.telemetry";
const MAX_SITES = 100;
/** An hour without a load and four times its usual gap, of a shovel that made sixteen in the three hours before. */
const SILENCE = { leastSilenceMs: HOUR_MS, gaps: 4, leastLoads: 16, recentMs: 3 * HOUR_MS, maxSites: MAX_SITES };
/** A shovel silent for half a day was taken out of service: nobody waits for it any more. */
const OUT_OF_SERVICE_MS = 12 * HOUR_MS;
/** One refuelling says little (a spread of 12 %): at least sixteen on each side of a change, tested at every eighth. */
const FUEL = { delta: 0.002, clock: 8, minWindow: 16, spread: 0.12, maxKeys: MAX_SITES };
const FUEL_QUIET_MS = 24 * HOUR_MS;
const SHOWN_REFUELS = 8;

/** A mine as a whole: fuel against the model, shovels that fell silent, and requests for a new dispatch plan. */
export const site: Pipeline = {
  name: NAME,
  summary: "haul cycles and refuellings of a site to fuel residuals, silent shovels and dispatch plan requests",
  source: "features",
  writes: ["features", "alerts", "plans", "late"],
  version: VERSION,
  steps: [
    {
      name: "features",
      kind: "source",
      detail: "features.<p>: loads, cycles and refuellings of mine.telemetry, its marks",
    },
    { name: "litres", kind: "predict", detail: "ONNX litres-per-cycle over the cycles of a slice, in one batch" },
    {
      name: "held",
      kind: "operator",
      detail: "event-time order, by the marks of every mine.telemetry task",
      to: ["late"],
    },
    { name: "shovels", kind: "operator", detail: "silence of a shovel in the working time of its site" },
    {
      name: "ledger",
      kind: "operator",
      detail: "predicted litres of each truck since its last refuelling",
      to: ["features"],
    },
    { name: "fuelDrift", kind: "score", detail: "ADWIN over the site's fuel residuals", to: ["features"] },
    { name: "silences", kind: "alert", detail: "shovel-silent, resolved when it loads again", to: ["alerts"] },
    { name: "drifts", kind: "alert", detail: "fuel-drift, over after a quiet day", to: ["alerts"] },
    {
      name: "plans",
      kind: "sink",
      detail: "the last hour's routes, at most every 30 min unless another shovel",
      to: ["plans"],
    },
  ],
  create: (context) => createSite(context),
};

function createSite({ partition, partitions, inference }: TaskContext): Program {
  const speaker: Speaker = { pipeline: NAME, domain: "mine", partition };
  const marks = stageMarks(Array.from({ length: partitions }, (_, p) => `${PRODUCER}/${p}`));
  const held = inOrder<SiteEvent>();
  const shovels = shovelWatch(SILENCE);
  const ledger = fuelLedger({ maxTrucks: 10_000 });
  const hour = lastHour({ maxSites: MAX_SITES });
  const fuelDrift = driftWatch(FUEL);
  const lastRefuels = keyed<Origin[]>({
    maxKeys: MAX_SITES,
    create: () => [],
    save: (origins) => origins,
    load: (saved) => saved as Origin[],
  });
  const rule = { pipeline: NAME, domain: "mine" } as const;
  const silences = incidents({ ...rule, rule: "shovel-silent", quietMs: OUT_OF_SERVICE_MS, maxKeys: 10_000 });
  const drifts = incidents({ ...rule, rule: "fuel-drift", quietMs: FUEL_QUIET_MS, maxKeys: MAX_SITES });
  const plans = planner(hour, shovels, MAX_SITES);
  const counts = { received: 0, duplicates: 0, deadLettered: 0, late: 0, accepted: 0 } satisfies Counters;
  const operators: Record<string, Stateful> = {
    ...{ marks, held, shovels, ledger, hour, fuelDrift, lastRefuels, silences, drifts, plans },
    counts: { save: () => ({ ...counts }), load: (saved) => void Object.assign(counts, saved) },
  };

  function take(records: SiteInput, emit: Emit): void {
    for (const { id, timeMs, key, order, event } of records) {
      counts.received++;
      if (held.add(timeMs, order, event)) {
        counts.accepted++;
        continue;
      }
      counts.late++;
      const lateByMs = (marks.watermarkMs() ?? timeMs) - timeMs;
      const record = {
        kind: "late",
        pipeline: NAME,
        domain: "mine",
        key,
        eventId: id,
        tsMs: timeMs,
        lateByMs,
      } as const;
      emit({ stream: "late", subject: `late.${encodeToken(NAME)}`, record });
    }
  }

  function happen(timeMs: number, event: SiteEvent, emit: Emit): void {
    if (event.kind === "load") loaded(timeMs, event, emit);
    else if (event.kind === "cycle") finished(timeMs, event, emit);
    else refuelled(timeMs, event, emit);
  }

  function loaded(timeMs: number, { site: name, shovel, origin }: SiteEvent & { kind: "load" }, emit: Emit): void {
    const { resumed, silent } = shovels.loaded(name, shovel, timeMs, origin);
    if (resumed) silences.resolve(`${name}/${shovel}`, timeMs, sayTo(speaker, emit));
    for (const silence of silent) fellSilent(name, timeMs, silence, emit);
  }

  function fellSilent(name: string, timeMs: number, silence: Silence, emit: Emit): void {
    const { shovel, sinceMs, silentMs, medianGapMs, limitMs, evidence } = silence;
    const [silentMin, usualMin] = [silentMs / MINUTE_MS, medianGapMs / MINUTE_MS];
    const usual = usualMin < 1 ? "several a minute" : `one every ${plain(usualMin)} min`;
    const title = `${shovel}: no load for ${plain(silentMin)} min while others work, usually ${usual}`;
    const finding = {
      ...{
        feature: "mine.load",
        site: name,
        key: `${name}/${shovel}`,
        startMs: sinceMs,
        endMs: timeMs,
        evidence,
        title,
      },
      ...{
        detector: "silence",
        score: silentMs / limitMs,
        threshold: 1,
        value: silentMin,
        severity: "warning" as const,
      },
      ...{ expected: { low: 0, high: limitMs / MINUTE_MS }, labels: { shovel } },
    };
    emitFinding(speaker, finding, silences, emit);
    plans.ask(name, timeMs, { kind: "shovel-silent", key: shovel }, title, emit);
  }

  function finished(timeMs: number, event: SiteEvent & { kind: "cycle" }, emit: Emit): void {
    const { site: name, truck, shovel, dump, values, litres } = event;
    ledger.burn(`${name}/${truck}`, timeMs, litres ?? undefined);
    if (litres === null) return;
    const minutes = (hours = 0): number => hours * 60;
    hour.add(name, {
      ...{ truck, shovel, dump, endMs: timeMs, litres, payloadT: values.payloadT ?? 0 },
      travelMin: minutes(values.travelEmptyH) + minutes(values.travelFullH),
      atShovelMin: minutes(values.atShovelH),
      atDumpMin: minutes(values.atDumpH),
    });
    plans.start(name, timeMs, emit);
  }

  function refuelled(timeMs: number, event: SiteEvent & { kind: "refuel" }, emit: Emit): void {
    const { site: name, truck, litres, origin } = event;
    const balance = ledger.refuel(`${name}/${truck}`, timeMs, litres);
    const shown = lastRefuels.at(name, timeMs);
    shown.push(origin);
    if (shown.length > SHOWN_REFUELS) shown.shift();
    if (balance !== undefined) balanced(name, truck, balance, shown, emit);
  }

  function balanced(name: string, truck: string, balance: FuelBalance, refuels: readonly Origin[], emit: Emit): void {
    const { startMs, endMs, litres, predictedL, cycles, residualRatio } = balance;
    const values = { litres, predictedL, cycles, residualL: litres - predictedL, residualRatio };
    const feature = "mine.fuel-residual";
    emitFeature(
      speaker,
      { feature, site: name, key: `${name}/${truck}`, startMs, endMs, values, labels: {}, scores: {} },
      emit,
    );
    const drift = fuelDrift.process(name, endMs, residualRatio);
    if (drift === undefined) return;
    const { score, meanBefore, meanAfter: value } = drift;
    const title = `${name}: trucks take ${morePercent(value)} fuel than predicted, before ${morePercent(meanBefore)}`;
    const finding = {
      ...{ feature, site: name, key: name, startMs, endMs, evidence: [...refuels], title, labels: {} },
      ...{ detector: "adwin", score, threshold: 1, value, expected: { low: meanBefore, high: meanBefore } },
      severity: value > meanBefore ? ("warning" as const) : ("info" as const),
    };
    emitFinding(speaker, finding, drifts, emit);
    plans.ask(name, endMs, { kind: "fuel-drift", key: name }, title, emit);
  }

  return {
    lookAhead: (messages) => readAhead(messages, inference),
    apply(message, ahead, emit) {
      if (kindOf(message) === "event") return take(ahead as SiteInput, emit);
      const mark = kindOf(message) === "mark" ? markOf(message) : undefined;
      if (mark === undefined || !marks.mark(mark.task, mark.watermarkMs)) return;
      const watermarkMs = marks.watermarkMs() as number;
      held.drain(watermarkMs, (timeMs, event) => happen(timeMs, event, emit));
      silences.advance(watermarkMs, sayTo(speaker, emit));
      drifts.advance(watermarkMs, sayTo(speaker, emit));
    },
    counters: () => ({ ...counts }),
    watermarkMs: marks.watermarkMs,
    save: () => saveState(NAME, VERSION, operators),
    load: (state) => loadState(state, NAME, VERSION, operators),
  };
}

function morePercent(ratio: number): string {
  return `${plain(Math.abs(100 * ratio))} % ${ratio < 0 ? "less" : "more"}`;
}

import { DAY_MS, type Emit } from "../../core/index.js";
import {
  approvals,
  type DriftWatch,
  driftWatch,
  incidents,
  type LofScore,
  lofScorer,
  median,
  type RepositoryDay,
  type RepositoryEvent,
  repositoryDay,
  type Stateful,
  tumbling,
  type WindowResult,
} from "../../operators/index.js";
import { emitFeature, emitFinding, type Finding, plain, type Speaker, sayTo, severityOf } from "../report.js";

const FEATURE = "github.day";
/** Repositories watched at once, per partition. */
const MAX_REPOSITORIES = 2_000;
const MAX_OPEN_PULL_REQUESTS = 20_000;
/** A repository's last 128 active days, the nearest eight of them; judged from the 22nd on. */
const UNUSUAL_DAY = {
  ...{ window: 128, neighbours: 8, warmUp: 21, threshold: 1.5, maxKeys: MAX_REPOSITORIES },
  ...{ leastSpreads: 2.5, leastSpread: 1 },
};
/** A test every fourth merge: two means of at least eight pull requests. Waiting times spread by a factor of e or more. */
const WAITING = { delta: 0.002, clock: 4, minWindow: 8, spread: 1, maxKeys: MAX_REPOSITORIES };

/** What a day is compared by. */
const COMPARED = [
  { name: "opened", text: "pull requests opened" },
  { name: "merged", text: "pull requests merged" },
  { name: "reviews", text: "reviews" },
  { name: "commits", text: "commits" },
  { name: "actors", text: "people active" },
] as const;

/**
 * Counts are compared by their root: whatever a count's size, chance alone then moves it by about 1 (hence `leastSpread`).
 * Source: Anscombe, Biometrika 35, 1948.
 */
const anscombe = (count: number): number => 2 * Math.sqrt(count + 3 / 8);
const countOf = (root: number): number => Math.max(0, (Math.max(0, root) / 2) ** 2 - 3 / 8);

type DayOver = WindowResult<RepositoryDay>;
type Common = Pick<Finding, "feature" | "site" | "key" | "startMs" | "endMs" | "evidence">;

export interface RepositoryBranch {
  readonly operators: Readonly<Record<string, Stateful>>;
  /** How late the event is, ms, when its day is over; undefined when it counted. */
  take(repository: string, event: RepositoryEvent): number | undefined;
  /** Notes that somebody else than its author approved the pull request. */
  approve(repository: string, number: number, timeMs: number): void;
  advance(watermarkMs: number, emit: Emit): void;
}

/** Repositories by the day: features, unusual days, and changes of how long merging takes. */
export function repositoryBranch(speaker: Speaker): RepositoryBranch {
  const approved = approvals({ maxOpen: MAX_OPEN_PULL_REQUESTS });
  const days = tumbling(DAY_MS, repositoryDay);
  const unusual = lofScorer({ width: COMPARED.length, ...UNUSUAL_DAY });
  const approvalTimes = driftWatch(WAITING);
  const cycleTimes = driftWatch(WAITING);
  const rule = { pipeline: speaker.pipeline, domain: speaker.domain, maxKeys: MAX_REPOSITORIES };
  const unusualDays = incidents({ ...rule, rule: "unusual-day", quietMs: 3 * DAY_MS });
  const mergeTimes = incidents({ ...rule, rule: "merge-time-changed", quietMs: 7 * DAY_MS });

  function dayIsOver({ key, startMs, endMs, result }: DayOver, emit: Emit): void {
    const site = key.slice(0, key.indexOf("/"));
    const { merges, evidence } = result;
    const waits = merges.map(({ number, timeMs }) => approved.hoursToMerge(key, number, timeMs));
    const approvalHoursP50 = median(waits.filter((hours) => hours !== undefined));
    const values: Record<string, number> = { ...result.values };
    if (approvalHoursP50 !== undefined) values.approvalHoursP50 = approvalHoursP50;
    const vector = COMPARED.map(({ name }) => anscombe(values[name] ?? 0));
    const found = unusual.process(key, endMs, vector);
    const scores: Record<string, number> = found === undefined ? {} : { lof: found.score };
    emitFeature(speaker, { feature: FEATURE, site, key, startMs, endMs, values, labels: {}, scores }, emit);

    const common: Common = { feature: FEATURE, site, key, startMs, endMs, evidence };
    if (found?.isAnomaly) emitFinding(speaker, unusualDay(common, values, found), unusualDays, emit);
    merges.forEach(({ timeMs, cycleH }, i) => {
      watchWaiting(approvalTimes, "approval to merge", common, timeMs, waits[i], emit);
      watchWaiting(cycleTimes, "opening to merge", common, timeMs, cycleH, emit);
    });
  }

  function watchWaiting(
    watch: DriftWatch,
    span: string,
    common: Common,
    timeMs: number,
    hours: number | undefined,
    emit: Emit,
  ): void {
    // On a log scale: waiting has no scale of its own, and one pull request left for a year must not outweigh a hundred.
    const drift = hours === undefined ? undefined : watch.process(common.key, timeMs, Math.log1p(hours));
    if (drift === undefined) return;
    const before = Math.expm1(drift.meanBefore);
    const value = Math.expm1(drift.meanAfter);
    const finding: Finding = {
      ...common,
      ...{ detector: "adwin", score: drift.score, threshold: 1, value, expected: { low: before, high: before } },
      severity: value > before ? "warning" : "info",
      title: `${common.key}: ${span} now takes typically ${duration(value)}, before ${duration(before)}`,
      labels: { repository: common.key, measure: span },
    };
    emitFinding(speaker, finding, mergeTimes, emit);
  }

  return {
    operators: { approved, days, unusual, approvalTimes, cycleTimes, unusualDays, mergeTimes },
    take: (repository, event) => days.add(repository, event.timeMs, event),
    approve: approved.approve,
    advance(watermarkMs, emit) {
      days.advance(watermarkMs, (day) => dayIsOver(day, emit));
      unusualDays.advance(watermarkMs, sayTo(speaker, emit));
      mergeTimes.advance(watermarkMs, sayTo(speaker, emit));
    },
  };
}

function unusualDay(common: Common, values: Readonly<Record<string, number>>, found: LofScore): Finding {
  const { score, mostUnusual, usual } = found;
  const { name, text } = COMPARED[mostUnusual] as (typeof COMPARED)[number];
  const { threshold } = UNUSUAL_DAY;
  const value = values[name] ?? 0;
  const expected = { low: Math.ceil(countOf(usual.low)), high: Math.floor(countOf(usual.high)) };
  return {
    ...common,
    ...{ detector: "lof", score, threshold, value, expected, severity: severityOf(score, threshold) },
    title: `${common.key}: ${value} ${text} in a day, usually ${expected.low} to ${expected.high}`,
    labels: { repository: common.key, measure: name },
  };
}

/** Hours as people say them. */
function duration(hours: number): string {
  if (hours < 2) return `${Math.round(hours * 60)} min`;
  return hours < 48 ? `${plain(hours)} h` : `${plain(hours / 24)} days`;
}

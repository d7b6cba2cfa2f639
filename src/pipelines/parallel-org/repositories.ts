import { DAY_MS, type Origin } from "../../core/index.js";
import {
  type Approval,
  approvals,
  type DriftState,
  driftWatch,
  type LofScore,
  lofModel,
  type Merge,
  median,
  type ProcessFunction,
  type RepositoryEvent,
  type Results,
  repositoryDay,
  repositoryWindow,
  type Stream,
  tumbling,
  type WindowRow,
} from "../../operators/index.js";
import { type FeatureRow, type Finding, features, plain, report, type Speaker, severityOf } from "../report.js";
import { type Limited, limited, type Thresholds, thresholdOf } from "../thresholds.js";

const FEATURE = "github.day";
/** Repositories watched at once, per partition. */
const MAX_REPOSITORIES = 2_000;
/** Of one repository, approved and not merged yet. */
const MAX_OPEN_PULL_REQUESTS = 1_000;
/** A repository's last 128 active days, the nearest eight of them; judged from the 22nd on. */
const UNUSUAL_DAY = {
  ...{ window: 128, neighbours: 8, warmUp: 21 },
  ...{ leastSpreads: 2.5, leastSpread: 1 },
};
/** A test every fourth merge: two means of at least eight pull requests. Waiting times spread by a factor of e or more. */
const WAITING = driftWatch({ delta: 0.002, clock: 4, minWindow: 8, spread: 1 });

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

/** Something that happened to a repository, and the pull request it approved, if it did. */
export interface RepositoryNews {
  readonly repository: string;
  readonly event: RepositoryEvent;
  readonly approved: number | undefined;
}

/** A day of a repository that is over. */
interface Day {
  readonly kind: "day";
  readonly repository: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly values: Readonly<Record<string, number>>;
  readonly merges: readonly Merge[];
  readonly evidence: readonly Origin[];
}

/** Hours somebody waited for a merge. */
interface Waited {
  readonly day: Day;
  readonly span: "approval to merge" | "opening to merge";
  readonly hours: number;
}

/** Repositories by the day: features, unusual days, and changes of how long merging takes. */
export function repositories(news: Stream<RepositoryNews>, speaker: Speaker, limits: Thresholds<"unusual-day">): void {
  const overDays = news
    .keyBy(repositoryOf, { local: true })
    .map(eventOf)
    .window("days", tumbling({ sizeMs: DAY_MS }))
    .aggregate(repositoryWindow)
    .map(dayOf);
  const measured = news
    .flatMap(approvalsIn)
    .union(overDays.map(withRepository).values())
    .keyBy(repositoryOf, { local: true })
    .map(approvalOrDay)
    .process("approvals", approvals<Day>({ maxRepositories: MAX_REPOSITORIES, maxOpen: MAX_OPEN_PULL_REQUESTS }))
    .map(withApprovalTime);

  const scored = limited(measured, limits, "unusual-day").score("dayScores", {
    model: () =>
      lofModel<Limited<Day>>({
        ...{ width: COMPARED.length, ...UNUSUAL_DAY, thresholdOf },
        vectorOf: ({ value: day }) => vectorOf(day),
      }),
    maxKeys: MAX_REPOSITORIES,
    combine: ({ value: day, threshold }, found) => ({ day, threshold, found }),
  });
  scored.map(featureOf).to(features(speaker));
  report(scored.flatMap(unusualDay).values(), speaker, {
    ...{ rule: "unusual-day", quietMs: 3 * DAY_MS, maxKeys: MAX_REPOSITORIES },
  });

  const changes = measured
    .flatMap(waitsOf)
    .values()
    .keyBy(repositoryAndSpan, { local: true })
    .process("waiting", waiting);
  report(changes.values(), speaker, { rule: "merge-time-changed", quietMs: 7 * DAY_MS, maxKeys: MAX_REPOSITORIES });
}

function repositoryOf({ repository }: { readonly repository: string }): string {
  return repository;
}

function eventOf({ event }: RepositoryNews): RepositoryEvent {
  return event;
}

function approvalOrDay({ news }: Filed): Approval | Day {
  return news;
}

function repositoryAndSpan({ day, span }: Waited): string {
  return JSON.stringify([day.repository, span]);
}

interface Filed {
  readonly repository: string;
  readonly news: Approval | Day;
}

function approvalsIn({ repository, event, approved: number }: RepositoryNews, emit: (filed: Filed) => void): void {
  if (number !== undefined) emit({ repository, news: { kind: "approval", number, timeMs: event.timeMs } });
}

function withRepository(day: Day): Filed {
  return { repository: day.repository, news: day };
}

function dayOf(row: WindowRow<string, Results<typeof repositoryWindow>>): Day {
  const { key: repository, startMs, endMs, evidence } = row;
  return { kind: "day", repository, startMs, endMs, ...repositoryDay(row), evidence };
}

type Measured = Day & { readonly waits: readonly (number | undefined)[] };

function withApprovalTime(day: Measured): Measured {
  const approvalHoursP50 = median(day.waits.filter((hours) => hours !== undefined));
  return approvalHoursP50 === undefined ? day : { ...day, values: { ...day.values, approvalHoursP50 } };
}

function vectorOf({ values }: Day): readonly number[] {
  return COMPARED.map(({ name }) => anscombe(values[name] ?? 0));
}

interface Scored {
  readonly day: Day;
  readonly threshold: number;
  readonly found: LofScore | undefined;
}

const aboutOf = ({ repository: key, startMs, endMs }: Day) => {
  return { feature: FEATURE, site: key.slice(0, key.indexOf("/")), key, startMs, endMs };
};

function featureOf({ day, found }: Scored): FeatureRow {
  const scores: Record<string, number> = found === undefined ? {} : { lof: found.score };
  return { ...aboutOf(day), values: day.values, labels: {}, scores };
}

function unusualDay({ day, threshold, found }: Scored, emit: (finding: Finding) => void): void {
  if (!found?.isAnomaly) return;
  const { score, mostUnusual, usual } = found;
  const { name, text } = COMPARED[mostUnusual] as (typeof COMPARED)[number];
  const value = day.values[name] ?? 0;
  const expected = { low: Math.ceil(countOf(usual.low)), high: Math.floor(countOf(usual.high)) };
  emit({
    ...aboutOf(day),
    ...{ detector: "lof", score, threshold, value, expected, severity: severityOf(score, threshold) },
    title: `${day.repository}: ${value} ${text} in a day, usually ${expected.low} to ${expected.high}`,
    labels: { repository: day.repository, measure: name },
    evidence: day.evidence,
  });
}

function waitsOf(day: Measured, emit: (waited: Waited) => void): void {
  day.merges.forEach(({ cycleH }, i) => {
    const hours = day.waits[i];
    if (hours !== undefined) emit({ day, span: "approval to merge", hours });
    emit({ day, span: "opening to merge", hours: cycleH });
  });
}

const waiting: ProcessFunction<string, Waited, DriftState, Finding> = {
  ttlMs: Number.POSITIVE_INFINITY,
  maxKeys: 2 * MAX_REPOSITORIES,
  init: () => WAITING.fresh,
  onEvent(before, { day, span, hours }, at) {
    // On a log scale: waiting has no scale of its own, and one pull request left for a year must not outweigh a hundred.
    const { state, drift } = WAITING.next(before, Math.log1p(hours));
    if (drift === undefined) return state;
    const usual = Math.expm1(drift.meanBefore);
    const value = Math.expm1(drift.meanAfter);
    at.emit({
      ...aboutOf(day),
      ...{ detector: "adwin", score: drift.score, threshold: 1, value, expected: { low: usual, high: usual } },
      severity: value > usual ? "warning" : "info",
      title: `${day.repository}: ${span} now takes typically ${duration(value)}, before ${duration(usual)}`,
      labels: { repository: day.repository, measure: span },
      evidence: day.evidence,
    });
    return state;
  },
};

/** Hours as people say them. */
function duration(hours: number): string {
  if (hours < 2) return `${Math.round(hours * 60)} min`;
  return hours < 48 ? `${plain(hours)} h` : `${plain(hours / 24)} days`;
}

import { HOUR_MS, type Origin } from "../../core/index.js";
import { count, custom, distinctExact, type Results, sumIntegers } from "../engine/index.js";
import { evidence } from "../features/extremes.js";
import { median } from "../features/quantile.js";

/** What happened to a repository, reduced to what the features read. */
export interface RepositoryEvent {
  readonly kind: "opened" | "merged" | "closed" | "reviewed" | "pushed" | "commented" | "other";
  readonly eventId: string;
  readonly timeMs: number;
  readonly origin: Origin;
  readonly actor: string;
  readonly isBot: boolean;
  /** Of the pull request, where there is one. */
  readonly number?: number;
  /** When the pull request was created, of a merge. */
  readonly createdMs?: number;
  /** Commits of a push to a branch other than the default one, or of any push where that is unknown. */
  readonly commits?: number;
  /** Commits of a push inside and outside 09-18 on working days, where the author's local time is known. */
  readonly localHours?: { readonly inside: number; readonly outside: number };
}

/** A merged pull request of the day. */
export interface Merge {
  readonly number: number;
  readonly timeMs: number;
  readonly eventId: string;
  readonly cycleH: number;
}

export interface RepositoryDay {
  /** Absent where there was nothing to measure: an empty day has no median, not a median of 0. */
  readonly values: Readonly<Record<string, number>>;
  /** By time. */
  readonly merges: readonly Merge[];
}

/** Reviews below which the top reviewer's share says nothing. */
const FEWEST_REVIEWS = 5;
/** Working hours are shown for groups only: fewer people would be somebody's diary. */
const FEWEST_PEOPLE = 5;

const countOf = (holds: (event: RepositoryEvent) => boolean) =>
  sumIntegers((event: RepositoryEvent) => (holds(event) ? 1 : 0));
const cycleHours = ({ timeMs, createdMs }: RepositoryEvent): number =>
  createdMs === undefined ? 0 : Math.max(0, timeMs - createdMs) / HOUR_MS;

/** Merged pull requests, by time. */
const merges = custom<RepositoryEvent, readonly Merge[], readonly Merge[]>({
  name: "merges",
  init: () => [],
  add(merges, event) {
    if (event.kind !== "merged") return merges;
    const { number = 0, timeMs, eventId } = event;
    return [...merges, { number, timeMs, eventId, cycleH: cycleHours(event) }];
  },
  result: (merges) => [...merges].sort((a, b) => a.timeMs - b.timeMs || (a.eventId < b.eventId ? -1 : 1)),
});

/** Reviews by people, and how many of them the busiest reviewer gave. By login, behind a prefix: a login may be `constructor`. */
const reviewers = custom<
  RepositoryEvent,
  Readonly<Record<string, number>>,
  { readonly reviews: number; readonly most: number }
>({
  name: "reviewers",
  init: () => ({}),
  add(tally, { kind, isBot, actor }) {
    if (kind !== "reviewed" || isBot) return tally;
    return { ...tally, [`@${actor}`]: (tally[`@${actor}`] ?? 0) + 1 };
  },
  result(tally) {
    const counts = Object.values(tally);
    return { reviews: counts.reduce((sum, n) => sum + n, 0), most: Math.max(0, ...counts) };
  },
});

/**
 * Aggregates: a repository's activity over one window: what was opened, merged, reviewed, pushed and said, and how it was shared.
 * Logins stay in the state; only sizes and shares leave it.
 */
export const repositoryWindow = {
  events: count(),
  opened: countOf(({ kind }) => kind === "opened"),
  closedUnmerged: countOf(({ kind }) => kind === "closed"),
  reviews: countOf(({ kind }) => kind === "reviewed"),
  comments: countOf(({ kind }) => kind === "commented"),
  pushes: countOf(({ kind }) => kind === "pushed"),
  commits: sumIntegers(({ commits = 0 }: RepositoryEvent) => commits),
  byBots: countOf(({ isBot }) => isBot),
  inside: sumIntegers(({ localHours }: RepositoryEvent) => localHours?.inside ?? 0),
  outside: sumIntegers(({ localHours }: RepositoryEvent) => localHours?.outside ?? 0),
  people: distinctExact(({ isBot, actor }: RepositoryEvent) => (isBot ? null : actor)),
  reviewers,
  merges,
  evidence: evidence((event: RepositoryEvent) => {
    return { value: cycleHours(event), timeMs: event.timeMs, eventId: event.eventId, origin: event.origin };
  }),
};

/**
 * What a day was: counts and shares, never a name. Medians in hours. `topReviewerShare01` from 5 reviews on, `afterHoursShare01` from 5
 * people on and only of commits that state a local time.
 *
 * Source: the definitions of shared metrics at CHAOSS (change request duration, absence factor).
 */
export function repositoryDay(row: Omit<Results<typeof repositoryWindow>, "evidence">): RepositoryDay {
  const { events, opened, closedUnmerged, reviews, comments, pushes, commits, byBots, inside, outside } = row;
  const { people, reviewers, merges } = row;
  const values: Record<string, number> = {
    ...{ opened, merged: merges.length, closedUnmerged, reviews, comments, pushes, commits, actors: people },
    ...{ humanShare01: (events - byBots) / events, botShare01: byBots / events },
  };
  const cycleHoursP50 = median(merges.map(({ cycleH }) => cycleH));
  if (cycleHoursP50 !== undefined) values.cycleHoursP50 = cycleHoursP50;
  if (reviewers.reviews >= FEWEST_REVIEWS) values.topReviewerShare01 = reviewers.most / reviewers.reviews;
  const timed = inside + outside;
  if (timed > 0 && people >= FEWEST_PEOPLE) values.afterHoursShare01 = outside / timed;
  return { values, merges };
}

import { HOUR_MS, type Origin } from "../../core/index.js";
import { addWitness, type Extremes, evidenceOf, noExtremes } from "../features/extremes.js";
import { median } from "../features/quantile.js";
import type { Aggregate } from "../windows/tumbling.js";

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

interface Day {
  opened: number;
  closedUnmerged: number;
  merges: Merge[];
  reviews: number;
  comments: number;
  pushes: number;
  commits: number;
  byPeople: number;
  byBots: number;
  people: Tally;
  reviewers: Tally;
  inside: number;
  outside: number;
  evidence: Extremes;
}

/** Counts by login, behind a prefix: a login may be `constructor`. Stays in the state; only sizes and shares leave it. */
type Tally = Record<string, number>;

export interface RepositoryDay {
  /** Absent where there was nothing to measure: an empty day has no median, not a median of 0. */
  readonly values: Readonly<Record<string, number>>;
  /** By time. */
  readonly merges: readonly Merge[];
  readonly evidence: readonly Origin[];
}

/** Reviews below which the top reviewer's share says nothing. */
const FEWEST_REVIEWS = 5;
/** Working hours are shown for groups only: fewer people would be somebody's diary. */
const FEWEST_PEOPLE = 5;

/**
 * A repository's activity over one window: what was opened, merged, reviewed, pushed and said, and how it was shared.
 *
 * Out: counts and shares, never a name. Medians in hours. `topReviewerShare01` from 5 reviews on, `afterHoursShare01` from 5
 *      people on and only of commits that state a local time.
 * Source: the definitions of shared metrics at CHAOSS (change request duration, absence factor).
 */
export const repositoryDay: Aggregate<RepositoryEvent, Day, RepositoryDay> = {
  init: () => ({
    ...{
      opened: 0,
      closedUnmerged: 0,
      merges: [],
      reviews: 0,
      comments: 0,
      pushes: 0,
      commits: 0,
      byPeople: 0,
      byBots: 0,
    },
    ...{ people: {}, reviewers: {}, inside: 0, outside: 0, evidence: noExtremes() },
  }),
  add(day, event) {
    const { kind, timeMs, eventId, origin } = event;
    const cycleH = event.createdMs === undefined ? 0 : Math.max(0, timeMs - event.createdMs) / HOUR_MS;
    if (event.isBot) day.byBots++;
    else {
      day.byPeople++;
      count(day.people, event.actor);
    }
    if (kind === "opened") day.opened++;
    else if (kind === "closed") day.closedUnmerged++;
    else if (kind === "merged") day.merges.push({ number: event.number ?? 0, timeMs, eventId, cycleH });
    else if (kind === "commented") day.comments++;
    else if (kind === "pushed") addPush(day, event);
    else if (kind === "reviewed") {
      day.reviews++;
      if (!event.isBot) count(day.reviewers, event.actor);
    }
    addWitness(day.evidence, { value: cycleH, timeMs, eventId, origin });
  },
  result(day) {
    const merges = [...day.merges].sort((a, b) => a.timeMs - b.timeMs || (a.eventId < b.eventId ? -1 : 1));
    const people = Object.keys(day.people).length;
    const values: Record<string, number> = {
      ...{ opened: day.opened, merged: merges.length, closedUnmerged: day.closedUnmerged, reviews: day.reviews },
      ...{ comments: day.comments, pushes: day.pushes, commits: day.commits, actors: people },
      ...{
        humanShare01: day.byPeople / (day.byPeople + day.byBots),
        botShare01: day.byBots / (day.byPeople + day.byBots),
      },
    };
    const cycleHoursP50 = median(merges.map(({ cycleH }) => cycleH));
    if (cycleHoursP50 !== undefined) values.cycleHoursP50 = cycleHoursP50;
    const reviewsByPeople = Object.values(day.reviewers);
    const reviews = reviewsByPeople.reduce((sum, n) => sum + n, 0);
    if (reviews >= FEWEST_REVIEWS) values.topReviewerShare01 = Math.max(...reviewsByPeople) / reviews;
    const timed = day.inside + day.outside;
    if (timed > 0 && people >= FEWEST_PEOPLE) values.afterHoursShare01 = day.outside / timed;
    return { values, merges, evidence: evidenceOf(day.evidence) };
  },
};

function addPush(day: Day, { commits = 0, localHours }: RepositoryEvent): void {
  day.pushes++;
  day.commits += commits;
  day.inside += localHours?.inside ?? 0;
  day.outside += localHours?.outside ?? 0;
}

function count(tally: Tally, login: string): void {
  const key = `@${login}`;
  tally[key] = (tally[key] ?? 0) + 1;
}

import {
  type AcceptedDelivery,
  DAY_MS,
  type Emit,
  type LogMessage,
  MINUTE_MS,
  type Pipeline,
  type Program,
  type TaskContext,
} from "../../core/index.js";
import {
  approvals,
  driftWatch,
  incidents,
  loadState,
  lofScorer,
  median,
  type RepositoryDay,
  repositoryDay,
  type Stateful,
  saveState,
  tumbling,
  type WindowResult,
} from "../../operators/index.js";
import { intake } from "../intake.js";
import { emitFeature, emitFinding, plain, type Speaker, sayTo, severityOf } from "../report.js";
import { kindOf, tickOf } from "../subject.js";
import { type Delivery, decodeDelivery } from "./delivery.js";
import { approvedNumber, repositoryEventOf } from "./repository-event.js";

const NAME = "parallel-org.activity";
const VERSION = 1;
const FEATURE = "github.day";

/** Webhooks overtake each other by seconds, redeliveries by days; five minutes wait for the former. */
const TIME = { disorderMs: 5 * MINUTE_MS, idleAfterMs: 10 * MINUTE_MS, maxAheadMs: DAY_MS };
/** Repositories watched at once, per partition. */
const MAX_REPOSITORIES = 2_000;
/** A repository's last half year of active days, the nearest six of them, judged after three weeks. */
const UNUSUAL_DAY = {
  window: 128,
  neighbours: 8,
  warmUp: 21,
  threshold: 1.5,
  leastSpreads: 2.5,
  leastSpread: 1,
  maxKeys: MAX_REPOSITORIES,
};
/** A test every fourth merge: two means of at least eight pull requests. */
const WAITING = { delta: 0.002, clock: 4, minWindow: 8, maxKeys: MAX_REPOSITORIES };

/** What a day is compared by. */
const COMPARED = [
  { name: "opened", text: "pull requests opened" },
  { name: "merged", text: "pull requests merged" },
  { name: "reviews", text: "reviews" },
  { name: "commits", text: "commits" },
  { name: "actors", text: "people active" },
] as const;

/**
 * Counts are compared by their root: whatever a count's size, chance alone then moves it by about 1.
 * Source: Anscombe, Biometrika 35, 1948.
 */
const anscombe = (count: number): number => 2 * Math.sqrt(count + 3 / 8);
const countOf = (root: number): number => Math.max(0, (Math.max(0, root) / 2) ** 2 - 3 / 8);

/** How people work together on each repository, from webhooks. Keyed by repository: no feature and no alert names a person. */
export const activity: Pipeline = {
  name: NAME,
  summary:
    "GitHub deliveries to daily activity of each repository, its unusual days and changes in how long merging takes",
  source: "github",
  writes: ["accepted", "features", "alerts", "dead", "late"],
  version: VERSION,
  steps: [
    { name: "deliveries", kind: "source", detail: "github.<p>: raw webhook bodies and ticks" },
    {
      name: "decode",
      kind: "operator",
      detail: "kind and id from GitHub's headers, event time from the object it is about",
    },
    { name: "seen", kind: "operator", detail: "duplicates by delivery id, 7 days" },
    {
      name: "validate",
      kind: "operator",
      detail: "JSON object with repository.full_name where the kind has one",
      to: ["dead"],
    },
    { name: "accept", kind: "sink", detail: "raw body and who, what, where, when", to: ["accepted"] },
    { name: "approvals", kind: "operator", detail: "first approval of each open pull request" },
    { name: "days", kind: "window", detail: "tumbling 1 day per repository", to: ["features", "late"] },
    { name: "unusual", kind: "score", detail: "LOF of the day among the repository's last 128", to: ["features"] },
    {
      name: "waiting",
      kind: "score",
      detail: "ADWIN over hours from approval (or opening) to merge",
      to: ["features"],
    },
    { name: "unusualDays", kind: "alert", detail: "unusual-day, over after 3 quiet days", to: ["alerts"] },
    { name: "mergeTimes", kind: "alert", detail: "merge-time-changed, over after 7 quiet days", to: ["alerts"] },
  ],
  create: (context) => createActivity(context),
};

function createActivity({ partition }: TaskContext): Program {
  const speaker: Speaker = { pipeline: NAME, domain: "github", partition };
  const door = intake({ pipeline: NAME, domain: "github", time: TIME, ahead: "accept" });
  const approved = approvals({ maxOpen: 20_000 });
  const days = tumbling(DAY_MS, repositoryDay);
  const unusual = lofScorer({ width: COMPARED.length, ...UNUSUAL_DAY });
  const approvalTimes = driftWatch(WAITING);
  const cycleTimes = driftWatch(WAITING);
  const rule = { pipeline: NAME, domain: "github", maxKeys: MAX_REPOSITORIES } as const;
  const unusualDays = incidents({ ...rule, rule: "unusual-day", quietMs: 3 * DAY_MS });
  const mergeTimes = incidents({ ...rule, rule: "merge-time-changed", quietMs: 7 * DAY_MS });
  const operators: Record<string, Stateful> = {
    ...{ ...door.operators, approved, days, unusual, approvalTimes, cycleTimes, unusualDays, mergeTimes },
  };

  function event(message: LogMessage, emit: Emit): void {
    const delivery = decodeDelivery(message);
    if (!door.admit({ ...delivery, identity: delivery.eventId, index: 0 }, message, emit)) return;
    const timeMs = timeOf(delivery);
    accept(delivery, timeMs, emit);
    if (delivery.repo === "") return;
    const repository = `${delivery.owner}/${delivery.repo}`;
    const number = approvedNumber(delivery);
    if (number !== undefined) approved.approve(repository, number, timeMs);
    const origin = { stream: "github", sequence: message.sequence, index: 0 };
    const lateByMs = days.add(repository, timeMs, repositoryEventOf(delivery, timeMs, origin));
    if (lateByMs !== undefined) {
      door.late({ domain: "github", key: repository, eventId: delivery.eventId, tsMs: timeMs, lateByMs }, emit);
    }
  }

  /** Its own time; the source's where it has none or one that cannot be (an author's clock may be years fast). */
  function timeOf({ source, tsMs }: Delivery): number {
    const nowMs = door.marks.sourceTimeMs(source);
    if (tsMs !== undefined && !door.marks.isAhead(source, tsMs)) return tsMs;
    return nowMs ?? tsMs ?? 0;
  }

  function accept(delivery: Delivery, tsMs: number, emit: Emit): void {
    const { eventId, source, event, action, owner, repo, actor, body } = delivery;
    const record: AcceptedDelivery = {
      kind: "delivery",
      eventId,
      source,
      event,
      action,
      owner,
      repo,
      actor,
      tsMs,
      body,
    };
    emit({ stream: "accepted", subject: `accepted.${partition}.github`, record, pack: true });
  }

  function advance(watermarkMs: number, emit: Emit): void {
    days.advance(watermarkMs, (day) => dayIsOver(day, emit));
    unusualDays.advance(watermarkMs, sayTo(speaker, emit));
    mergeTimes.advance(watermarkMs, sayTo(speaker, emit));
    door.advance(watermarkMs);
  }

  function dayIsOver({ key, startMs, endMs, result }: WindowResult<RepositoryDay>, emit: Emit): void {
    const site = key.slice(0, key.indexOf("/"));
    const waits = result.merges.map(({ number, timeMs }) => approved.hoursToMerge(key, number, timeMs));
    const approvalHoursP50 = median(waits.filter((hours) => hours !== undefined));
    const values: Record<string, number> = { ...result.values };
    if (approvalHoursP50 !== undefined) values.approvalHoursP50 = approvalHoursP50;
    const vector = COMPARED.map(({ name }) => anscombe(values[name] ?? 0));
    const found = unusual.process(key, endMs, vector);
    const scores: Record<string, number> = found === undefined ? {} : { lof: found.score };
    emitFeature(speaker, { feature: FEATURE, site, key, startMs, endMs, values, labels: {}, scores }, emit);

    const window = {
      feature: FEATURE,
      site,
      key,
      startMs,
      endMs,
      evidence: result.evidence,
      labels: { repository: key },
    };
    if (found?.isAnomaly) {
      const { score, mostUnusual, usual } = found;
      const { name, text } = COMPARED[mostUnusual] as (typeof COMPARED)[number];
      const value = values[name] ?? 0;
      const expected = { low: Math.ceil(countOf(usual.low)), high: Math.floor(countOf(usual.high)) };
      const title = `${key}: ${value} ${text} in a day, usually ${expected.low} to ${expected.high}`;
      const severity = severityOf(score, UNUSUAL_DAY.threshold);
      const labels = { ...window.labels, measure: name };
      emitFinding(
        speaker,
        {
          ...window,
          labels,
          detector: "lof",
          score,
          threshold: UNUSUAL_DAY.threshold,
          value,
          expected,
          severity,
          title,
        },
        unusualDays,
        emit,
      );
    }
    result.merges.forEach(({ timeMs, cycleH }, i) => {
      watchWaiting(approvalTimes, "approval to merge", window, timeMs, waits[i], emit);
      watchWaiting(cycleTimes, "opening to merge", window, timeMs, cycleH, emit);
    });
  }

  function watchWaiting(
    watch: typeof approvalTimes,
    span: string,
    window: {
      key: string;
      site: string;
      feature: string;
      startMs: number;
      endMs: number;
      evidence: RepositoryDay["evidence"];
      labels: Record<string, string>;
    },
    timeMs: number,
    hours: number | undefined,
    emit: Emit,
  ): void {
    // On a log scale: waiting has no scale of its own, and one pull request left for a year must not outweigh a hundred.
    const drift = hours === undefined ? undefined : watch.process(window.key, timeMs, Math.log1p(hours));
    if (drift === undefined) return;
    const before = Math.expm1(drift.meanBefore);
    const value = Math.expm1(drift.meanAfter);
    const title = `${window.key}: ${span} now takes typically ${duration(value)}, before ${duration(before)}`;
    const labels = { ...window.labels, measure: span };
    const finding = {
      ...window,
      labels,
      detector: "adwin",
      score: drift.score,
      threshold: 1,
      value,
      expected: { low: before, high: before },
    };
    emitFinding(speaker, { ...finding, severity: value > before ? "warning" : "info", title }, mergeTimes, emit);
  }

  return {
    apply(message, _ahead, emit) {
      const kind = kindOf(message);
      if (kind === "event") return event(message, emit);
      const tick = kind === "tick" ? tickOf(message) : undefined;
      if (tick === undefined || !door.marks.tick(tick)) return;
      advance(door.marks.watermarkMs() as number, emit);
    },
    counters: door.counters,
    watermarkMs: door.marks.watermarkMs,
    save: () => saveState(NAME, VERSION, operators),
    load: (state) => loadState(state, NAME, VERSION, operators),
  };
}

/** Hours as people say them. */
function duration(hours: number): string {
  if (hours < 2) return `${Math.round(hours * 60)} min`;
  return hours < 48 ? `${plain(hours)} h` : `${plain(hours / 24)} days`;
}

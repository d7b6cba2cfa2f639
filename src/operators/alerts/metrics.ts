import {
  type Alarm,
  type AlarmMetrics,
  DAY_MS,
  formatTime,
  HOUR_MS,
  hasRole,
  MINUTE_MS,
  parseTimeMs,
  type Role,
  SECOND_MS,
} from "../../core/index.js";
import type { ProcessFunction } from "../engine/index.js";
import { isShown } from "./states.js";
import { entriesOf, get, put, type Trie, trieOf } from "./trie.js";

/** The period the numbers are about, and the span that rates and floods are counted in (ISA-18.2). */
const PERIOD_MS = 30 * DAY_MS;
const SPAN_MS = 10 * MINUTE_MS;
const BUSY_SPAN = 10;
const BUSY_HOUR = 30;
/** A flood begins with a span of so many alarms an operator, and ends with one of fewer than that. */
const FLOOD_FROM = 10;
const FLOOD_BELOW = 5;
const CHATTER = { transitions: 3, withinMs: MINUTE_MS };
const FLEETING_MS = MINUTE_MS;
const STALE_MS = DAY_MS;
const TOP = 10;
/** How often the numbers are said when something has changed. */
const SAY_EVERY_MS = 10 * SECOND_MS;

export type MetricsNews =
  | { readonly kind: "alarm"; readonly alarm: Alarm }
  | { readonly kind: "operators"; readonly operators: number };

/** Alarms of one span of ten minutes by fingerprint. */
interface Span {
  readonly medium: number;
  readonly high: number;
  readonly by: Trie<number>;
}

interface Seen {
  readonly title: string;
  readonly state: Alarm["state"];
  readonly active: boolean;
  readonly activeSinceMs: number;
  /** The last transitions between shown and not, at most three. */
  readonly turns: readonly number[];
  readonly chatteredMs: number | null;
  readonly fleetedMs: number | null;
}

export interface MetricsState {
  readonly operators: number;
  /** Begin of the first span; null before the first alarm. */
  readonly firstMs: number | null;
  /** By begin, ascending; spans without alarms are left out. */
  readonly spans: readonly (readonly [startMs: number, span: Span])[];
  readonly alarms: Trie<Seen>;
  /** Desk times. */
  readonly unauthorised: readonly number[];
  readonly changed: boolean;
}

/**
 * How well the alarm system serves its operators: ISA-18.2-2016, table 7, over the last 30 days of desk time, or what there is of them.
 * Definitions: docs/alerts.md. One key for all alarms. O(spans) an alarm, at most 4 320 spans; O(alarms) to say it.
 */
export const alarmMetrics: ProcessFunction<string, MetricsNews, MetricsState, AlarmMetrics> = {
  ttlMs: Number.POSITIVE_INFINITY,
  maxKeys: 1,
  init: () => ({ operators: 1, firstMs: null, spans: [], alarms: [], unauthorised: [], changed: false }),
  onEvent(state, news, at) {
    if (news.kind === "operators") return { ...state, operators: news.operators };
    const nowMs = parseTimeMs(news.alarm.ts) ?? 0;
    at.setTimer((Math.floor(nowMs / SAY_EVERY_MS) + 1) * SAY_EVERY_MS);
    return count(state, news.alarm, nowMs);
  },
  onTimer(before, nowMs, at) {
    const state = forget(before, nowMs);
    at.emit(measure(state, nowMs));
    at.setTimer((Math.floor(nowMs / SPAN_MS) + 1) * SPAN_MS); // rates fall when nothing happens
    return { ...state, changed: false };
  },
};

function count(state: MetricsState, alarm: Alarm, nowMs: number): MetricsState {
  const { fingerprint, trail, cause, active, alert, state: is } = alarm;
  const before = get(state.alarms, fingerprint);
  const step = trail.at(-1);
  const startMs = Math.floor(nowMs / SPAN_MS) * SPAN_MS;
  const isNew = step?.to === "unacknowledged" && step.from !== "unacknowledged" && cause !== "unack";
  const wasShown = before !== undefined && isShown(before.state);
  const turned = alarm.priority !== "event" && isShown(is) !== wasShown && !isHiding(cause);
  const turns = turned ? [...(before?.turns ?? []), nowMs].slice(-CHATTER.transitions) : (before?.turns ?? []);
  const chatters = turned && turns.length === CHATTER.transitions && nowMs - (turns[0] as number) <= CHATTER.withinMs;
  const activeSinceMs = active && before?.active ? before.activeSinceMs : nowMs;
  const fleets = turned && cause === "clear" && before !== undefined && nowMs - before.activeSinceMs < FLEETING_MS;
  const seen: Seen = {
    ...{ title: alert.title, state: is, active, activeSinceMs, turns },
    chatteredMs: chatters ? nowMs : (before?.chatteredMs ?? null),
    fleetedMs: fleets ? nowMs : (before?.fleetedMs ?? null),
  };
  const hides = cause === "suppress" && step !== undefined && !step.refused;
  const unauthorised = hides && (step.reason === "" || !isManager(step.role));
  return {
    ...state,
    firstMs: state.firstMs ?? startMs,
    spans: isNew ? withAlarm(state.spans, startMs, alarm) : state.spans,
    alarms: put(state.alarms, fingerprint, seen),
    unauthorised: unauthorised ? [...state.unauthorised, nowMs] : state.unauthorised,
    changed: true,
  };
}

function isHiding(cause: Alarm["cause"]): boolean {
  return ["shelve", "unshelve", "shelf-expired", "suppress", "unsuppress", "reset"].includes(cause);
}

function isManager(role: string | null): boolean {
  return role !== null && hasRole({ role: role as Role }, "manager");
}

function withAlarm(
  spans: MetricsState["spans"],
  startMs: number,
  { fingerprint, priority }: Alarm,
): MetricsState["spans"] {
  const last = spans.at(-1);
  const isSame = last !== undefined && last[0] === startMs;
  const { medium, high, by } = isSame ? last[1] : { medium: 0, high: 0, by: [] as Span["by"] };
  const span: Span = {
    medium: medium + (priority === "high" ? 0 : 1),
    high: high + (priority === "high" ? 1 : 0),
    by: put(by, fingerprint, (get(by, fingerprint) ?? 0) + 1),
  };
  return [...(isSame ? spans.slice(0, -1) : spans), [startMs, span]];
}

/** What lies before the period, and alarms that are long over. */
function forget(state: MetricsState, nowMs: number): MetricsState {
  const fromMs = nowMs - PERIOD_MS;
  const spans = state.spans.filter(([startMs]) => startMs >= fromMs);
  const counted = new Set<string>();
  for (const [, { by }] of spans) for (const [id] of entriesOf(by)) counted.add(id);
  const all = [...entriesOf(state.alarms)];
  const kept = all.filter(([id, { state, active }]) => state !== "normal" || active || counted.has(id));
  return {
    ...state,
    spans,
    alarms: kept.length === all.length ? state.alarms : trieOf(kept),
    unauthorised: state.unauthorised.filter((timeMs) => timeMs >= fromMs),
  };
}

/** The numbers of the period that ends at `nowMs`. Pure. */
export function measure(state: MetricsState, nowMs: number): AlarmMetrics {
  const { operators, spans } = state;
  const fromMs = Math.max(state.firstMs ?? nowMs, Math.floor((nowMs - PERIOD_MS) / SPAN_MS) * SPAN_MS);
  const spanCount = Math.max(1, Math.ceil((nowMs - fromMs) / SPAN_MS));
  const periodHours = (spanCount * SPAN_MS) / HOUR_MS;
  const perSpan = new Map(spans.map(([startMs, { medium, high }]) => [startMs, (medium + high) / operators]));
  const perHour = new Map<number, number>();
  for (const [startMs, alarms] of perSpan) {
    const hourMs = Math.floor(startMs / HOUR_MS) * HOUR_MS;
    perHour.set(hourMs, (perHour.get(hourMs) ?? 0) + alarms);
  }
  const [medium, high] = [total(spans.map(([, span]) => span.medium)), total(spans.map(([, span]) => span.high))];
  const alarms = medium + high;
  const rates = [...perSpan.values()];
  const hours = Math.ceil((nowMs - Math.floor(fromMs / HOUR_MS) * HOUR_MS) / HOUR_MS) || 1;
  const flood = floodOf(perSpan, fromMs, spanCount);
  const all = [...entriesOf(state.alarms)];
  const within = (timeMs: number | null): boolean => timeMs !== null && timeMs > nowMs - HOUR_MS;
  const hiddenAs = (how: Alarm["state"]): number => all.filter(([, { state }]) => state === how).length;
  const ids = (holds: (seen: Seen) => boolean): string[] =>
    all.flatMap(([id, seen]) => (holds(seen) ? [id] : [])).sort();
  const top10 = topOf(state);
  return {
    ...{ schema: "millrace.alarm-metrics/1", ts: formatTime(nowMs), periodHours, operators, alarms },
    alarmsPerHour: alarms / operators / periodHours,
    alarmsPer10Min: alarms / operators / spanCount,
    most10Min: Math.max(0, ...rates),
    busy10Min01: rates.filter((rate) => rate > BUSY_SPAN).length / spanCount,
    busyHours01: [...perHour.values()].filter((rate) => rate > BUSY_HOUR).length / hours,
    flood01: flood.spans / spanCount,
    inFlood: flood.isOn,
    chattering: ids(({ chatteredMs }) => within(chatteredMs)),
    fleeting: ids(({ fleetedMs }) => within(fleetedMs)),
    stale: ids(({ state, active, activeSinceMs }) => active && isShown(state) && nowMs - activeSinceMs > STALE_MS),
    top10Share01: alarms === 0 ? 0 : total(top10.map(({ alarms }) => alarms)) / alarms,
    top10,
    priorities01: alarms === 0 ? { medium: 0, high: 0 } : { medium: medium / alarms, high: high / alarms },
    hidden: {
      shelved: hiddenAs("shelved"),
      suppressed: hiddenAs("suppressed"),
      outOfService: hiddenAs("out-of-service"),
    },
    unacknowledged: hiddenAs("unacknowledged") + hiddenAs("returned-unacknowledged"),
    unauthorisedSuppressions: state.unauthorised.length,
  };
}

/** Spans in flood: from one of at least ten alarms on, until one of fewer than five, which no longer counts. */
function floodOf(perSpan: ReadonlyMap<number, number>, fromMs: number, spanCount: number) {
  let spans = 0;
  let isOn = false;
  for (let i = 0; i < spanCount; i++) {
    const rate = perSpan.get(fromMs + i * SPAN_MS) ?? 0;
    isOn = rate >= FLOOD_FROM || (isOn && (rate >= FLOOD_BELOW || i === spanCount - 1)); // the last one is not over yet
    if (isOn) spans++;
  }
  return { spans, isOn };
}

function topOf({ spans, alarms }: MetricsState): AlarmMetrics["top10"] {
  const counts = new Map<string, number>();
  for (const [, { by }] of spans) for (const [id, n] of entriesOf(by)) counts.set(id, (counts.get(id) ?? 0) + n);
  return [...counts]
    .sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
    .slice(0, TOP)
    .map(([fingerprint, n]) => ({ fingerprint, title: get(alarms, fingerprint)?.title ?? "", alarms: n }));
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, n) => sum + n, 0);
}

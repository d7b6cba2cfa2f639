import { type Alarm, type Alert, type Notice, type NoticeOutcome, parseTimeMs } from "../../core/index.js";
import type { ProcessAt, ProcessFunction } from "../engine/index.js";
import { admit, flush, type Group, heardBack, join, leave, newGroup, type Pace } from "./groups.js";
import { type Labels, labelsOf } from "./matchers.js";
import { inhibitor, isSilenced, type Route, type Routing, routeAt, routesFor, WALL_ONLY } from "./routing.js";
import { isShown } from "./states.js";
import { isWithin } from "./time-spans.js";
import { drop, entriesOf, get, put, type Trie, trieOf } from "./trie.js";

/** What the dispatcher hears. */
export type DispatchNews =
  | { readonly kind: "alarm"; readonly alarm: Alarm }
  | { readonly kind: "outcome"; readonly outcome: NoticeOutcome }
  | { readonly kind: "routing"; readonly routing: Routing };

interface Known {
  readonly alert: Alert;
  readonly labels: Labels;
  readonly state: Alarm["state"];
  readonly active: boolean;
  /** How far it has been escalated. */
  readonly level: number;
  /** Every group in which it fires, and perhaps some in which it did. */
  readonly groups: readonly string[];
}

/** Somebody is called unless the alarm is taken note of before. */
interface Call {
  readonly dueMs: number;
  readonly fingerprint: string;
  readonly path: string;
  readonly level: number;
}

export interface Dispatch {
  readonly routing: Routing;
  /** Every alarm that is not normal. */
  readonly alarms: Trie<Known>;
  readonly groups: Trie<Group>;
  /** By alarm. */
  readonly calls: Trie<readonly Call[]>;
  /** Desk times of what was new for a receiver within the flood guard's time. */
  readonly arrivals: Readonly<Record<string, readonly number[]>>;
  readonly serial: number;
}

type At = Pick<ProcessAt<string, Notice>, "emit" | "setTimer"> & { readonly nowMs: number };

/**
 * Who is told of what, and when: routing tree, groups, silences, inhibition, mute times, escalation, digests. One key for all.
 *
 * Promise: whoever was told of an alarm that fires is told when it is over; who was not is told nothing.
 * Flood:   more new alarms for a receiver than the flood guard allows become one notice of kind `digest`.
 * State:   the alarms that are not normal and their groups. O(log(alarms + groups)) an alarm; what a notice says is looked through for it.
 */
export const dispatcher: ProcessFunction<string, DispatchNews, Dispatch, Notice> = {
  ttlMs: Number.POSITIVE_INFINITY,
  maxKeys: 1,
  init: () => ({ routing: WALL_ONLY, alarms: [], groups: [], calls: [], arrivals: {}, serial: 0 }),
  onEvent(state, news, process) {
    switch (news.kind) {
      case "alarm":
        return hearAlarm(state, news.alarm, atOf(process, parseTimeMs(news.alarm.ts) ?? process.watermarkMs));
      case "outcome":
        return hearOutcome(state, news.outcome);
      case "routing":
        return reroute({ ...state, routing: news.routing }, atOf(process, Math.max(0, process.watermarkMs)));
    }
  },
  onTimer: (state, timeMs, process) => passTime(state, atOf(process, timeMs)),
};

function atOf({ emit, setTimer }: ProcessAt<string, Notice>, nowMs: number): At {
  return { emit, setTimer, nowMs };
}

function hearAlarm(before: Dispatch, alarm: Alarm, at: At): Dispatch {
  const { fingerprint, alert, state, active } = alarm;
  const known = get(before.alarms, fingerprint);
  const labels = labelsOf(alert);
  const level = active ? (known?.level ?? 0) : 0;
  const told: Known = { alert, labels, state, active, level, groups: isShown(state) ? (known?.groups ?? []) : [] };
  const alarms =
    state === "normal" && !active ? drop(before.alarms, fingerprint) : put(before.alarms, fingerprint, told);
  const calls = state === "unacknowledged" ? before.calls : drop(before.calls, fingerprint);
  const next = { ...before, alarms, calls };
  if (!isShown(state)) return quit(next, known?.groups ?? [], alert, at);
  const isNews = ["raise", "worsen", "re-alarm", "unshelve", "unsuppress", "shelf-expired"].includes(alarm.cause);
  const joined = enter(next, told, isNews, known === undefined || !isShown(known.state), at);
  if (alarm.cause === "escalate") return callNext(joined, told, at);
  return state === "unacknowledged" && known?.state !== "unacknowledged" ? expectCalls(joined, told, at) : joined;
}

/** Into the groups of every receiver the alarm's routes name. */
function enter(before: Dispatch, { alert, labels }: Known, isNews: boolean, isNew: boolean, at: At): Dispatch {
  let next = before;
  for (const route of routesFor(before.routing.route, labels)) {
    for (const receiver of route.receivers) {
      if (isNew) next = countArrival(next, receiver, at);
      next = tell(next, { route, receiver, level: 0 }, alert, labels, isNews, at);
    }
  }
  return next;
}

interface Address {
  readonly route: Route;
  readonly receiver: string;
  readonly level: number;
}

function tell(
  state: Dispatch,
  { route, receiver, level }: Address,
  alert: Alert,
  labels: Labels,
  isNews: boolean,
  at: At,
): Dispatch {
  const digest = get(state.groups, digestId(receiver));
  const common = Object.fromEntries(route.groupBy.map((label) => [label, labels[label] ?? ""]));
  const id = JSON.stringify([route.path, receiver, level, common]);
  const pace = level === 0 ? route : { ...route, waitMs: 0 };
  const { fingerprint } = alert;
  const known = get(state.groups, id);
  const isHeld = known !== undefined && get(known.members, fingerprint) !== undefined;
  const digests = digest?.digest === "open" || (digest !== undefined && get(digest.members, fingerprint) !== undefined);
  if (level === 0 && digests && !isHeld)
    return enlist(state, join(digest, alert, isNews, at.nowMs, digestPace(state)), fingerprint, at);
  const about = { id, receiver, path: route.path, level, digest: null, labels: common };
  const group = known ?? newGroup(about, at.nowMs + pace.waitMs);
  return enlist(state, join(group, alert, isNews, at.nowMs, pace), fingerprint, at);
}

/** A group the alarm is in now, which it must leave when it is over. */
function enlist(state: Dispatch, group: Group, fingerprint: string, at: At): Dispatch {
  return keep({ ...state, alarms: belongs(state.alarms, fingerprint, group.id) }, group, at);
}

function belongs(alarms: Dispatch["alarms"], fingerprint: string, id: string): Dispatch["alarms"] {
  const known = get(alarms, fingerprint);
  if (known === undefined || known.groups.includes(id)) return alarms;
  return put(alarms, fingerprint, { ...known, groups: [...known.groups, id] });
}

function keep(state: Dispatch, group: Group, { setTimer }: At): Dispatch {
  setTimer(group.dueMs);
  return { ...state, groups: put(state.groups, group.id, group) };
}

/** Out of every group it is in. */
function quit(state: Dispatch, ids: readonly string[], alert: Alert, at: At): Dispatch {
  let { groups } = state;
  for (const id of ids) {
    const group = get(groups, id);
    if (group === undefined) continue;
    const left = leave(group, alert, at.nowMs, paceOf(state, group));
    if (left !== undefined && left.dueMs !== group.dueMs) at.setTimer(left.dueMs);
    groups = left === undefined ? drop(groups, id) : put(groups, id, left);
  }
  return { ...state, groups };
}

function paceOf(state: Dispatch, { path, digest, level }: Group): Pace {
  if (digest !== null) return digestPace(state);
  const route = routeAt(state.routing.route, path) ?? state.routing.route;
  return level === 0 ? route : { ...route, waitMs: 0 };
}

function digestPace({ routing: { route, flood } }: Dispatch): Pace {
  return { waitMs: route.waitMs, intervalMs: flood.everyMs, repeatMs: route.repeatMs };
}

function digestId(receiver: string): string {
  return JSON.stringify(["digest", receiver]);
}

/**
 * Beyond the flood guard's number, what is not told yet moves into the receiver's digest. It takes no more once less than half as many
 * have come in the same time: what is new is told by itself again.
 */
function countArrival(state: Dispatch, receiver: string, at: At): Dispatch {
  const { flood } = state.routing;
  const recent = recentArrivals(state, receiver, at.nowMs - flood.withinMs);
  const arrivals = { ...state.arrivals, [receiver]: [...recent, at.nowMs].slice(-flood.alarms - 1) };
  const next = { ...state, arrivals };
  const digest = get(state.groups, digestId(receiver));
  const isOpen = digest?.digest === "open";
  if (recent.length >= flood.alarms) return isOpen ? next : openDigest(next, receiver, at);
  if (!isOpen || recent.length * 2 >= flood.alarms) return next;
  return { ...next, groups: put(next.groups, digest.id, { ...digest, digest: "closed" }) };
}

function recentArrivals({ arrivals }: Dispatch, receiver: string, sinceMs: number): readonly number[] {
  return (arrivals[receiver] ?? []).filter((timeMs) => timeMs > sinceMs);
}

function openDigest(state: Dispatch, receiver: string, at: At): Dispatch {
  const id = digestId(receiver);
  const about = { id, receiver, path: "", level: 0, digest: "open", labels: {} } as const;
  let digest = get(state.groups, id) ?? newGroup(about, at.nowMs + state.routing.route.waitMs);
  let { alarms, groups } = state;
  for (const [movedId, { members, ...group }] of entriesOf(state.groups)) {
    if (group.receiver !== receiver || group.toldMs !== null || group.digest !== null || group.level > 0) continue;
    groups = drop(groups, movedId);
    for (const [fingerprint, member] of entriesOf(members)) {
      digest = admit(digest, fingerprint, member);
      alarms = belongs(alarms, fingerprint, id);
    }
  }
  return keep({ ...state, alarms, groups }, { ...digest, digest: "open" }, at);
}

/** Those the alarm's routes want called later if nobody takes note. */
function expectCalls(state: Dispatch, { alert, labels, level }: Known, at: At): Dispatch {
  const calls = routesFor(state.routing.route, labels).flatMap(({ path, escalate }) =>
    escalate.slice(level).map(({ afterMs }, i): Call => {
      const dueMs = at.nowMs + afterMs;
      at.setTimer(dueMs);
      return { dueMs, fingerprint: alert.fingerprint, path, level: level + i + 1 };
    }),
  );
  if (calls.length === 0) return state;
  const before = get(state.calls, alert.fingerprint) ?? [];
  return { ...state, calls: put(state.calls, alert.fingerprint, [...before, ...calls]) };
}

/** Somebody asked for the next level now. */
function callNext(state: Dispatch, known: Known, at: At): Dispatch {
  const level = known.level + 1;
  const routes = routesFor(state.routing.route, known.labels);
  return routes.reduce(
    (next, { path }) => call(next, { dueMs: 0, fingerprint: known.alert.fingerprint, path, level }, at),
    state,
  );
}

function call(state: Dispatch, { fingerprint, path, level }: Call, at: At): Dispatch {
  const known = get(state.alarms, fingerprint);
  const route = routeAt(state.routing.route, path);
  const step = route?.escalate[level - 1];
  if (known === undefined || route === undefined || step === undefined || known.level >= level) return state;
  if (known.state !== "unacknowledged") return state;
  const raised = { ...state, alarms: put(state.alarms, fingerprint, { ...known, level }) };
  return step.receivers.reduce(
    (next, receiver) => tell(next, { route, receiver, level }, known.alert, known.labels, true, at),
    raised,
  );
}

function hearOutcome(state: Dispatch, outcome: NoticeOutcome): Dispatch {
  for (const [id, group] of entriesOf(state.groups))
    if (group.lastKey === outcome.key) return { ...state, groups: put(state.groups, id, heardBack(group, outcome)) };
  return state;
}

/** Other rules from here on: what was told is still ended, what was not is told by the new ones. */
function reroute(state: Dispatch, at: At): Dispatch {
  const groups = trieOf([...entriesOf(state.groups)].filter(([, { toldMs }]) => toldMs !== null));
  let next: Dispatch = { ...state, groups, calls: [] };
  for (const [, known] of entriesOf(state.alarms)) {
    if (!isShown(known.state)) continue;
    next = enter(next, known, false, false, at);
    if (known.state === "unacknowledged") next = expectCalls(next, known, at);
  }
  return next;
}

function passTime(before: Dispatch, at: At): Dispatch {
  const { nowMs } = at;
  const isDue = ({ dueMs }: { readonly dueMs: number }): boolean => dueMs <= nowMs;
  let state = before;
  for (const [fingerprint, calls] of entriesOf(before.calls)) {
    const due = calls.filter(isDue);
    if (due.length === 0) continue;
    const waiting = calls.filter((each) => !isDue(each));
    const left = waiting.length === 0 ? drop(state.calls, fingerprint) : put(state.calls, fingerprint, waiting);
    state = due.reduce<Dispatch>((next, each) => call(next, each, at), { ...state, calls: left });
  }
  const due = [...entriesOf(state.groups)].flatMap(([id, group]) => (isDue(group) ? [id] : [])).sort();
  if (due.length === 0) return state;
  const active = [...entriesOf(state.alarms)].flatMap(([, { active, labels }]) => (active ? [labels] : []));
  const isInhibited = inhibitor(state.routing.inhibitions, active);
  for (const id of due) state = flushOne(state, get(state.groups, id) as Group, isInhibited, at);
  return state;
}

function flushOne(state: Dispatch, before: Group, isInhibited: (labels: Labels) => boolean, at: At): Dispatch {
  const { routing, alarms } = state;
  const { nowMs } = at;
  const pace = paceOf(state, before);
  const { mute } = routeAt(routing.route, before.path) ?? routing.route;
  if (mute.some((span) => isWithin(span, nowMs))) return keep(state, { ...before, dueMs: nowMs + pace.intervalMs }, at);
  const { notice, group } = flush(before, {
    ...{ nowMs, pace, serial: state.serial + 1 },
    isKept(alert) {
      const labels = labelsOf(alert);
      return isSilenced(routing.silences, labels, nowMs) || isInhibited(labels);
    },
    isOpen: (fingerprint) => get(alarms, fingerprint)?.state === "unacknowledged",
  });
  if (notice !== undefined) at.emit(notice);
  const next = { ...state, serial: state.serial + (notice === undefined ? 0 : 1) };
  return group === undefined ? { ...next, groups: drop(state.groups, before.id) } : keep(next, group, at);
}

import { createHash } from "node:crypto";
import { type Alert, formatTime, type Notice, type NoticeOutcome } from "../../core/index.js";
import { GRAVITY } from "./priority.js";
import { drop, entriesOf, get, put, sizeOf, type Trie, trieOf } from "./trie.js";

const LISTED_MOST = 20;

export interface Member {
  readonly alert: Alert;
  readonly firing: boolean;
  /** The receiver has not heard of this yet. */
  readonly news: boolean;
}

/** Alarms one receiver is told of together. Times are desk time, ms. */
export interface Group {
  readonly id: string;
  readonly receiver: string;
  /** The route's place in the tree; empty for a digest. */
  readonly path: string;
  /** 0; 1 and up for those who are called because nobody took note. */
  readonly level: number;
  /** A digest takes what is new while it is open. */
  readonly digest: "open" | "closed" | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly members: Trie<Member>;
  /** How many of them fire. */
  readonly firing: number;
  readonly dueMs: number;
  /** Of the latest notice; null before the first. */
  readonly toldMs: number | null;
  readonly lastKey: string;
  /** How the latest firing notice went. */
  readonly outcome: "none" | "asked" | NoticeOutcome["result"];
  /** Some firing notice of this group has arrived, or may still. */
  readonly heard: boolean;
}

export interface Pace {
  readonly waitMs: number;
  readonly intervalMs: number;
  readonly repeatMs: number;
}

type About = Pick<Group, "id" | "receiver" | "path" | "level" | "labels" | "digest">;

export function newGroup(about: About, dueMs: number): Group {
  return { ...about, members: [], firing: 0, dueMs, toldMs: null, lastKey: "", outcome: "none", heard: false };
}

/** One more alarm, or news of one. */
export function join(group: Group, alert: Alert, isNews: boolean, nowMs: number, pace: Pace): Group {
  const before = get(group.members, alert.fingerprint);
  const news = isNews || before === undefined || !before.firing || before.news;
  const members = put(group.members, alert.fingerprint, { alert, firing: true, news });
  const firing = group.firing + (before?.firing ? 0 : 1);
  return { ...group, members, firing, dueMs: news ? dueWithNews(group, nowMs, pace) : group.dueMs };
}

/** A member of another group; of one that is in both the later alert counts, in whatever order they come. */
export function admit(group: Group, fingerprint: string, member: Member): Group {
  const before = get(group.members, fingerprint) ?? { alert: member.alert, firing: false, news: false };
  const both: Member = {
    alert: isLater(before.alert, member.alert) ? before.alert : member.alert,
    firing: before.firing || member.firing,
    news: before.news || member.news,
  };
  const firing = group.firing + Number(both.firing) - Number(before.firing);
  return { ...group, members: put(group.members, fingerprint, both), firing };
}

function isLater(a: Alert, b: Alert): boolean {
  return a.ts > b.ts || (a.ts === b.ts && a.revision > b.revision);
}

/** The alarm is over, or hidden now. Undefined when nothing is left of a group nobody has heard of. */
export function leave(group: Group, alert: Alert, nowMs: number, pace: Pace): Group | undefined {
  const { fingerprint } = alert;
  const member = get(group.members, fingerprint);
  if (member === undefined || !member.firing) return group;
  const firing = group.firing - 1;
  if (group.toldMs === null) {
    const members = drop(group.members, fingerprint);
    return sizeOf(members) === 0 ? undefined : { ...group, members, firing };
  }
  const members = put(group.members, fingerprint, { alert, firing: false, news: !member.news });
  const soonestMs = group.toldMs + (firing === 0 ? pace.waitMs : pace.intervalMs);
  return { ...group, members, firing, dueMs: Math.min(group.dueMs, Math.max(nowMs, soonestMs)) };
}

function dueWithNews({ dueMs, toldMs }: Group, nowMs: number, { waitMs, intervalMs }: Pace): number {
  if (toldMs === null) return Math.min(dueMs, nowMs + waitMs);
  return Math.min(dueMs, Math.max(nowMs + waitMs, toldMs + intervalMs));
}

/** What is said when a group is due, and how it goes on; undefined: it is over. */
export interface Flushed {
  readonly notice: Notice | undefined;
  readonly group: Group | undefined;
}

export interface FlushContext {
  readonly nowMs: number;
  readonly pace: Pace;
  /** Makes the notice's key unique. */
  readonly serial: number;
  /** Silenced or inhibited now: stays in the group and is not told of. */
  isKept(alert: Alert): boolean;
  /** Nobody has taken note of it. */
  isOpen(fingerprint: string): boolean;
}

/**
 * Says what is new: firing while anything is, resolved once all is over and a firing notice has arrived or may still. A notice that is
 * dead told nobody anything, so nothing follows it; the next one that fires is a first one again.
 */
export function flush(group: Group, context: FlushContext): Flushed {
  const { nowMs, pace } = context;
  const members = [...entriesOf(group.members)];
  const firing = members.filter(([, { firing }]) => firing);
  if (firing.length === 0) {
    const notice = group.heard ? noticeOf(group, "resolved", members.map(alertIn), "", context) : undefined;
    return { notice, group: undefined };
  }
  const later = { ...group, dueMs: nowMs + pace.intervalMs };
  const shown = firing.filter(([, { alert }]) => !context.isKept(alert));
  if (shown.length === 0) return { notice: undefined, group: later };
  const toldIds = new Set(shown.map(([fingerprint]) => fingerprint));
  const isNews = shown.some(([, { news }]) => news) || members.some(([, { firing, news }]) => !firing && news);
  const isRepeat = group.toldMs !== null && nowMs - group.toldMs >= pace.repeatMs;
  const again = isRepeat && shown.some(([fingerprint]) => context.isOpen(fingerprint));
  if (!isNews && !again) return { notice: undefined, group: { ...later, dueMs: repeatAt(group, context) } };
  const status = group.digest === null ? "firing" : "digest";
  const notice = noticeOf(group, status, shown.map(alertIn), noteOf(group, isNews), context);
  const told = firing.map(([id, member]) => [id, toldIds.has(id) ? { ...member, news: false } : member] as const);
  const next: Group = {
    ...group,
    members: trieOf(told),
    ...{ toldMs: nowMs, lastKey: notice.key, outcome: "asked", heard: true },
  };
  return { notice, group: { ...next, dueMs: repeatAt(next, context) } };
}

function repeatAt({ toldMs }: Group, { nowMs, pace }: FlushContext): number {
  return Math.max(nowMs + pace.intervalMs, (toldMs ?? nowMs) + pace.repeatMs);
}

function noteOf({ level, toldMs, digest }: Group, isNews: boolean): string {
  if (!isNews) return "still firing";
  if (level > 0 && toldMs === null) return "escalated: nobody has taken note";
  return digest === null || toldMs === null ? "" : "the flood goes on";
}

function alertIn([, { alert }]: readonly [string, Member]): Alert {
  return alert;
}

function noticeOf(
  { id, receiver, labels }: Group,
  status: Notice["status"],
  alerts: readonly Alert[],
  note: string,
  { nowMs, serial }: FlushContext,
): Notice {
  const gravest = [...alerts].sort(byGravity);
  const group = createHash("sha256").update(id).digest("hex").slice(0, 16);
  return {
    ...{ kind: "notice", receiver, key: `${group}-${serial}`, group, status, alerts: gravest.slice(0, LISTED_MOST) },
    ...{ omitted: Math.max(0, alerts.length - LISTED_MOST), labels, note, ts: formatTime(nowMs) },
  };
}

function byGravity(a: Alert, b: Alert): number {
  return GRAVITY[b.severity] - GRAVITY[a.severity] || compare(b.ts, a.ts) || compare(a.fingerprint, b.fingerprint);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The sender says how the group's latest notice ended. */
export function heardBack(group: Group, { key, result }: NoticeOutcome): Group {
  if (key !== group.lastKey) return group;
  return { ...group, outcome: result, heard: group.heard && result !== "dead" };
}

import { DAY_MS, type Domain, type Feature, HOUR_MS, MINUTE_MS, type Origin, SECOND_MS } from "../../core/index.js";
import type { Clearance, Sighting } from "../alerts/incidents.js";
import type { ProcessAt, ProcessFunction } from "../engine/index.js";
import { freshState, nextMs, observe, passTime, type RuleState, type Verdict } from "./judge.js";
import { concerns, groupOf, type Leaf, type Rule, type RuleSet, type Test } from "./rule.js";

/** The longest any span in a rule may be: what a group is remembered for beyond its last record. */
export const LONGEST_MS = 7 * DAY_MS;
const SHOWN_RECORDS = 8;
const TITLE_MAX = 120;

/** A record for one group, and the rules that hold. */
export interface RuleInput {
  readonly by: Rule["by"];
  readonly record: Feature;
  readonly origin: Origin;
  readonly set: RuleSet;
}

/** What a rule says of a group. */
export interface RuleNews {
  readonly rule: string;
  readonly id: string;
  readonly quietMs: number;
  readonly domain: Domain;
  readonly news: Sighting | Clearance;
}

interface Watched {
  /** Kept with the state: time passes without anybody who could be asked for it. */
  readonly rule: Rule;
  readonly state: RuleState;
  readonly domain: Domain;
  readonly records: readonly Origin[];
  /** For the title. */
  readonly site: string;
  readonly recordLabels: Readonly<Record<string, string>>;
}

export interface RuleWatchState {
  readonly watched: readonly Watched[];
  readonly timerMs: number | null;
}

/**
 * Judges every rule of a group on the records of its features: a stream of `RuleInput` keyed by rule grouping and group.
 *
 * Change: rules that are no longer in the set are forgotten with the group's next record, and what they raised is cleared then;
 *         a rule with the same id goes on where it was.
 * State:  for each rule of a group the newest of each leaf, at most 33 samples of a rate. One timer a group. O(rules of the feature).
 */
export const ruleWatch: ProcessFunction<string, RuleInput, RuleWatchState, RuleNews> = {
  ttlMs: 2 * LONGEST_MS,
  maxKeys: 100_000,
  init: () => ({ watched: [], timerMs: null }),
  onEvent({ watched, timerMs }, { by, record, origin, set }, at) {
    const group = groupOf(by, record);
    const valid = new Map(set.rules.map((rule) => [rule.id, rule]));
    for (const old of watched) {
      if (!valid.has(old.rule.id) && old.state.firing)
        at.emit(newsOf(old, group, { kind: "off", timeMs: Math.max(record.endMs, old.state.seenMs) }));
    }
    const known = new Map(watched.filter(({ rule }) => valid.has(rule.id)).map((each) => [each.rule.id, each]));
    for (const rule of set.rules) {
      if (rule.by !== by || !concerns(rule, record)) continue;
      const before = known.get(rule.id);
      const about = {
        rule,
        domain: rule.domain ?? record.domain,
        records: [...(before?.records ?? []), origin].slice(-SHOWN_RECORDS),
        ...{ site: record.site, recordLabels: record.labels },
      };
      const verdicts: Verdict[] = [];
      const state = observe(rule, before?.state ?? freshState(rule), record, (verdict) => verdicts.push(verdict));
      const now: Watched = { ...about, state };
      for (const verdict of verdicts) at.emit(newsOf(now, group, verdict));
      known.set(rule.id, now);
    }
    return known.size === 0 ? forget(timerMs, at) : withTimer([...known.values()], timerMs, at);
  },
  onTimer({ watched }, timeMs, at) {
    const group = at.key.slice(at.key.indexOf(" ") + 1);
    const now = watched.map((each): Watched => {
      const say = (verdict: Verdict): void => at.emit(newsOf(each, group, verdict));
      return { ...each, state: passTime(each.rule, each.state, timeMs, say) };
    });
    return withTimer(now, null, at);
  },
};

/** The key of a `RuleInput`. */
export function watchKey({ by, record }: RuleInput): string {
  return `${by} ${groupOf(by, record)}`;
}

function forget(timerMs: number | null, at: ProcessAt<string, RuleNews>): undefined {
  if (timerMs !== null) at.cancelTimer(timerMs);
  return undefined;
}

function withTimer(
  watched: readonly Watched[],
  before: number | null,
  at: ProcessAt<string, RuleNews>,
): RuleWatchState {
  const dueMs = Math.min(...watched.map(({ rule, state }) => nextMs(rule, state)));
  const timerMs = Number.isFinite(dueMs) ? dueMs : null;
  if (timerMs !== before) {
    if (before !== null) at.cancelTimer(before);
    if (timerMs !== null) at.setTimer(timerMs);
  }
  return { watched, timerMs };
}

function newsOf(watched: Watched, group: string, verdict: Verdict): RuleNews {
  const { rule, domain, records, recordLabels } = watched;
  const { name, id, quietMs, severity, labels } = rule;
  const about = { rule: name, id, quietMs, domain };
  const { timeMs } = verdict;
  if (verdict.kind === "off") return { ...about, news: { kind: "clearance", key: group, timeMs } };
  const { leaf, value } = decisive(rule, verdict.state);
  const { low, high } = leaf.kind === "absence" ? { low: 0, high: 0 } : leaf.test;
  const news: Sighting = {
    ...{ kind: "sighting", key: group, timeMs, startMs: verdict.sinceMs, endMs: timeMs, severity },
    title: titleOf(watched, group, leaf, value, verdict.sinceMs, timeMs),
    labels: { ...recordLabels, ...labels },
    ...{ detector: null, score: null, value },
    expected: leaf.kind === "absence" ? null : { low, high },
    evidence: records,
  };
  return { ...about, news };
}

/** The first leaf with a number, which the alert shows; else the first. */
function decisive(
  { leaves }: Rule,
  { leaves: states }: RuleState,
): { readonly leaf: Leaf; readonly value: number | null } {
  const found = Math.max(
    0,
    leaves.findIndex((_, i) => (states[i]?.value ?? null) !== null),
  );
  return { leaf: leaves[found] as Leaf, value: states[found]?.value ?? null };
}

function titleOf(
  { rule, site, recordLabels }: Watched,
  key: string,
  leaf: Leaf,
  value: number | null,
  sinceMs: number,
  timeMs: number,
): string {
  const forText = timeMs > sinceMs ? ` for ${spanOf(timeMs - sinceMs)}` : "";
  const template = rule.title ?? `{key}: ${sentence(leaf)}${forText}`;
  const filled = template.replace(/\{([^{}]+)\}/g, (whole, name: string) => {
    if (name.startsWith("label.")) return recordLabels[name.slice("label.".length)] ?? "";
    const all: Readonly<Record<string, string>> = {
      ...{ key, site, feature: leaf.feature, rule: rule.name },
      value: value === null ? "no value" : String(Number(value.toPrecision(4))),
    };
    return all[name] ?? whole;
  });
  return filled.length > TITLE_MAX ? `${filled.slice(0, TITLE_MAX - 1)}…` : filled;
}

function sentence(leaf: Leaf): string {
  if (leaf.kind === "absence") return `no ${leaf.feature} for more than ${spanOf(leaf.absentMs)}`;
  if (leaf.kind === "rate") return `${leaf.name} changes by {value} in ${spanOf(leaf.perMs)}, ${limitsOf(leaf.test)}`;
  return `${leaf.name} is {value}, ${limitsOf(leaf.test)}`;
}

function limitsOf({ op, low, high }: Test): string {
  if (op === "outside" || op === "within") return `${op} ${low} to ${high}`;
  return `${{ above: "above", atLeast: "at least", below: "below", atMost: "at most" }[op]} ${low}`;
}

function spanOf(ms: number): string {
  const [size, unit] = (
    [
      [DAY_MS, "d"],
      [HOUR_MS, "h"],
      [MINUTE_MS, "min"],
      [SECOND_MS, "s"],
    ] as const
  ).find(([size]) => ms >= size) ?? [1, "ms"];
  return `${Number((ms / size).toPrecision(3))} ${unit}`;
}

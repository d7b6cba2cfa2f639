import { type Alert, type Feature, formatTime, MINUTE_MS, type Severity } from "../../core/index.js";
import type { ProcessAt, ProcessFunction } from "../engine/index.js";
import { fingerprintOf } from "./incidents.js";
import { type Labels, type Matcher, matchesAll } from "./matchers.js";

/** A limit on a value of a feature. `rate`: on its change since the key's row before, per minute of event time. */
export interface Limit {
  readonly kind: "value" | "rate";
  readonly value: string;
  readonly is: "above" | "below";
  readonly limit: number;
}

export type Condition = Limit | { readonly kind: "all" | "any"; readonly of: readonly Condition[] };

/** One rule of `rules/*.yaml`: plain data, in the log. */
export interface AlertRule {
  readonly name: string;
  readonly feature: string;
  readonly match: readonly Matcher[];
  /** Null: the rule is about absence. */
  readonly when: Condition | null;
  /** The condition must hold for so long, ms of event time. */
  readonly forMs: number;
  /** No row of the key for so long; null: the rule is about values. */
  readonly absentMs: number | null;
  readonly severity: Severity;
  /** `{key}`, `{site}`, labels and values by name stand for themselves. */
  readonly title: string;
}

/** A row that a rule is about. */
export interface RuledFeature {
  readonly rule: AlertRule;
  readonly feature: Feature;
}

export interface RuleState {
  readonly last: Feature | null;
  /** The row before the last one: what a correction of the last one is compared with. */
  readonly before: Feature | null;
  readonly rule: AlertRule | null;
  /** Since when the condition holds, event time, ms. */
  readonly sinceMs: number | null;
  readonly open: Alert | null;
  readonly revision: number;
  readonly absentAtMs: number | null;
}

type At = ProcessAt<string, Alert>;

const KEYS_MOST = 100_000;

/** What a feature can be matched by: its labels, and what every feature has. */
export function featureLabels({ labels, feature, pipeline, domain, site, key }: Feature): Labels {
  return { ...labels, feature, pipeline, domain, site, key };
}

export function isAbout({ feature: name, match }: AlertRule, feature: Feature): boolean {
  return name === feature.feature && matchesAll(match, featureLabels(feature));
}

/**
 * A rule for one key of its feature, for a stream by rule and key: firing when the condition has held for `forMs`, resolved when it no
 * longer does. A row for the same window as the last one corrects it: what fired by the wrong one alone is retracted.
 *
 * Time:  that of the rows; absence by the watermark. Cost O(1) a row.
 * State: two rows and an alert a key, at most 100 000 keys; the one longest without a row is forgotten first.
 */
export function ruleWatch(pipeline: string): ProcessFunction<string, RuledFeature, RuleState, Alert> {
  return {
    ttlMs: Number.POSITIVE_INFINITY,
    maxKeys: KEYS_MOST,
    init: () => ({ last: null, before: null, rule: null, sinceMs: null, open: null, revision: 0, absentAtMs: null }),
    onEvent(state, { rule, feature }, at) {
      if (state.last !== null && feature.endMs < state.last.endMs) return state; // of an earlier window: it is past
      const corrects =
        state.last !== null && state.last.startMs === feature.startMs && state.last.endMs === feature.endMs;
      const before = corrects ? state.before : state.last;
      const next = { ...state, rule, last: feature, before };
      if (rule.absentMs !== null) return present(next, rule.absentMs, at);
      return judge(next, rule, feature, before, corrects, at);
    },
    onTimer(state, timeMs, at) {
      const { rule, last, absentAtMs } = state;
      if (absentAtMs !== timeMs || rule === null || last === null || state.open !== null) return state;
      return fire({ ...state, absentAtMs: null }, rule, last, last.endMs, timeMs, at);
    },
  };

  function present(state: RuleState, absentMs: number, at: At): RuleState {
    const { endMs } = state.last as Feature;
    const absentAtMs = endMs + absentMs;
    at.setTimer(absentAtMs);
    return end({ ...state, absentAtMs }, "resolved", endMs, at);
  }

  function judge(
    state: RuleState,
    rule: AlertRule,
    feature: Feature,
    before: Feature | null,
    corrects: boolean,
    at: At,
  ) {
    const { startMs, endMs } = feature;
    const holds = rule.when !== null && isTrue(rule.when, feature, before);
    if (!holds) {
      const wrong = corrects && state.open?.ts === formatTime(endMs);
      return end({ ...state, sinceMs: null }, wrong ? "retracted" : "resolved", endMs, at);
    }
    const sinceMs = state.sinceMs ?? startMs;
    const next = { ...state, sinceMs };
    return state.open === null && endMs - sinceMs >= rule.forMs ? fire(next, rule, feature, sinceMs, endMs, at) : next;
  }

  function fire(
    state: RuleState,
    rule: AlertRule,
    feature: Feature,
    sinceMs: number,
    timeMs: number,
    at: At,
  ): RuleState {
    const { site, key, domain, labels, values } = feature;
    const revision = state.revision + 1;
    const first = rule.when === null ? undefined : firstValue(rule.when);
    const open: Alert = {
      ...{
        schema: "millrace.alert/1",
        fingerprint: fingerprintOf(pipeline, rule.name, key),
        revision,
        state: "firing",
      },
      ...{ rule: rule.name, pipeline, severity: rule.severity, domain, key, labels: { ...labels, site } },
      ...{ title: titleOf(rule, feature), ts: formatTime(timeMs) },
      window: { start: formatTime(sinceMs), end: formatTime(timeMs) },
      ...{ detector: "rule", score: null, value: first === undefined ? null : (values[first] ?? null), expected: null },
      evidence: [],
    };
    at.emit(open);
    return { ...state, open, revision };
  }
}

function end(state: RuleState, how: "resolved" | "retracted", timeMs: number, at: At): RuleState {
  if (state.open === null) return state;
  const revision = state.revision + 1;
  const window = { ...state.open.window, end: formatTime(timeMs) };
  at.emit({ ...state.open, revision, state: how, ts: formatTime(timeMs), window });
  return { ...state, open: null, revision };
}

function isTrue(condition: Condition, feature: Feature, before: Feature | null): boolean {
  if ("limit" in condition) return isBeyond(condition, feature, before);
  const { kind, of } = condition;
  return kind === "all"
    ? of.every((part) => isTrue(part, feature, before))
    : of.some((part) => isTrue(part, feature, before));
}

/** A value that is not there is neither above nor below anything. */
function isBeyond({ kind, value, is, limit }: Limit, feature: Feature, before: Feature | null): boolean {
  const now = feature.values[value];
  const then = before?.values[value];
  if (now === undefined) return false;
  if (kind === "value") return is === "above" ? now > limit : now < limit;
  if (then === undefined || before === null || feature.endMs <= before.endMs) return false;
  const rate = (now - then) / ((feature.endMs - before.endMs) / MINUTE_MS);
  return is === "above" ? rate > limit : rate < limit;
}

function firstValue(condition: Condition): string | undefined {
  if ("limit" in condition) return condition.value;
  return condition.of.map(firstValue).find((name) => name !== undefined);
}

function titleOf({ title }: AlertRule, feature: Feature): string {
  const labels = featureLabels(feature);
  return title.replace(/\{([\w.-]+)\}/g, (whole, name: string) => {
    const value = feature.values[name];
    return value === undefined ? (labels[name] ?? whole) : Number(value.toPrecision(4)).toString();
  });
}

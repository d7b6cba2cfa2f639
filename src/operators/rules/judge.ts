import type { Feature } from "../../core/index.js";
import { type Condition, holds, type Leaf, type Rule } from "./rule.js";

/** Spans of a rate keep one value for each so many parts of the span: state is bounded whatever the pace of values. */
const PARTS = 32;

/** What is known of one leaf. */
export interface LeafState {
  /** Of the newest record, ms; null before the first. */
  readonly lastMs: number | null;
  /** The newest number: the value, or the rate. Null: none yet. */
  readonly value: number | null;
  /** Of a threshold: whether it holds, with its deadband. Null: not known. */
  readonly on: boolean | null;
  /** Of a rate: [ms, value] by time. */
  readonly samples: readonly (readonly [number, number])[];
}

/** What is known of one rule in one group. */
export interface RuleState {
  readonly leaves: readonly LeafState[];
  /** Since when the condition holds, ms; null while it does not. */
  readonly sinceMs: number | null;
  /** It has held for `forMs`. */
  readonly firing: boolean;
  /** Time has come so far, ms. */
  readonly seenMs: number;
}

/** What judging says: `on` with each look at a condition that has held long enough, `off` once when it no longer does. */
export type Verdict =
  | { readonly kind: "on"; readonly timeMs: number; readonly sinceMs: number; readonly state: RuleState }
  | { readonly kind: "off"; readonly timeMs: number };

type Say = (verdict: Verdict) => void;

const UNKNOWN: LeafState = { lastMs: null, value: null, on: null, samples: [] };

export function freshState({ leaves }: Rule): RuleState {
  return { leaves: leaves.map(() => UNKNOWN), sinceMs: null, firing: false, seenMs: Number.MIN_SAFE_INTEGER };
}

/**
 * Takes a record of the rule's features. What was due before it is said first, so how far the watermark has come shows in nothing.
 * A record older than the newest of its leaf changes nothing; one older than `seenMs` counts from then on.
 */
export function observe(rule: Rule, before: RuleState, record: Feature, say: Say): RuleState {
  const timeMs = Math.max(record.endMs, before.seenMs);
  const now = passTime(rule, before, timeMs, say);
  const leaves = rule.leaves.map((leaf, i) => seen(leaf, now.leaves[i] ?? UNKNOWN, record));
  return look(rule, { ...now, leaves }, timeMs, say);
}

/** Says everything due up to and at `toMs`. */
export function passTime(rule: Rule, before: RuleState, toMs: number, say: Say): RuleState {
  let now = before;
  for (let dueMs = nextMs(rule, now); dueMs <= toMs; dueMs = nextMs(rule, now)) now = look(rule, now, dueMs, say);
  return now;
}

/** When the rule can change without a record, ms; Infinity: never. */
export function nextMs(rule: Rule, { leaves, sinceMs, firing, seenMs }: RuleState): number {
  let next = sinceMs === null || firing ? Number.POSITIVE_INFINITY : sinceMs + rule.forMs;
  for (const [i, leaf] of rule.leaves.entries()) {
    if (leaf.kind !== "absence") continue;
    const lastMs = leaves[i]?.lastMs ?? null;
    if (lastMs !== null && lastMs + leaf.absentMs > seenMs) next = Math.min(next, lastMs + leaf.absentMs);
  }
  return next;
}

function look(rule: Rule, state: RuleState, timeMs: number, say: Say): RuleState {
  const isTrue = truth(rule, rule.when, state.leaves, timeMs) === true;
  if (!isTrue) {
    if (state.firing) say({ kind: "off", timeMs });
    return { ...state, sinceMs: null, firing: false, seenMs: timeMs };
  }
  const sinceMs = state.sinceMs ?? timeMs;
  const now = { ...state, sinceMs, firing: timeMs >= sinceMs + rule.forMs, seenMs: timeMs };
  if (now.firing) say({ kind: "on", timeMs, sinceMs, state: now });
  return now;
}

/** Three-valued (Kleene): what nothing is known of is neither true nor, under `not`, its opposite. */
function truth(rule: Rule, condition: Condition, leaves: readonly LeafState[], timeMs: number): boolean | null {
  switch (condition.kind) {
    case "leaf": {
      const leaf = rule.leaves[condition.leaf] as Leaf;
      const { lastMs, on } = leaves[condition.leaf] ?? UNKNOWN;
      if (leaf.kind !== "absence") return on;
      return lastMs === null ? null : timeMs >= lastMs + leaf.absentMs;
    }
    case "not": {
      const inner = truth(rule, condition.of, leaves, timeMs);
      return inner === null ? null : !inner;
    }
    case "all":
    case "any": {
      const decides = condition.kind === "any";
      const parts = condition.of.map((part) => truth(rule, part, leaves, timeMs));
      if (parts.includes(decides)) return decides;
      return parts.includes(null) ? null : !decides;
    }
  }
}

function seen(leaf: Leaf, before: LeafState, record: Feature): LeafState {
  const { endMs } = record;
  if (leaf.feature !== record.feature || (before.lastMs !== null && endMs < before.lastMs)) return before;
  if (leaf.kind === "absence") return { ...before, lastMs: endMs };
  const value = record[leaf.of][leaf.name];
  if (value === undefined || !Number.isFinite(value)) return before;
  if (leaf.kind === "rate") return rateOf(leaf, before, endMs, value);
  const stays = before.on === true && leaf.until !== null && !holds(leaf.until, value);
  return { ...before, lastMs: endMs, value, on: stays || holds(leaf.test, value) };
}

/** Between the newest value and the oldest within the span; known once they are half the span apart. */
function rateOf(
  { overMs, perMs, test }: Leaf & { kind: "rate" },
  before: LeafState,
  endMs: number,
  value: number,
): LeafState {
  const within = before.samples.filter(([ms]) => ms >= endMs - overMs && ms < endMs);
  const newest = within.at(-2)?.[0];
  // The last one is replaced while it is closer than a part to the one before it.
  const kept = newest !== undefined && endMs - newest < overMs / PARTS ? within.slice(0, -1) : within;
  const samples = [...kept, [endMs, value] as const];
  const [firstMs, first] = samples[0] as readonly [number, number];
  if (endMs - firstMs < overMs / 2) return { lastMs: endMs, value: null, on: null, samples };
  const rate = ((value - first) / (endMs - firstMs)) * perMs;
  return { lastMs: endMs, value: rate, on: holds(test, rate), samples };
}

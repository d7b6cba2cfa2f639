import type { Domain, Feature, Severity } from "../../core/index.js";

/** What a number must be. `low` and `high` are equal where there is one limit. */
export interface Test {
  readonly op: "above" | "atLeast" | "below" | "atMost" | "outside" | "within";
  readonly low: number;
  readonly high: number;
}

/** One thing a rule looks at. */
export type Leaf =
  | {
      readonly kind: "threshold";
      readonly feature: string;
      readonly of: "values" | "scores";
      readonly name: string;
      readonly test: Test;
      /** Once true it stays true until this holds: a deadband. Null: until `test` no longer holds. */
      readonly until: Test | null;
    }
  | {
      readonly kind: "rate";
      readonly feature: string;
      readonly of: "values" | "scores";
      readonly name: string;
      /** Change per so many ms, over the span `overMs`. */
      readonly perMs: number;
      readonly overMs: number;
      readonly test: Test;
    }
  | { readonly kind: "absence"; readonly feature: string; readonly absentMs: number };

/** How leaves combine; `leaf` is an index into the rule's leaves. */
export type Condition =
  | { readonly kind: "leaf"; readonly leaf: number }
  | { readonly kind: "not"; readonly of: Condition }
  | { readonly kind: "all" | "any"; readonly of: readonly Condition[] };

/** A pattern of text: `*` stands for anything. By field of the record; labels by `label.<name>`. */
export type Where = Readonly<Record<string, string>>;

/** A rule as it stands in the log: checked, with its defaults. */
export interface Rule {
  readonly name: string;
  /** Changes with anything in the rule: state of an unchanged rule survives a change of the set. */
  readonly id: string;
  /** What it is judged by: each key of its features, or each site as a whole. */
  readonly by: "key" | "site";
  readonly where: Where;
  readonly leaves: readonly Leaf[];
  readonly when: Condition;
  /** The condition must hold so long, ms. */
  readonly forMs: number;
  /** An alert is over when its condition was not seen for so long, ms. */
  readonly quietMs: number;
  readonly severity: Severity;
  /** Null: that of the record. */
  readonly domain: Domain | null;
  /** Null: made of the first leaf. `{key}`, `{site}`, `{value}`, `{feature}` and `{label.<name>}` are filled in. */
  readonly title: string | null;
  readonly labels: Readonly<Record<string, string>>;
}

export interface RuleSet {
  readonly rules: readonly Rule[];
}

export const NO_RULES: RuleSet = { rules: [] };

/** Whether a rule looks at such a record. O(leaves). */
export function concerns(rule: Rule, record: Feature): boolean {
  if (!rule.leaves.some(({ feature }) => feature === record.feature)) return false;
  return Object.entries(rule.where).every(([field, pattern]) => fits(pattern, textOf(record, field)));
}

/** The record's group under a rule. */
export function groupOf(by: Rule["by"], { key, site }: Feature): string {
  return by === "key" ? key : site;
}

function textOf({ pipeline, site, key, domain, labels }: Feature, field: string): string {
  if (field.startsWith("label.")) return labels[field.slice("label.".length)] ?? "";
  return { pipeline, site, key, domain }[field] ?? "";
}

/** Parts between stars must come in order; the first and the last are anchored. O(length). */
function fits(pattern: string, text: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return text === pattern;
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
  const end = text.length - last.length;
  let at = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

export function holds({ op, low, high }: Test, value: number): boolean {
  switch (op) {
    case "above":
      return value > low;
    case "atLeast":
      return value >= low;
    case "below":
      return value < low;
    case "atMost":
      return value <= low;
    case "outside":
      return value < low || value > high;
    case "within":
      return value >= low && value <= high;
  }
}

import type { Rule, RuleSet } from "../../operators/index.js";

/** Kind of the control message, name of the table. */
export const RULES = "rules";

/** The body of `features.<p>._ctl.rules`: all rules that hold from there on, checked by whoever sent them. */
export interface RulesMessage {
  readonly schema: "millrace.rules/1";
  readonly rules: readonly Rule[];
}

/** Throws when it is something else. */
export function readRules(body: unknown): RuleSet {
  const { schema, rules } = body as Partial<RulesMessage>;
  if (schema !== "millrace.rules/1" || !Array.isArray(rules))
    throw new TypeError(`a rules message must be millrace.rules/1 with a list of rules, got ${schema}`);
  return { rules };
}

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { isMillraceError, MillraceError, packageRoot } from "../../core/index.js";
import type { AlertRule, Condition } from "../../operators/index.js";
import { readYamlFile } from "../yaml-file.js";
import { duration, matchers, moment } from "./routing-schema.js";

/** The rules that ship. */
export function shippedRules(): string {
  return join(packageRoot(), "rules");
}

const limits = { above: z.number().optional(), below: z.number().optional() };
const oneLimit = ({ above, below }: { above?: number | undefined; below?: number | undefined }): boolean =>
  (above === undefined) !== (below === undefined);
const ONE_LIMIT = "say either above or below";

type ConditionText =
  | z.output<typeof valueText>
  | z.output<typeof rateText>
  | { all: ConditionText[] }
  | { any: ConditionText[] };
const valueText = z.strictObject({ value: z.string().min(1), ...limits }).refine(oneLimit, ONE_LIMIT);
const rateText = z.strictObject({ ratePerMinute: z.string().min(1), ...limits }).refine(oneLimit, ONE_LIMIT);
const conditionText: z.ZodType<ConditionText> = z.lazy(() =>
  z.union(
    [
      valueText,
      rateText,
      z.strictObject({ all: z.array(conditionText).min(1) }),
      z.strictObject({ any: z.array(conditionText).min(1) }),
    ],
    "must be { value, above } or { ratePerMinute, above } (or below), or a list under all or any",
  ),
);

const ruleText = z
  .strictObject({
    name: z.string().regex(/^[a-z][a-z0-9-]*$/, "must be lower case letters, digits and hyphens"),
    enabled: z.boolean().default(true),
    feature: z.string().min(1),
    match: matchers.default([]),
    when: conditionText.optional(),
    for: duration.default(0),
    absentFor: duration.optional(),
    severity: z.enum(["info", "warning", "critical"]),
    title: z.string().min(1),
  })
  .refine(({ when, absentFor }) => (when === undefined) !== (absentFor === undefined), "say either when or absentFor");

const featureText = z.strictObject({
  at: moment,
  feature: z.string(),
  key: z.string(),
  values: z.record(z.string(), z.number()).default({}),
  labels: z.record(z.string(), z.string()).default({}),
  /** Where the row's window began. */
  from: moment.optional(),
});
const expectation = z.strictObject({
  at: moment,
  rule: z.string(),
  key: z.string(),
  state: z.enum(["firing", "resolved", "retracted"]),
  title: z.string().optional(),
});

const fileText = z.strictObject({
  rules: z.array(ruleText),
  tests: z
    .array(
      z.strictObject({
        name: z.string(),
        events: z.array(featureText).min(1),
        /** Time goes on until then. */
        until: moment.optional(),
        expect: z.array(expectation),
      }),
    )
    .default([]),
});

export type RuleTest = z.output<typeof fileText>["tests"][number];

export interface RuleFile {
  readonly path: string;
  readonly rules: readonly (AlertRule & { readonly enabled: boolean })[];
  readonly tests: readonly RuleTest[];
}

/**
 * Reads, checks and compiles the rules of a folder or of one file, in the order of their names.
 * Errors: MR_OPTION_INVALID with file, line, column and the fix of each problem, of all files.
 */
export async function readRuleFiles(path: string): Promise<readonly RuleFile[]> {
  const paths = await filesIn(path);
  const complaints: string[] = [];
  const files: RuleFile[] = [];
  const owners = new Map<string, string>();
  for (const path of paths) {
    try {
      const { value, refuse } = await readYamlFile(path, fileText as z.ZodType<z.output<typeof fileText>>);
      refuse(
        value.rules.flatMap(({ name }, i) =>
          owners.has(name) || value.rules.findIndex((other) => other.name === name) < i
            ? [{ path: ["rules", i, "name"], message: `there is another rule "${name}"${whose(owners.get(name))}` }]
            : [],
        ),
      );
      for (const { name } of value.rules) owners.set(name, path);
      files.push({ path, rules: value.rules.map(compile), tests: value.tests });
    } catch (error) {
      if (!isMillraceError(error)) throw error;
      complaints.push(error.message);
    }
  }
  if (complaints.length > 0) throw new MillraceError("MR_OPTION_INVALID", complaints.join("\n"));
  return files;
}

function whose(path: string | undefined): string {
  return path === undefined ? "" : ` in ${path}`;
}

async function filesIn(path: string): Promise<readonly string[]> {
  if (/\.ya?ml$/.test(path)) return [path];
  const names = await readdir(path).catch((cause: unknown) => {
    throw new MillraceError("MR_OPTION_INVALID", `reading rules from ${path}: ${(cause as Error).message}`, { cause });
  });
  return names
    .filter((name) => /\.ya?ml$/.test(name))
    .sort()
    .map((name) => join(path, name));
}

/** Those that are to run. */
export function enabledRules(files: readonly RuleFile[]): readonly AlertRule[] {
  return files.flatMap(({ rules }) => rules.filter(({ enabled }) => enabled).map(({ enabled: _on, ...rule }) => rule));
}

function compile(text: z.output<typeof ruleText>): AlertRule & { enabled: boolean } {
  const { name, enabled, feature, match, when, absentFor, severity, title } = text;
  return {
    ...{ name, enabled, feature, match, severity, title, forMs: text.for, absentMs: absentFor ?? null },
    when: when === undefined ? null : conditionOf(when),
  };
}

function conditionOf(text: ConditionText): Condition {
  if ("all" in text) return { kind: "all", of: text.all.map(conditionOf) };
  if ("any" in text) return { kind: "any", of: text.any.map(conditionOf) };
  const is = text.above === undefined ? "below" : "above";
  const limit = text.above ?? text.below ?? 0;
  if ("value" in text) return { kind: "value", value: text.value, is, limit };
  return { kind: "rate", value: text.ratePerMinute, is, limit };
}

import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { canonicalJson, MillraceError, packageRoot } from "../../core/index.js";
import type { Condition, Leaf, Rule, Test } from "../../operators/index.js";
import { type Problem, readYamlFile, type YamlFile, type YamlPath } from "../yaml-file.js";
import {
  type ConditionText,
  type LeafText,
  type LimitsText,
  type RulesText,
  type RuleText,
  rulesFileSchema,
  type TestCase,
} from "./rule-schema.js";

const DOCS = "docs/rules.md";

/** The rules that ship. */
export function shippedRules(): string {
  return join(packageRoot(), "rules");
}

/** One test of a file. */
export interface PlacedTest {
  readonly test: TestCase;
  /** `file:line:column` of the test, and of each alert it expects. */
  readonly place: string;
  readonly expectPlaces: readonly string[];
}

export interface RuleFile {
  readonly path: string;
  /** All of the file, also those that are not enabled: tests run them. */
  readonly rules: readonly (Rule & { readonly enabled: boolean })[];
  readonly tests: readonly PlacedTest[];
}

/**
 * Reads, checks and compiles a rules file, or every `.yaml` of a folder by name. None, when there is no such place.
 * Errors: MR_OPTION_INVALID with file, line, column and the fix of each problem.
 */
export async function readRuleFiles(path: string): Promise<readonly RuleFile[]> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return [];
  const names = found.isDirectory() ? (await readdir(path)).filter((name) => /\.ya?ml$/.test(name)).sort() : [];
  const paths = found.isDirectory() ? names.map((name) => join(path, name)) : [path];
  const read = await Promise.allSettled(paths.map(readRuleFile));
  const complaints = read.flatMap((each) => (each.status === "rejected" ? [each.reason as Error] : []));
  const other = complaints.find((error) => !(error instanceof MillraceError));
  if (other !== undefined) throw other;
  if (complaints.length > 0)
    throw new MillraceError("MR_OPTION_INVALID", complaints.map(({ message }) => message).join("\n"));
  const files = read.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  refuseTwins(files);
  return files.map(({ file }) => file);
}

/** The rules that run: those of all files that are enabled. */
export function enabledRules(files: readonly RuleFile[]): readonly Rule[] {
  return files.flatMap(({ rules }) => rules.filter(({ enabled }) => enabled).map(({ enabled: _, ...rule }) => rule));
}

/** The body of the control message `features.<p>._ctl.rules`. */
export function rulesMessage(rules: readonly Rule[]): object {
  return { schema: "millrace.rules/1", rules };
}

interface ReadFile {
  readonly file: RuleFile;
  readonly refuse: YamlFile<unknown>["refuse"];
  readonly placeOf: YamlFile<unknown>["placeOf"];
}

async function readRuleFile(path: string): Promise<ReadFile> {
  const { value, refuse, placeOf } = await readYamlFile(path, rulesFileSchema as never, DOCS);
  const { rules: texts, tests } = value as RulesText;
  const problems: Problem[] = [];
  const rules = texts.map((text, i) => compile(text, ["rules", i], problems));
  tests.forEach((test, i) => {
    test.expect.forEach(({ rule }, j) => {
      if (texts.some(({ name }) => name === rule)) return;
      const known = texts.map(({ name }) => name).join(", ") || "none";
      const message = `there is no rule "${rule}" in this file; known are: ${known}`;
      problems.push({ path: ["tests", i, "expect", j, "rule"], message });
    });
  });
  refuse(problems);
  const placed = tests.map((test, i) => ({
    test,
    place: placeOf(["tests", i]),
    expectPlaces: test.expect.map((_, j) => placeOf(["tests", i, "expect", j])),
  }));
  return { file: { path, rules, tests: placed }, refuse, placeOf };
}

/** Fingerprints are of names. */
function refuseTwins(files: readonly ReadFile[]): void {
  const first = new Map<string, string>();
  for (const { file, refuse, placeOf } of files) {
    const problems: Problem[] = [];
    file.rules.forEach(({ name }, i) => {
      const path = ["rules", i, "name"];
      const before = first.get(name);
      if (before === undefined) first.set(name, placeOf(path));
      else problems.push({ path, message: `${name} is the name of another rule (${before}); choose another` });
    });
    refuse(problems);
  }
}

function compile(text: RuleText, path: YamlPath, problems: Problem[]): RuleFile["rules"][number] {
  const { name, by, where, severity, domain = null, title = null, labels, enabled } = text;
  const leaves: Leaf[] = [];
  const when = compileCondition(text.when, [...path, "when"], leaves, problems);
  const rule = {
    ...{ name, by, where, leaves, when, severity, domain, title, labels },
    ...{ forMs: text.for, quietMs: text.quiet },
  };
  const id = createHash("sha256").update(canonicalJson(rule)).digest("hex").slice(0, 16);
  return { ...rule, id, enabled };
}

function compileCondition(text: ConditionText, path: YamlPath, leaves: Leaf[], problems: Problem[]): Condition {
  const inner = (part: ConditionText, ...more: YamlPath): Condition =>
    compileCondition(part, [...path, ...more], leaves, problems);
  if ("all" in text) return { kind: "all", of: text.all.map((part, i) => inner(part, "all", i)) };
  if ("any" in text) return { kind: "any", of: text.any.map((part, i) => inner(part, "any", i)) };
  if ("not" in text) return { kind: "not", of: inner(text.not, "not") };
  const wrong = faultOf(text);
  if (wrong !== undefined) problems.push({ path, message: wrong });
  else leaves.push(compileLeaf(text));
  return { kind: "leaf", leaf: leaves.length - 1 };
}

/** What speaks against a leaf, with the fix. */
function faultOf(text: LeafText): string | undefined {
  const { value, score, rate, absent, per, over, until } = text;
  const kinds = Object.entries({ value, score, rate, absent }).filter(([, given]) => given !== undefined);
  if (kinds.length !== 1)
    return `needs exactly one of value, score, rate or absent, got ${kinds.map(([kind]) => kind).join(" and ") || "none"}`;
  const isAbsent = absent !== undefined;
  const limits = limitOf(text);
  if (isAbsent && limits.length > 0) return `absent takes no limit; remove ${limits.join(" and ")}`;
  if (!isAbsent && limits.length !== 1)
    return `needs exactly one limit of ${OPS.join(", ")}, got ${limits.join(" and ") || "none"}`;
  if (rate !== undefined && over === undefined)
    return "a rate needs over, the span it is measured in, such as over: 10m";
  if (rate === undefined && (per ?? over) !== undefined)
    return "per and over belong to a rate; remove them or say rate";
  if (until !== undefined && (rate !== undefined || isAbsent)) return "until belongs to value or score; remove it";
  return undefined;
}

const OPS = ["above", "atLeast", "below", "atMost", "outside", "within"] as const;

function limitOf(text: LimitsText): readonly string[] {
  return OPS.filter((op) => text[op] !== undefined);
}

function compileLeaf({ feature, value, score, rate, absent, per, over, until, ...limits }: LeafText): Leaf {
  if (absent !== undefined) return { kind: "absence", feature, absentMs: absent };
  const test = testOf(limits);
  if (rate !== undefined) {
    const overMs = over as number;
    return { kind: "rate", feature, of: "values", name: rate, perMs: per ?? overMs, overMs, test };
  }
  const about = { feature, of: score === undefined ? "values" : "scores", name: score ?? value ?? "" } as const;
  return { kind: "threshold", ...about, test, until: until === undefined ? null : testOf(until) };
}

function testOf(limits: LimitsText): Test {
  const op = OPS.find((each) => limits[each] !== undefined) ?? "above";
  const limit = limits[op] as number | readonly [number, number];
  const [low, high] = typeof limit === "number" ? [limit, limit] : limit;
  return { op, low, high };
}

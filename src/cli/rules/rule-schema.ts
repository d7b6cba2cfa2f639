import { z } from "zod";
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from "../../core/index.js";
import { LONGEST_MS } from "../../operators/index.js";

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS };

/** `90s`, `10m`, `1.5h`, `2d`: whole ms. */
const span = z.string("must be a time such as 90s, 10m, 1.5h or 2d").transform((text, context) => {
  const [, count, unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
  const ms = Number(count) * (UNITS[unit] ?? Number.NaN);
  if (Number.isSafeInteger(ms)) return ms;
  context.addIssue(`must be a time such as 90s, 10m, 1.5h or 2d, got ${text}`);
  return z.NEVER;
});
const ruleSpan = span.refine((ms) => ms <= LONGEST_MS, "must be at most 7d");
const positiveSpan = ruleSpan.refine((ms) => ms > 0, "must be longer than 0s");
const text = z.string("must be text").min(1, "must not be empty");
const number = z.number("must be a number");
const pair = z
  .tuple([number, number], "must be two numbers, such as [10, 20]")
  .refine(([low, high]) => low < high, "the first number must be smaller than the second");

const limits = {
  above: number.optional(),
  atLeast: number.optional(),
  below: number.optional(),
  atMost: number.optional(),
  outside: pair.optional(),
  within: pair.optional(),
};
const OPS = ["above", "atLeast", "below", "atMost", "outside", "within"] as const;
const oneLimit = (limits: object): boolean => OPS.filter((op) => op in limits).length === 1;
const ONE_LIMIT = `needs exactly one limit of ${OPS.join(", ")}`;
const testSchema = z.strictObject(limits).refine(oneLimit, ONE_LIMIT);

/** What is looked at; `rule-file.ts` says what is missing or too much, with its place. */
const leafFields = z.strictObject({
  feature: text,
  value: text.optional(),
  score: text.optional(),
  rate: text.optional(),
  absent: positiveSpan.optional(),
  per: positiveSpan.optional(),
  over: positiveSpan.optional(),
  until: testSchema.optional(),
  ...limits,
});

export type LimitsText = z.output<typeof testSchema>;
export type LeafText = z.output<typeof leafFields>;
export type ConditionText =
  | LeafText
  | { readonly all: readonly ConditionText[] }
  | { readonly any: readonly ConditionText[] }
  | { readonly not: ConditionText };

const parts = z.lazy(() =>
  z.array(condition, "must be a list of conditions").min(1, "needs a condition").max(20, "at most 20 conditions"),
);
const SHAPES: Readonly<Record<string, z.ZodType>> = {
  all: z.strictObject({ all: parts }),
  any: z.strictObject({ any: parts }),
  not: z.lazy(() => z.strictObject({ not: condition })),
};

/** By the word it begins with: a union would only say that nothing fits. */
const condition: z.ZodType<ConditionText> = z.unknown().transform((given, context): ConditionText => {
  const word = Object.keys(SHAPES).find((word) => given !== null && typeof given === "object" && word in given);
  const parsed = (word === undefined ? leafFields : (SHAPES[word] as z.ZodType)).safeParse(given);
  if (parsed.success) return parsed.data as ConditionText;
  for (const issue of parsed.error.issues) context.issues.push({ ...issue, input: given } as never);
  return z.NEVER;
});

const severity = z.enum(["info", "warning", "critical"], "must be info, warning or critical");
const domain = z.enum(["github", "mine", "sensor", "system"], "must be github, mine, sensor or system");
const texts = z.record(text, text);

const ruleSchema = z.strictObject({
  name: text.regex(/^[a-z][a-z0-9-]{0,63}$/, "must be lower-case words joined by -, such as engine-hot"),
  enabled: z.boolean().default(true),
  by: z.enum(["key", "site"], "must be key or site").default("key"),
  where: z
    .record(
      text.regex(/^(pipeline|site|key|domain|label\..+)$/, "must be pipeline, site, key, domain or label.<name>"),
      text,
    )
    .default({}),
  when: condition,
  for: ruleSpan.default(0),
  quiet: positiveSpan.default(DAY_MS),
  severity: severity.default("warning"),
  domain: domain.optional(),
  title: text.max(120, "must have at most 120 characters").optional(),
  labels: texts.default({}),
});

const givenSchema = z.strictObject({
  at: span,
  feature: text,
  key: text,
  site: text.optional(),
  pipeline: text.default("mine.telemetry"),
  domain: domain.default("mine"),
  values: z.record(text, number).default({}),
  scores: z.record(text, number).default({}),
  labels: texts.default({}),
});

const expectSchema = z.strictObject({
  at: span,
  rule: text,
  key: text,
  state: z.enum(["firing", "resolved"], "must be firing or resolved").default("firing"),
  severity: severity.optional(),
  value: number.optional(),
  title: text.optional(),
});

const testCaseSchema = z.strictObject({
  name: text,
  given: z.array(givenSchema, "must be a list of features").max(10_000),
  /** How far time goes; at least to the last of `given`. */
  until: span.default(0),
  expect: z.array(expectSchema, "must be a list of alerts; [] when there must be none"),
});

export const rulesFileSchema = z.strictObject({
  rules: z.array(ruleSchema, "must be a list of rules").default([]),
  tests: z.array(testCaseSchema, "must be a list of tests").default([]),
});

export type RulesText = z.output<typeof rulesFileSchema>;
export type RuleText = RulesText["rules"][number];
export type TestCase = RulesText["tests"][number];

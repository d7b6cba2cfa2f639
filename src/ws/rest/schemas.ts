import { z } from "zod";
import { COMMANDS, type CommandName, MillraceError } from "../../core/index.js";

/** What goes over HTTP, as the routes check it and as /openapi.json shows it. */

const timeText = z.iso.datetime({ offset: true });
const count = z.number().int().nonnegative();
const LABEL = "descriptions by name";

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().meta({ description: "what happened and what to do" }),
    code: z.string().nullable().meta({ description: "one of docs/ERRORS.md, or null" }),
  })
  .meta({ id: "Problem", description: "RFC 9457" });

export const queryRequest = z
  .object(
    {
      sql: z
        .string({ error: "sql must be a string" })
        .trim()
        .min(1, "sql is empty")
        .meta({ example: "SELECT count() FROM alerts" }),
      format: z.enum(["json", "csv"], { error: 'format must be "json" or "csv"' }).default("json"),
    },
    { error: 'must be {"sql": "…"}' },
  )
  .meta({ id: "QueryRequest" });

export const queryAnswer = z
  .object({
    columns: z.array(z.string()),
    rows: z.array(z.array(z.unknown())),
    truncated: z.boolean().meta({ description: "there were more rows than the limit" }),
    elapsedMs: z.number(),
  })
  .meta({ id: "QueryAnswer" });

const domainStats = z.object({ received: count, stored: count, duplicates: count, deadLettered: count });
const stored = z.object({ stored: count });
export const statsSchema = z
  .object({
    github: domainStats,
    telemetry: domainStats,
    features: stored,
    anomalies: stored,
    alerts: stored,
    plans: stored,
    late: count,
    replay: z.object({ done: z.boolean(), sent: count, total: count, clock: timeText.nullable() }),
    uptimeS: count,
  })
  .meta({ id: "Stats" });

export const aliveSchema = z.object({ status: z.literal("alive") });
export const readySchema = z
  .object({
    ready: z.boolean(),
    reasons: z.array(z.string()).meta({ description: "why not; empty when ready" }),
    waits: z
      .array(z.string())
      .meta({ description: "what waits for something outside and goes on by itself: since when and why" }),
  })
  .meta({ id: "Readiness" });

export const DOMAINS = ["github", "mine", "sensor", "system"] as const;
const instant = z
  .union([timeText.transform((text) => Date.parse(text)), z.coerce.number().int().nonnegative().max(8.64e15)])
  .meta({
    override: { type: "string", format: "date-time", anyOf: undefined },
    description: "RFC 3339, or ms since 1970",
  });

export const alertSearch = z.strictObject({
  domain: z.enum(DOMAINS).optional(),
  severity: z.enum(["info", "warning", "critical"]).optional(),
  state: z.enum(["firing", "resolved", "retracted"]).optional().meta({ description: "of the newest revision" }),
  from: instant.optional(),
  to: instant.optional().meta({ description: "not included" }),
  q: z.string().min(1).max(200).optional().meta({ description: "text in title, key or rule, without regard to case" }),
  limit: z.coerce.number().int().min(1).max(500).default(50),
  cursor: z.string().max(500).optional().meta({ description: "`next` of the page before" }),
});

export const alertSchema = z
  .object({
    id: z.string(),
    schema: z.literal("millrace.alert/1"),
    fingerprint: z.string().meta({ description: "identity of the condition; returns with a larger revision" }),
    revision: count,
    state: z.enum(["firing", "resolved", "retracted"]),
    rule: z.string(),
    pipeline: z.string(),
    severity: z.enum(["info", "warning", "critical"]),
    domain: z.enum(DOMAINS),
    key: z.string(),
    labels: z.record(z.string(), z.string()).meta({ description: LABEL }),
    title: z.string(),
    ts: timeText,
    window: z.object({ start: timeText, end: timeText }),
    detector: z.string().nullable(),
    score: z.number().nullable(),
    value: z.number().nullable(),
    expected: z.object({ low: z.number(), high: z.number() }).nullable(),
    evidence: z.array(z.object({ stream: z.string(), sequence: count, index: count })),
  })
  .meta({ id: "Alert" });

export const alertPage = z
  .object({
    alerts: z.array(alertSchema).meta({ description: "newest first, the newest revision of each" }),
    next: z.string().nullable().meta({ description: "cursor of the next page; null on the last" }),
  })
  .meta({ id: "AlertPage" });

const commandNames = Object.keys(COMMANDS) as [CommandName, ...CommandName[]];
const scalar = z.union([z.string().max(2_000), z.number(), z.boolean(), z.null()]);
const about = commandNames.map((name) => `${name} (${COMMANDS[name].role}): ${COMMANDS[name].about}`).join("; ");

export const commandRequest = z
  .strictObject({
    command: z.enum(commandNames).meta({ description: about }),
    target: z.string().min(1).max(500).meta({ description: "what it is about, such as an alert's fingerprint" }),
    args: z
      .record(z.string().max(100), scalar)
      .refine((args) => Object.keys(args).length <= 32, "at most 32 entries")
      .default({}),
    reason: z.string().max(2_000).default("").meta({ description: "why, for those who read it later" }),
  })
  .meta({ id: "CommandRequest" });

export const commandReply = z
  .object({
    id: z.string(),
    command: z.enum(commandNames),
    target: z.string(),
    ts: timeText,
    repeated: z.boolean().meta({ description: "the log had it already: the same key and the same command" }),
  })
  .meta({ id: "CommandReply" });

export const idempotencyKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,200}$/, "1 to 200 printable ASCII characters")
  .meta({ description: "yours, one a command: sent again, nothing happens twice" });

/** The JSON of a body. Errors: MR_REQUEST_INVALID saying which field is wrong. */
export function parseBody<Schema extends z.ZodType>(schema: Schema, body: Uint8Array, hint = ""): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (cause) {
    throw new MillraceError("MR_REQUEST_INVALID", `the body is not JSON in UTF-8${hint}`, { cause });
  }
  return parse(schema, value);
}

/** Errors: MR_REQUEST_INVALID naming each wrong field. */
export function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const complaints = parsed.error.issues.map(({ path, message }) => `${path.join(".") || "the request"}: ${message}`);
  throw new MillraceError("MR_REQUEST_INVALID", complaints.join("; ").slice(0, 1_000));
}

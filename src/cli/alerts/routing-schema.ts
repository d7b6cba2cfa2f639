import { z } from "zod";
import { DAY_MS, HOUR_MS, MINUTE_MS, parseTimeMs, SECOND_MS } from "../../core/index.js";
import { parseMatcher, parseTimeSpan } from "../../operators/index.js";
import { receiverSchema } from "../../sinks/index.js";

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS };

/** `90s`, `5m`, `4h` as ms. */
export const duration = z.union([z.string(), z.number()]).transform((given, context) => {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(String(given)) ?? [];
  if (unit !== "") return Math.round(Number(number) * (UNITS[unit] as number));
  context.addIssue(`"${given}" is no duration: write a number and ms, s, m, h or d, such as 90s`);
  return z.NEVER;
});

/** Text read by a function that throws what is wrong with it. */
function readWith<T>(read: (text: string) => T) {
  return z.string().transform((text, context): T => {
    try {
      return read(text);
    } catch (error) {
      context.addIssue((error as Error).message);
      return z.NEVER;
    }
  });
}

const matcher = readWith(parseMatcher);
const matchers = z.array(matcher);
const span = readWith(parseTimeSpan);
const moment = z.string().transform((text, context) => {
  const ms = parseTimeMs(text);
  if (ms !== undefined) return ms;
  context.addIssue(`"${text}" is no time: write RFC 3339 with a zone, such as 2026-11-20T06:00:00Z`);
  return z.NEVER;
});
const names = z.array(z.string().min(1));

const escalation = z.strictObject({ after: duration, receivers: names.min(1, "name at least one receiver") });

/** What a route says; what it leaves out it has from the route above it. */
const ownRoute = {
  match: matchers.default([]),
  receivers: names.optional(),
  groupBy: names.optional(),
  wait: duration.optional(),
  interval: duration.optional(),
  repeat: duration.optional(),
  mute: names.optional(),
  escalate: z.array(escalation).optional(),
  continue: z.boolean().default(false),
};
type OwnRoute = z.output<z.ZodObject<typeof ownRoute>>;
export interface RouteText extends OwnRoute {
  readonly routes: readonly RouteText[];
}

const routeSchema: z.ZodType<RouteText> = z.lazy(() =>
  z.strictObject({ ...ownRoute, routes: z.array(routeSchema).default([]) }),
);

const policySchema = z.strictObject({
  match: matchers.default([]),
  onDelay: duration.default(0),
  offDelay: duration.default(0),
  reAlarm: duration.nullable().default(null),
  latch: z.boolean().default(false),
  deadband: z
    .strictObject({ raiseAt: z.number(), clearBelow: z.number() })
    .refine(({ raiseAt, clearBelow }) => clearBelow <= raiseAt, "clearBelow must not be above raiseAt")
    .nullable()
    .default(null),
  shelveMost: duration.default(12 * HOUR_MS),
});

/** `alerts/routing.yaml`. */
export const routingSchema = z.strictObject({
  operators: z.number().int().min(1).default(1),
  receivers: z.record(z.string().regex(/^[a-z][a-z0-9-]*$/), receiverSchema).default({}),
  /** Networks outside the public internet that receivers may be in. */
  allowNetworks: z.array(z.string()).default([]),
  route: routeSchema.default({ match: [], continue: false, routes: [] }),
  muteTimes: z.record(z.string(), z.array(span).min(1)).default({}),
  alarms: z.array(policySchema).default([]),
  silences: z
    .array(
      z.strictObject({
        match: matchers.min(1, "a silence of everything is not meant: say at least one condition"),
        from: moment.nullable().default(null),
        until: moment.nullable().default(null),
        spans: z.array(span).default([]),
        reason: z.string().min(1, "say why"),
      }),
    )
    .default([]),
  inhibit: z
    .array(z.strictObject({ source: matchers.min(1), target: matchers.min(1), equal: names.default([]) }))
    .default([]),
  flood: z
    .strictObject({
      alarms: z.number().int().min(1).default(20),
      within: duration.default(MINUTE_MS),
      every: duration.default(10 * MINUTE_MS),
    })
    .default({ alarms: 20, within: MINUTE_MS, every: 10 * MINUTE_MS }),
});
export type RoutingText = z.output<typeof routingSchema>;

import { z } from "zod";
import type { Alert, Plan } from "../core/records.js";
import type { Stats } from "../core/stats.js";

/**
 * What goes over `/ws`. The page and the client take the types from here; `docs/protocol.schema.json` is made of the schemas and
 * `docs/protocol.md` explains them. Fields may be added: readers ignore an `op` or a field they do not know.
 */

export const SUBPROTOCOLS = ["millrace.v1", "millrace.v1.msgpack"] as const;
export type Subprotocol = (typeof SUBPROTOCOLS)[number];

/** What each channel of this build carries as `data`. Channels declared elsewhere carry what their stream holds. */
export interface ChannelData {
  readonly alerts: Alert & { readonly id: string };
  readonly plans: Plan & { readonly id: string };
  readonly stats: Stats;
}

export type ChannelName = keyof ChannelData;

const count = z.int().min(0);
/** The client's own number for a request; the answer repeats it. */
const id = count.meta({ description: "the client's number for the request; the answer repeats it" });
const channel = z.string();
const offset = count.meta({ description: "a position in the log: its sequence" });
const epoch = z.string().meta({ description: "names the log; offsets of different epochs cannot be compared" });

/** A field of `data`, `.` between levels: `labels.site`. */
const path = z.string().min(1).max(100);
const scalar = z.union([z.string().max(200), z.number(), z.boolean(), z.null()]);
const bound = z.union([z.string().max(200), z.number()]);

/** A test of one record. A field that is not there matches nothing, so it matches `not`. */
export type Filter =
  | { readonly eq: readonly [string, string | number | boolean | null] }
  | { readonly in: readonly [string, readonly (string | number | boolean | null)[]] }
  | { readonly prefix: readonly [string, string] }
  | { readonly range: readonly [string, FilterRange] }
  | { readonly and: readonly Filter[] }
  | { readonly or: readonly Filter[] }
  | { readonly not: Filter };

/** Numbers with numbers, texts with texts (by code unit); at least one side. */
export interface FilterRange {
  readonly gt?: number | string;
  readonly gte?: number | string;
  readonly lt?: number | string;
  readonly lte?: number | string;
}

export const filterSchema: z.ZodType<Filter> = z
  .lazy(() =>
    z.union([
      z.strictObject({ eq: z.tuple([path, scalar]) }),
      z.strictObject({ in: z.tuple([path, z.array(scalar).min(1).max(100)]) }),
      z.strictObject({ prefix: z.tuple([path, z.string().min(1).max(200)]) }),
      z.strictObject({
        range: z.tuple([
          path,
          z
            .strictObject({
              gt: z.exactOptional(bound),
              gte: z.exactOptional(bound),
              lt: z.exactOptional(bound),
              lte: z.exactOptional(bound),
            })
            .refine((sides) => Object.keys(sides).length > 0, { error: "a range has at least one side" }),
        ]),
      }),
      z.strictObject({ and: z.array(filterSchema).min(1).max(16) }),
      z.strictObject({ or: z.array(filterSchema).min(1).max(16) }),
      z.strictObject({ not: filterSchema }),
    ]),
  )
  .meta({ id: "Filter", description: "a test of one record's fields" });

export const DELIVERIES = ["lossless", "latest", "sample"] as const;
/** What a slow client gets: everything or a disconnect; the newest of each key; the newest of all. */
export type Delivery = (typeof DELIVERIES)[number];

const subscribe = z.object({
  op: z.literal("subscribe"),
  id,
  channel,
  filter: z.exactOptional(filterSchema),
  delivery: z.exactOptional(z.enum(DELIVERIES)),
  everyMs: z.exactOptional(
    z.int().min(1).max(60_000).meta({ description: "latest and sample: at most once in so long" }),
  ),
  flushMs: z.exactOptional(
    z.int().min(0).max(100).meta({ description: "lossless: frames may wait so long for company" }),
  ),
  since: z.exactOptional(
    z
      .union([z.object({ epoch, offset }), offset])
      .meta({ description: "send what came after this, then go on live; a bare offset is the older form" }),
  ),
  epoch: z.exactOptional(epoch.meta({ description: "older form: the epoch of a bare since" })),
  presence: z.exactOptional(z.boolean().meta({ description: "tell who comes and goes" })),
});
const unsubscribe = z.object({ op: z.literal("unsubscribe"), id, channel });
const presenceRequest = z.object({ op: z.literal("presence"), id, channel });
const refresh = z.object({ op: z.literal("refresh"), id, token: z.string().min(1).max(16_384) });
const seen = z.object({
  op: z.literal("seen"),
  at: z
    .record(z.string().max(500), offset)
    .refine((at) => Object.keys(at).length <= 1_000, { error: "at most 1000 channels" })
    .meta({ description: "by channel: everything up to here has arrived; the answer to a heartbeat is its own `at`" }),
});
const ping = z.object({ op: z.literal("ping"), id: z.exactOptional(id) });

export const clientFrameSchema = z
  .discriminatedUnion("op", [subscribe, unsubscribe, presenceRequest, refresh, seen, ping])
  .meta({ id: "ClientFrame" });

export type ClientFrame = Readonly<z.infer<typeof clientFrameSchema>>;
export type SubscribeFrame = Extract<ClientFrame, { op: "subscribe" }>;

const hello = z.object({
  op: z.literal("hello"),
  protocol: z.enum(SUBPROTOCOLS),
  client: z.string().meta({ description: "this connection, as presence names it" }),
  user: z.string(),
  heartbeatMs: count.meta({
    description: "something comes at least this often; silence for twice as long is a dead connection",
  }),
  maxSubscriptions: count,
  maxMessageBytes: count,
  expiresInMs: z.exactOptional(count.meta({ description: "until the token ends: refresh before" })),
});
const subscribed = z.object({
  op: z.literal("subscribed"),
  id,
  channel,
  epoch,
  offset: offset.meta({ description: "prev of the first event that follows" }),
  history: z.exactOptional(z.literal(false).meta({ description: "the channel cannot replay" })),
  recovered: z.exactOptional(
    z.boolean().meta({ description: "present when since was given; false: something after it is gone" }),
  ),
  state: z.exactOptional(z.literal(true).meta({ description: "state frames follow: the whole state at offset" })),
  delivery: z.exactOptional(z.enum(DELIVERIES)),
  everyMs: z.exactOptional(count),
  flushMs: z.exactOptional(count),
});
const state = z.object({
  op: z.literal("state"),
  channel,
  offset,
  data: z.array(z.unknown()),
  last: z.boolean().meta({ description: "false: more of the state follows" }),
});
const event = z.object({
  op: z.literal("event"),
  channel,
  offset,
  prev: offset.meta({ description: "offset of this subscription's preceding event; of the answer, for the first" }),
  data: z.unknown(),
});
export const DROP_REASONS = ["conflated", "sampled", "slow"] as const;
const dropped = z.object({
  op: z.literal("dropped"),
  channel,
  count: count.meta({ description: "events not sent since the last notice" }),
  reason: z.enum(DROP_REASONS),
});
const heartbeat = z.object({
  op: z.literal("heartbeat"),
  at: z.record(z.string(), offset).meta({ description: "by channel: everything up to here was sent; good as since" }),
});
const member = z.object({ client: z.string(), user: z.string(), since: z.string() });
const presence = z.object({ op: z.literal("presence"), id, channel, here: z.array(member) });
const join = z.object({ op: z.literal("join"), channel, client: z.string(), user: z.string(), since: z.string() });
const leave = z.object({ op: z.literal("leave"), channel, client: z.string(), user: z.string() });
const refreshed = z.object({ op: z.literal("refreshed"), id, expiresInMs: z.exactOptional(count) });
const drain = z.object({
  op: z.literal("drain"),
  withinMs: count.meta({ description: "the gateway stops and closes this connection within that time" }),
});
const unsubscribed = z.object({ op: z.literal("unsubscribed"), id, channel });
const pong = z.object({ op: z.literal("pong"), id: z.exactOptional(id) });

export const ERROR_CODES = [
  "bad_request",
  "unknown_op",
  "unknown_channel",
  "already_subscribed",
  "not_subscribed",
  "too_many_subscriptions",
  "rate_limited",
  "unavailable",
  "forbidden",
  "unauthorized",
  "not_offered",
] as const;
export type ProtocolErrorCode = (typeof ERROR_CODES)[number];
const error = z.object({
  op: z.literal("error"),
  id: id.nullable().meta({ description: "null when the request's could not be read" }),
  code: z.enum(ERROR_CODES),
  message: z.string(),
});

export const serverFrameSchema = z
  .discriminatedUnion("op", [
    hello,
    subscribed,
    state,
    event,
    dropped,
    heartbeat,
    presence,
    join,
    leave,
    refreshed,
    drain,
    unsubscribed,
    pong,
    error,
  ])
  .meta({ id: "ServerFrame" });

export type HelloFrame = Readonly<z.infer<typeof hello>>;
export type SubscribedFrame = Readonly<z.infer<typeof subscribed>>;
export type StateFrame = Readonly<z.infer<typeof state>>;
export type DroppedFrame = Readonly<z.infer<typeof dropped>>;
export type DropReason = (typeof DROP_REASONS)[number];
export type ErrorFrame = Readonly<z.infer<typeof error>>;
export type PresenceMember = Readonly<z.infer<typeof member>>;

/** A client that gets `prev` other than the event offset it saw last has missed a frame: subscribe again with `since`. */
export type EventFrame<Name extends ChannelName = ChannelName> = Readonly<
  Omit<z.infer<typeof event>, "channel" | "data">
> & {
  readonly channel: Name;
  readonly data: ChannelData[Name];
};

export type ServerFrame = Readonly<Exclude<z.infer<typeof serverFrameSchema>, { op: "event" }>> | EventFrame;

/**
 * Close codes of the gateway; the range is the advice. 1001 and 3000 to 3499: reconnect with growing, random pauses and subscribe
 * with the last epoch and offset. 1003, 1007, 1009 and 3500 to 3999: the same would happen again, so do not.
 */
export const CLOSE_CODES = {
  goingAway: 1001,
  binaryFrame: 1003,
  tooLarge: 1009,
  expired: 3005,
  slow: 3008,
  replaced: 3010,
  silent: 3012,
  tooManyRequests: 3013,
  invalidToken: 3500,
  badRequest: 3501,
  connectionLimit: 3504,
  forbidden: 3507,
} as const;
export type CloseCode = (typeof CLOSE_CODES)[keyof typeof CLOSE_CODES];

/** Whether a client should come back after this close code. Codes that are nobody's (1006 among them) are lost connections. */
export function mayReconnect(code: number): boolean {
  if (code >= 3_500 && code <= 3_999) return false;
  return ![1002, 1003, 1007, 1008, 1009, 1010].includes(code);
}

/** Both directions as one JSON Schema (draft 2020-12), what `docs/protocol.schema.json` holds. */
export function protocolSchema(): object {
  const options = { target: "draft-2020-12", io: "input", reused: "inline" } as const;
  const registry = z.registry<{ id: string }>();
  registry.add(clientFrameSchema, { id: "ClientFrame" });
  registry.add(serverFrameSchema, { id: "ServerFrame" });
  registry.add(filterSchema, { id: "Filter" });
  const { schemas } = z.toJSONSchema(registry, { ...options, uri: (name) => `#/$defs/${name}` });
  const $defs = Object.fromEntries(
    Object.entries(schemas).map(([name, { $schema: _dialect, $id: _id, ...schema }]) => [name, schema]),
  );
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "millrace.v1",
    description: "One frame of the WebSocket protocol, either direction. See docs/protocol.md.",
    anyOf: [{ $ref: "#/$defs/ClientFrame" }, { $ref: "#/$defs/ServerFrame" }],
    $defs,
  };
}

import { Registry } from "prom-client";
import type { HttpRoute, Log, Logger, Registers } from "../core/index.js";
import { admission } from "./access/admission.js";
import type { ChannelRule } from "./access/channels.js";
import type { JwtOptions } from "./access/jwt.js";
import type { AccessLimits } from "./access/limits.js";
import { openAccess } from "./access/open.js";
import { type ApiOptions, apiRoutes } from "./api.js";
import { createAuditTrail } from "./audit.js";
import { isLoopback } from "./auth.js";
import type { Feed } from "./feed.js";
import { createHttpApp } from "./http-app.js";
import { createHub, HUB_LIMITS, type HubLimits } from "./hub.js";
import { logFeed } from "./log-feed.js";
import { createMetrics, type ForeignMetric, type GatewayMetrics } from "./metrics.js";
import { stateFeed } from "./state-feed.js";
import { loadStatic } from "./static.js";
import { createServer, type TransportLimits, type WsEndpoint } from "./transport.js";

/** A channel as data: records of a stream, or (without `stream`) the whole state each second. */
export type ChannelSpec =
  | { readonly name: string; readonly stream: string; readonly subjects: readonly string[]; readonly history: true }
  | { readonly name: string; readonly history: false };

/** The channels of this build. */
export const CHANNELS: readonly ChannelSpec[] = [
  { name: "alerts", stream: "alerts", subjects: ["alerts.*.*"], history: true },
  { name: "plans", stream: "plans", subjects: ["plans.*.ready"], history: true },
  { name: "stats", history: false },
];

export interface GatewayOptions extends Omit<ApiOptions, "metrics" | "mayRead"> {
  readonly log: Log;
  readonly channels?: readonly ChannelSpec[];
  /** Doors, mounted beside the gateway's own routes. */
  readonly routes: readonly HttpRoute[];
  /** The built page; without it `/` is 404. */
  readonly staticDir?: string | undefined;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly localKey: string;
  readonly logger: Logger;
  readonly registry?: Registry;
  /** Counters of other threads, added to `/metrics`. */
  readonly collect?: () => Promise<readonly ForeignMetric[]>;
  readonly transport?: "auto" | "uws" | "node";
  /** Origins (`https://host[:port]`) whose pages may open the WebSocket, beside our own. */
  readonly allowedOrigins?: readonly string[];
  /** Who may read which channel; one no rule names is for viewers. */
  readonly channelRules?: readonly ChannelRule[];
  /** Tokens that count beside the local key. @default none */
  readonly tokens?: JwtOptions;
  /** Where display tokens and API keys are kept; without it there are none. */
  readonly registers?: Registers;
  /** Addresses and networks whose X-Forwarded-For is believed. */
  readonly trustedProxies?: readonly string[];
  readonly limits?: Partial<HubLimits & TransportLimits & AccessLimits>;
}

export interface Gateway {
  readonly url: string;
  readonly port: number;
  readonly transport: "uws" | "node";
  /** What `/metrics` answers. */
  metrics(): Promise<string>;
  /** Close frames with 1001, answers to requests in flight, then every socket; within 2 s. Safe to call twice. */
  close(): Promise<void>;
}

/** A longer client message closes the connection with 1009. */
const MAX_MESSAGE_BYTES = 64 << 10;
const STATE_EVERY_MS = 1_000;
/** Longer than the query limit, shorter than a client's patience. */
const HANDLER_MS = 30_000;
const CLOSE_FRAMES_MS = 800;
const CLOSE_REQUESTS_MS = 800;

/**
 * The one port: HTTP routes, the page, and `/ws`. Channels come up as soon as the log answers; until then a subscription is refused
 * with `unavailable`. Errors: MR_PORT_IN_USE, MR_OPTION_INVALID (the page, the key, or two routes on one path).
 */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const { host, logger } = options;
  const limits = { ...HUB_LIMITS, ...options.limits };
  const metrics = createMetrics(options.registry ?? new Registry(), options.collect, logger);
  const audit = createAuditTrail({ log: options.log, logger, metrics });
  const access = await openAccess({
    host,
    localKey: options.localKey,
    tokens: options.tokens ?? {},
    registers: options.registers,
    channelRules: options.channelRules ?? [],
    limits: options.limits ?? {},
    trustedProxies: options.trustedProxies ?? [],
    audit,
    logger,
  }).catch((error: unknown) => {
    metrics.close();
    throw error;
  });
  const giveUp = (error: unknown): never => {
    access.close();
    metrics.close();
    throw error;
  };
  const files = options.staticDir === undefined ? undefined : await loadStatic(options.staticDir).catch(giveUp);
  const feeds = createFeeds(options, metrics);
  const hub = createHub({ feeds, limits, metrics, logger, access });
  const endpoint: WsEndpoint = {
    path: "/ws",
    maxMessageBytes: MAX_MESSAGE_BYTES,
    maxBufferedBytes: limits.maxBufferedBytes,
    admit: admission(access, hub, options.allowedOrigins ?? []),
  };
  const app = createHttpApp({
    routes: [...apiRoutes({ ...options, metrics: metrics.text, mayRead: access.mayRead }), ...options.routes],
    files,
    wsPaths: [endpoint.path],
    access,
    loopback: isLoopback(host),
    handlerMs: HANDLER_MS,
    logger,
    count: metrics.request,
  });
  const closeFeeds = () => Promise.all([...feeds.values()].map((feed) => feed.close()));
  const server = await createServer({
    transport: options.transport ?? "auto",
    host,
    port: options.port,
    app,
    endpoints: [endpoint],
    limits: options.limits ?? {},
    logger,
  }).catch(async (error: unknown) => {
    await closeFeeds();
    return giveUp(error);
  });
  logger.info({ host, port: server.port, transport: server.transport }, "gateway listening");

  let closing: Promise<void> | undefined;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${server.port}`,
    port: server.port,
    transport: server.transport,
    metrics: metrics.text,
    close() {
      closing ??= (async () => {
        await hub.close(CLOSE_FRAMES_MS);
        await Promise.all([server.close(CLOSE_REQUESTS_MS), closeFeeds()]);
        access.close();
        await audit.close();
        metrics.close();
      })();
      return closing;
    },
  };
}

function createFeeds(options: GatewayOptions, metrics: GatewayMetrics): ReadonlyMap<string, Feed> {
  const { log, logger, stats } = options;
  const feeds = (options.channels ?? CHANNELS).map((channel) => {
    if (!channel.history)
      return stateFeed({ name: channel.name, everyMs: STATE_EVERY_MS, read: stats, metrics, logger });
    return logFeed({ ...channel, log, metrics, logger });
  });
  return new Map(feeds.map((feed) => [feed.name, feed]));
}

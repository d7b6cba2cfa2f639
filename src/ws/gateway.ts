import { Registry } from "prom-client";
import type { ChannelDeclaration, HttpRoute, Log, Logger, Registers } from "../core/index.js";
import { admission } from "./access/admission.js";
import type { ChannelRule } from "./access/channels.js";
import type { JwtOptions } from "./access/jwt.js";
import type { AccessLimits } from "./access/limits.js";
import { openAccess } from "./access/open.js";
import { type ApiOptions, apiRoutes } from "./api.js";
import { createAuditTrail } from "./audit.js";
import { isLoopback } from "./auth.js";
import type { Encoding } from "./channels/encoding.js";
import { channelShape } from "./channels/names.js";
import type { Feed } from "./feed.js";
import { createHttpApp } from "./http-app.js";
import { createHub, HUB_LIMITS, type HubLimits } from "./hub.js";
import { type LogFeedOptions, logFeed } from "./log-feed.js";
import { createMetrics, type ForeignMetric } from "./metrics.js";
import { SUBPROTOCOLS } from "./protocol.js";
import { sseEndpoint } from "./sse.js";
import { stateFeed } from "./state-feed.js";
import { loadStatic } from "./static.js";
import { createServer, loopTopic, type Server, type TransportLimits, type WsEndpoint } from "./transport.js";

export interface GatewayOptions extends Omit<ApiOptions, "metrics" | "mayRead"> {
  readonly log: Log;
  /** What clients can subscribe to. A polled channel is read by `stats`. */
  readonly channels: readonly ChannelDeclaration[];
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

const PROTOCOLS = SUBPROTOCOLS.map((name) => ({ name, binary: name.endsWith(".msgpack") }));
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
    channelRules: [...(options.channelRules ?? []), ...declaredRules(options.channels)],
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
  let server: Server | undefined;
  const topics = (encoding: Encoding) =>
    server && encoding.name !== "sse" ? server.topic(encoding.binary) : loopTopic();
  const feeds = createFeeds(options, { metrics, topics, maxBufferedBytes: limits.maxBufferedBytes });
  const hub = createHub({ feeds, limits, metrics, logger, access, wallMs: options.tokens?.nowMs ?? Date.now });
  const endpoint: WsEndpoint = {
    path: "/ws",
    protocols: PROTOCOLS,
    maxMessageBytes: limits.maxMessageBytes,
    maxBufferedBytes: limits.maxBufferedBytes,
    admit: admission(access, hub, options.allowedOrigins ?? []),
  };
  const stream = sseEndpoint({ access, hub, allowedOrigins: options.allowedOrigins ?? [] });
  const app = createHttpApp({
    routes: [...apiRoutes({ ...options, metrics: metrics.text, mayRead: access.mayRead }), ...options.routes],
    files,
    wsPaths: [endpoint.path],
    streamPaths: [stream.path],
    access,
    loopback: isLoopback(host),
    handlerMs: HANDLER_MS,
    logger,
    count: metrics.request,
  });
  const closeFeeds = () => Promise.all(feeds.map((feed) => feed.close()));
  const listening = await createServer({
    transport: options.transport ?? "auto",
    host,
    port: options.port,
    app,
    endpoints: [endpoint],
    streams: [stream],
    limits: options.limits ?? {},
    logger,
  }).catch(async (error: unknown) => {
    await closeFeeds();
    return giveUp(error);
  });
  server = listening;
  logger.info({ host, port: listening.port, transport: listening.transport }, "gateway listening");

  let closing: Promise<void> | undefined;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${listening.port}`,
    port: listening.port,
    transport: listening.transport,
    metrics: metrics.text,
    close() {
      closing ??= (async () => {
        await hub.close(CLOSE_FRAMES_MS);
        await Promise.all([listening.close(CLOSE_REQUESTS_MS), closeFeeds()]);
        access.close();
        await audit.close();
        metrics.close();
      })();
      return closing;
    },
  };
}

function createFeeds(
  { channels, log, logger, stats }: GatewayOptions,
  shared: Pick<LogFeedOptions, "metrics" | "topics" | "maxBufferedBytes">,
): readonly Feed[] {
  return channels.map((declaration) =>
    declaration.kind === "polled"
      ? stateFeed({ ...shared, declaration, read: stats, logger })
      : logFeed({ ...shared, declaration, log, logger }),
  );
}

/** The role a channel is declared for; rules that were given come before it. */
function declaredRules(channels: readonly ChannelDeclaration[]): readonly ChannelRule[] {
  return channels.flatMap((declaration) =>
    channelShape(declaration).patterns.map((channel) => ({ channel, role: declaration.role })),
  );
}

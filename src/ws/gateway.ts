import { Registry } from "prom-client";
import { type ChannelDeclaration, type HttpRoute, type Log, type Logger, MillraceError } from "../core/index.js";
import { type Access, type AuditTrail, createAccess } from "./access/access.js";
import type { ChannelRule } from "./access/channels.js";
import { refused, type Verdict } from "./access/identity.js";
import { type ApiOptions, apiRoutes } from "./api.js";
import { isLoopback, isOriginAllowed } from "./auth.js";
import type { Encoding } from "./channels/encoding.js";
import { channelShape } from "./channels/names.js";
import type { Feed } from "./feed.js";
import { createHttpApp } from "./http-app.js";
import { createHub, HUB_LIMITS, type Hub, type HubLimits } from "./hub.js";
import { type LogFeedOptions, logFeed } from "./log-feed.js";
import { createMetrics, type ForeignMetric } from "./metrics.js";
import { refusalReply } from "./problem.js";
import { SUBPROTOCOLS } from "./protocol.js";
import { stateFeed } from "./state-feed.js";
import { loadStatic } from "./static.js";
import {
  createServer,
  loopTopic,
  type RequestHead,
  type Server,
  type TransportLimits,
  type WsAdmission,
  type WsEndpoint,
} from "./transport.js";

export interface GatewayOptions extends Omit<ApiOptions, "metrics"> {
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
  readonly limits?: Partial<HubLimits & TransportLimits>;
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
  const { localKey, host, logger } = options;
  if (localKey.length < 16)
    throw new MillraceError("MR_OPTION_INVALID", "the local key must have at least 16 characters");
  const limits = { ...HUB_LIMITS, ...options.limits };
  const metrics = createMetrics(options.registry ?? new Registry(), options.collect, logger);
  const audit: AuditTrail = { record() {} };
  const access = createAccess({
    localKey,
    channelRules: [...(options.channelRules ?? []), ...declaredRules(options.channels)],
    audit,
  });
  const files = options.staticDir === undefined ? undefined : await loadStatic(options.staticDir);
  let server: Server | undefined;
  const topics = (encoding: Encoding) =>
    server && encoding.name !== "sse" ? server.topic(encoding.binary) : loopTopic();
  const feeds = createFeeds(options, { metrics, topics, maxBufferedBytes: limits.maxBufferedBytes });
  const hub = createHub({ feeds, limits, metrics, logger, access });
  const endpoint: WsEndpoint = {
    path: "/ws",
    protocols: PROTOCOLS,
    maxMessageBytes: limits.maxMessageBytes,
    maxBufferedBytes: limits.maxBufferedBytes,
    admit: admission(access, hub, options.allowedOrigins ?? []),
  };
  const app = createHttpApp({
    routes: [...apiRoutes({ ...options, metrics: metrics.text }), ...options.routes],
    files,
    wsPaths: [endpoint.path],
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
    limits: options.limits ?? {},
    logger,
  }).catch(async (error: unknown) => {
    metrics.close();
    await closeFeeds();
    throw error;
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

/** Lets a WebSocket in: the page it comes from, then whose it is. */
function admission(access: Access, hub: Hub, allowedOrigins: readonly string[]): WsEndpoint["admit"] {
  return (head: RequestHead) => {
    const { remoteAddress: address } = head;
    const decide = (verdict: Verdict): WsAdmission => {
      if (verdict.kind === "refused") {
        access.audit.record({ subject: "unknown", address }, "connect", verdict.why);
        return { kind: "refuse", reply: refusalReply(verdict) };
      }
      const { identity } = verdict;
      access.audit.record({ subject: identity.subject, address }, "connect", "ok");
      return { kind: "accept", open: (socket) => hub.open(socket, { identity, address }) };
    };
    if (!isOriginAllowed(head, allowedOrigins))
      return decide(refused(403, "origin", "pages of this origin may not connect"));
    const verdict = access.identify(head);
    return verdict instanceof Promise ? verdict.then(decide) : decide(verdict);
  };
}

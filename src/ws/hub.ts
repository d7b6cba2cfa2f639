import { randomBytes } from "node:crypto";
import type { Logger } from "../core/index.js";
import type { Access } from "./access/access.js";
import type { Identity } from "./access/identity.js";
import { Connection } from "./connection.js";
import type { Feed } from "./feed.js";
import type { GatewayMetrics } from "./metrics.js";
import { Presence } from "./presence.js";
import type { WsListener, WsSocket } from "./transport.js";

export interface HubLimits {
  /** Waiting for one client beyond this: it is closed with 3008. A frame on its own may be larger. */
  readonly maxBufferedBytes: number;
  /** A replay that has had no room for this long: the client is closed with 3008. */
  readonly replayStallMs: number;
  readonly maxSubscriptions: number;
  /** A longer client message closes the connection with 1009. */
  readonly maxMessageBytes: number;
  /** Client frames: so many at once, then so many a second. As many again beyond that and the client is closed with 3013. */
  readonly burst: number;
  readonly perSecond: number;
  /** Greeted clients hear something at least this often. */
  readonly heartbeatMs: number;
  /** A gateway that stops closes its connections one after the other over this time. */
  readonly drainMs: number;
}

export const HUB_LIMITS: HubLimits = {
  maxBufferedBytes: 1 << 20,
  replayStallMs: 10_000,
  maxSubscriptions: 32,
  maxMessageBytes: 64 << 10,
  burst: 60,
  perSecond: 20,
  heartbeatMs: 25_000,
  drainMs: 500,
};

/** Whose a connection is. */
export interface Client {
  readonly identity: Identity;
  readonly address: string;
  /** Called once, when the connection has ended. */
  left(): void;
}

export interface Hub {
  open(socket: WsSocket, client: Client): WsListener;
  /** The same, for a client that subscribes by the address it asked for. */
  subscribe(socket: WsSocket, client: Client, frame: Parameters<Connection["handle"]>[0]): WsListener;
  hasChannel(name: string): boolean;
  /** The channels there are, in words. */
  readonly channels: string;
  /** Tells every client to come back, spread over `drainMs`; resolves when all are gone, or `graceMs` after the last was told. */
  close(graceMs: number): Promise<void>;
}

export interface HubOptions {
  readonly feeds: readonly Feed[];
  readonly limits: HubLimits;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
  readonly access: Access;
  /** The clock by which identities end. @default Date.now */
  readonly wallMs?: () => number;
}

/** What all connections share. */
export interface HubParts extends Omit<HubOptions, "wallMs"> {
  readonly presence: Presence;
  feedOf(channel: string): Feed | undefined;
  /** The channels there are, for a client that asked for another. */
  readonly explainNames: string;
  nowMs(): number;
  wallMs(): number;
  gone(connection: Connection): void;
}

const TICK_MS = 1_000;
const DRAIN_STEP_MS = 20;

/** Connections and their subscriptions: answers the protocol of docs/protocol.md from the `feeds` it is given. */
export function createHub(options: HubOptions): Hub {
  const { feeds, limits, metrics } = options;
  const connections = new Set<Connection>();
  let emptied: (() => void) | undefined;
  let names = 0;
  const run = randomBytes(5).toString("hex");
  const parts: HubParts = {
    ...options,
    wallMs: options.wallMs ?? Date.now,
    presence: new Presence(),
    feedOf: (channel) => feeds.find(({ shape }) => shape.subjectOf(channel) !== undefined),
    explainNames: feeds.map(({ declaration }) => declaration.name).join(", "),
    nowMs: () => performance.now(),
    gone(connection) {
      connections.delete(connection);
      connection.clientLeft();
      if (connections.size === 0) emptied?.();
    },
  };
  options.access.onRevoked((subject) => {
    for (const connection of connections)
      if (connection.identity.subject === subject)
        connection.end(3500, "protocol", "the token was revoked; get another one first");
  });
  const ticking = setInterval(
    () => {
      const [nowMs, wallMs] = [parts.nowMs(), parts.wallMs()];
      for (const connection of connections) connection.beat(nowMs, wallMs);
    },
    Math.min(TICK_MS, limits.heartbeatMs),
  );
  ticking.unref();

  const open = (socket: WsSocket, client: Client) => {
    metrics.opened();
    const connection = new Connection(socket, `${run}${(++names).toString(16).padStart(6, "0")}`, client, parts);
    // Spread from the beginning: a storm of clients must not be greeted again in one moment for ever after.
    connection.nextBeatMs = parts.nowMs() + limits.heartbeatMs * (0.5 + Math.random() / 2);
    connections.add(connection);
    return connection;
  };
  return {
    open(socket, client) {
      const connection = open(socket, client);
      if (connection.isGreeted) connection.greet();
      return connection;
    },
    subscribe(socket, client, frame) {
      const connection = open(socket, client);
      connection.handle(frame);
      return connection;
    },
    hasChannel: (name) => parts.feedOf(name) !== undefined,
    channels: parts.explainNames,
    async close(graceMs) {
      clearInterval(ticking);
      if (connections.size === 0) return;
      const gone = new Promise<void>((resolve) => (emptied = resolve));
      const told = drain([...connections], limits.drainMs);
      await Promise.race([gone, told.then(() => new Promise((resolve) => setTimeout(resolve, graceMs).unref()))]);
    },
  };
}

/** Everybody at once would come back at once. */
async function drain(connections: readonly Connection[], drainMs: number): Promise<void> {
  const steps = Math.max(1, Math.min(connections.length, Math.floor(drainMs / DRAIN_STEP_MS)));
  for (const connection of connections)
    if (connection.isGreeted && steps > 1) connection.answer({ op: "drain", withinMs: drainMs });
  for (let step = 0; step < steps; step++) {
    if (step > 0) await new Promise((resolve) => setTimeout(resolve, DRAIN_STEP_MS));
    for (let i = step; i < connections.length; i += steps)
      connections[i]?.end(1001, "shutdown", "going away; reconnect in 1 to 5 s with since");
  }
}

import type { Logger } from "../core/index.js";
import type { Access } from "./access/access.js";
import type { Identity } from "./access/identity.js";
import type { Feed, Subscriber } from "./feed.js";
import type { CloseReason, GatewayMetrics } from "./metrics.js";
import { parseClientFrame } from "./parse.js";
import type { ClientFrame, CloseCode, ProtocolErrorCode, ServerFrame } from "./protocol.js";
import type { WsListener, WsSocket } from "./transport.js";

export interface HubLimits {
  /** Waiting for one client beyond this: it is closed with 3008. A frame on its own may be larger. */
  readonly maxBufferedBytes: number;
  /** A replay that has had no room for this long: the client is closed with 3008. */
  readonly replayStallMs: number;
  readonly maxSubscriptions: number;
  /** Client frames: so many at once, then so many a second. As many again beyond that and the client is closed with 3013. */
  readonly burst: number;
  readonly perSecond: number;
}

export const HUB_LIMITS: HubLimits = {
  maxBufferedBytes: 1 << 20,
  replayStallMs: 10_000,
  maxSubscriptions: 32,
  burst: 60,
  perSecond: 20,
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
  /** Tells every client to come back; resolves when all are gone, or after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** Connections and their subscriptions: answers the protocol of docs/protocol.md from the `feeds` it is given. */
export function createHub(options: {
  readonly feeds: ReadonlyMap<string, Feed>;
  readonly limits: HubLimits;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
  readonly access: Access;
}): Hub {
  const connections = new Set<Connection>();
  let emptied: (() => void) | undefined;
  options.access.onRevoked((subject) => {
    for (const connection of connections)
      if (connection.subject === subject)
        connection.end(3500, "protocol", "the token was revoked; get another one first");
  });
  return {
    open(socket, client) {
      options.metrics.opened();
      const connection = new Connection(socket, client, options, () => {
        connections.delete(connection);
        client.left();
        if (connections.size === 0) emptied?.();
      });
      connections.add(connection);
      return connection;
    },
    async close(graceMs) {
      if (connections.size === 0) return;
      const gone = new Promise<void>((resolve) => (emptied = resolve));
      for (const connection of connections)
        connection.end(1001, "shutdown", "going away; reconnect in 1 to 5 s with since");
      const timer = new Promise<void>((resolve) => setTimeout(resolve, graceMs).unref());
      await Promise.race([gone, timer]);
    },
  };
}

interface Subscription extends Subscriber {
  readonly feed: Feed;
  end(): void;
}

type Shared = Parameters<typeof createHub>[0];

class Connection implements WsListener {
  readonly #socket: WsSocket;
  readonly #client: Client;
  readonly #shared: Shared;
  readonly #gone: () => void;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #rate: () => "ok" | "over" | "abuse";
  #open = true;
  /** Replays waiting for the client to read. */
  #waiting: ((room: boolean) => void)[] = [];

  constructor(socket: WsSocket, client: Client, shared: Shared, gone: () => void) {
    this.#socket = socket;
    this.#client = client;
    this.#shared = shared;
    this.#gone = gone;
    this.#rate = rateLimit(shared.limits);
  }

  get subject(): string {
    return this.#client.identity.subject;
  }

  message(text: string): void {
    if (!this.#open) return;
    const { metrics } = this.#shared;
    metrics.message();
    const rate = this.#rate();
    if (rate === "abuse") this.end(3013, "rate", "too many requests; reconnect in 10 to 60 s");
    else if (rate === "over") this.#error(null, "rate_limited", "too many requests; this one was not read");
    else {
      const parsed = parseClientFrame(text);
      if (parsed.kind === "error") this.#error(parsed.error.id, parsed.error.code, parsed.error.message);
      else this.#handle(parsed.frame);
    }
  }

  drain(): void {
    if (this.#socket.bufferedBytes() > replayRoom(this.#shared.limits)) return;
    this.#wake(true);
  }

  close(code: number): void {
    this.#leave(reasonOf(code));
    this.#gone();
  }

  /** Closes from our side. Nothing is sent after it. */
  end(code: CloseCode, reason: CloseReason, message: string): void {
    if (!this.#open) return;
    this.#leave(reason);
    this.#socket.close(code, message);
  }

  #leave(reason: CloseReason): void {
    if (!this.#open) return;
    this.#open = false;
    this.#shared.metrics.closed(reason);
    for (const subscription of [...this.#subscriptions.values()]) subscription.end();
    this.#wake(false);
  }

  #wake(room: boolean): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve(room);
  }

  #handle(frame: ClientFrame): void {
    if (frame.op === "ping") {
      this.#answer({ ...frame, op: "pong" });
      return;
    }
    if (frame.op === "presence" || frame.op === "refresh") {
      this.#error(frame.id, "not_offered", `${frame.op} is not offered here`);
      return;
    }
    const { id, channel } = frame;
    const refused = frame.op === "subscribe" ? this.#subscribe(frame) : this.#unsubscribe(frame);
    if (refused) this.#error(id, refused, this.#explain(refused, channel));
  }

  #unsubscribe({ id, channel }: { id: number; channel: string }): ProtocolErrorCode | undefined {
    const present = this.#subscriptions.get(channel);
    if (!present) return "not_subscribed";
    present.end();
    this.#answer({ op: "unsubscribed", id, channel });
    return undefined;
  }

  #subscribe(frame: ClientFrame & { op: "subscribe" }): ProtocolErrorCode | undefined {
    const { feeds, limits, metrics, access } = this.#shared;
    const { identity, address } = this.#client;
    const feed = feeds.get(frame.channel);
    if (!feed) return "unknown_channel";
    const mayRead = access.mayRead(identity, feed.name);
    access.audit.record(
      { subject: identity.subject, address },
      `subscribe ${feed.name}`,
      mayRead ? "ok" : "permission",
    );
    if (!mayRead) return "forbidden";
    if (this.#subscriptions.has(feed.name)) return "already_subscribed";
    if (this.#subscriptions.size >= limits.maxSubscriptions) return "too_many_subscriptions";
    const subscription = this.#subscription(feed, frame.id);
    this.#subscriptions.set(feed.name, subscription);
    metrics.subscriptions(feed.name, 1);
    const { since, epoch } = frame;
    const from = typeof since === "number" ? { since, ...(epoch === undefined ? {} : { epoch }) } : undefined;
    feed.attach(subscription, from ?? (typeof since === "object" ? { since: since.offset, epoch: since.epoch } : {}));
    return undefined;
  }

  #explain(code: ProtocolErrorCode, channel: string): string {
    const { feeds, limits } = this.#shared;
    if (code === "unknown_channel") return `channels are ${[...feeds.keys()].join(", ")}`;
    if (code === "forbidden") return `your role may not read ${quote(channel)}`;
    if (code === "too_many_subscriptions") return `at most ${limits.maxSubscriptions} subscriptions a connection`;
    return `${code === "not_subscribed" ? "not" : "already"} subscribed to ${quote(channel)}`;
  }

  #subscription(feed: Feed, id: number): Subscription {
    const socket = this.#socket;
    const { limits, metrics } = this.#shared;
    const { name } = feed;
    let active = true;
    let answered = false;
    const subscription: Subscription = {
      feed,
      last: 0,
      isActive: () => active,
      subscribed: (reply) => {
        answered = true;
        this.#answer({ op: "subscribed", id, channel: name, ...reply });
      },
      unavailable: (message) => {
        subscription.end();
        if (answered) this.end(3010, "replaced", "the channel was interrupted; reconnect with since");
        else this.#error(id, "unavailable", message);
      },
      send: (frame) => active && this.#send(frame),
      cork: (work) => socket.cork(work),
      hasRoom: () => socket.bufferedBytes() <= replayRoom(limits),
      room: () => this.#room(),
      replaced: () => this.end(3010, "replaced", "the log of a channel was replaced; reconnect, offsets start over"),
      end: () => {
        if (!active) return;
        active = false;
        this.#subscriptions.delete(name);
        metrics.subscriptions(name, -1);
        feed.detach(subscription);
      },
    };
    return subscription;
  }

  #room(): Promise<boolean> {
    if (!this.#open) return Promise.resolve(false);
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#slow(), this.#shared.limits.replayStallMs);
      this.#waiting.push((room) => {
        clearTimeout(timer);
        resolve(room);
      });
    });
  }

  #send(frame: Buffer): boolean {
    const waiting = this.#socket.bufferedBytes();
    if (waiting > 0 && waiting + frame.byteLength > this.#shared.limits.maxBufferedBytes) {
      this.#slow();
      return false;
    }
    this.#socket.send(frame);
    return true;
  }

  #slow(): void {
    this.end(3008, "slow", "reads too slowly; reconnect with since");
  }

  #answer(frame: ServerFrame): void {
    if (this.#open) this.#send(Buffer.from(JSON.stringify(frame)));
  }

  #error(id: number | null, code: ProtocolErrorCode, message: string): void {
    this.#shared.metrics.error(code);
    this.#answer({ op: "error", id, code, message });
  }
}

/** A replay sends on while less than this waits, so that live events of other channels still find room. */
function replayRoom({ maxBufferedBytes }: HubLimits): number {
  return maxBufferedBytes / 4;
}

function reasonOf(code: number): CloseReason {
  if (code === 1006) return "lost";
  return code === 1003 || code === 1007 || code === 1009 ? "protocol" : "client";
}

/** A client's own text in our answer: short, and as JSON shows it. */
function quote(text: string): string {
  return JSON.stringify(text.length > 50 ? `${text.slice(0, 50)}…` : text);
}

/** A token bucket that runs into debt: in debt is "over", in debt by a whole burst is "abuse". */
function rateLimit({ burst, perSecond }: HubLimits): () => "ok" | "over" | "abuse" {
  let tokens = burst;
  let thenMs = performance.now();
  return () => {
    const nowMs = performance.now();
    tokens = Math.min(burst, tokens + ((nowMs - thenMs) * perSecond) / 1_000);
    thenMs = nowMs;
    tokens -= 1;
    if (tokens >= 0) return "ok";
    return tokens > -burst ? "over" : "abuse";
  };
}

import { decode } from "@msgpack/msgpack";
import type { ChannelDeclaration } from "../core/index.js";
import type { Identity } from "./access/identity.js";
import { type Encoding, json, msgpack, sse } from "./channels/encoding.js";
import { type CompiledFilter, compileFilter } from "./channels/filter.js";
import type { Since } from "./feed.js";
import type { Client, HubParts } from "./hub.js";
import type { CloseReason } from "./metrics.js";
import { type Parsed, parseClientFrame, readClientFrame } from "./parse.js";
import type { Watcher } from "./presence.js";
import type {
  ClientFrame,
  CloseCode,
  PresenceMember,
  ProtocolErrorCode,
  ServerFrame,
  Subprotocol,
  SubscribeFrame,
} from "./protocol.js";
import { type Granted, Subscription, type SubscriptionOwner } from "./subscription.js";
import type { WsListener, WsSocket } from "./transport.js";

/** Times asked for become one of these, so that subscriptions can share their frames. */
const STEPS_MS = [0, 1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];
const EVERY_MS = 1_000;

/** One client: reads its requests, keeps its subscriptions, and sees to it that never more than the bound waits for it. */
export class Connection implements WsListener, SubscriptionOwner, Watcher {
  readonly socket: WsSocket;
  readonly name: string;
  /** When the next heartbeat is due, on the clock of the hub. */
  nextBeatMs = 0;
  #client: Client;
  readonly #parts: HubParts;
  readonly #encoding: Encoding;
  readonly #subscriptions = new Map<string, Subscription>();
  #expiresAtMs: number;
  #tokens: number;
  #countedMs: number;
  #open = true;
  /** Heartbeats since the client last said what has arrived; undefined for a client that never did. */
  #unseenBeats: number | undefined;
  /** Replays waiting for the client to read. */
  #waiting: ((room: boolean) => void)[] | undefined;

  constructor(socket: WsSocket, name: string, client: Client, parts: HubParts) {
    this.socket = socket;
    this.name = name;
    this.#client = client;
    this.#expiresAtMs = client.identity.expiresAtMs;
    this.#parts = parts;
    this.#encoding = encodingOf(socket.protocol);
    this.#tokens = parts.limits.burst;
    this.#countedMs = parts.nowMs();
  }

  get identity(): Identity {
    return this.#client.identity;
  }

  clientLeft(): void {
    this.#client.left();
  }

  /** True for clients that named the protocol: they are greeted and kept informed. */
  get isGreeted(): boolean {
    return this.socket.protocol?.startsWith("millrace.v1") ?? false;
  }

  greet(): void {
    const { limits } = this.#parts;
    this.answer({
      op: "hello",
      protocol: this.socket.protocol as Subprotocol,
      client: this.name,
      user: this.identity.subject,
      heartbeatMs: limits.heartbeatMs,
      maxSubscriptions: limits.maxSubscriptions,
      maxMessageBytes: limits.maxMessageBytes,
      ...this.#expiry(),
    });
  }

  message(data: string | Uint8Array): void {
    if (!this.#open) return;
    this.#parts.metrics.message();
    const rate = this.#rate();
    if (rate === "abuse") this.end(3013, "rate", "too many requests; reconnect in 10 to 60 s");
    else if (rate === "over") this.#error(null, "rate_limited", "too many requests; this one was not read");
    else {
      const parsed = typeof data === "string" ? parseClientFrame(data) : unpack(data);
      if (parsed.kind === "error") this.#error(parsed.error.id, parsed.error.code, parsed.error.message);
      else this.handle(parsed.frame);
    }
  }

  drain(): void {
    if (this.#waiting && this.hasRoom()) this.#wake(true);
  }

  close(code: number): void {
    this.#leave(reasonOf(code));
    this.#parts.gone(this);
  }

  /** Closes from our side. Nothing is sent after it. */
  end(code: CloseCode, reason: CloseReason, message: string): void {
    if (!this.#open) return;
    if (this.#encoding === sse) this.socket.send(endOfEvents(code, message));
    this.#leave(reason);
    this.socket.close(code, message);
  }

  /** Ends a connection whose token has ended, and says a word to one that has been quiet. Called each second for each connection. */
  beat(nowMs: number, wallMs: number): void {
    if (this.#expiresAtMs <= wallMs) {
      this.end(3005, "expired", "the token has ended; reconnect with a fresh one and since");
      return;
    }
    if (nowMs < this.nextBeatMs) return;
    const { heartbeatMs } = this.#parts.limits;
    this.nextBeatMs = nowMs + (this.#encoding === sse ? Math.min(heartbeatMs, SSE_BEAT_MS) : heartbeatMs);
    if (this.#encoding === sse) this.socket.send(COMMENT);
    else if (!this.isGreeted) return;
    else if (this.#unseenBeats !== undefined && ++this.#unseenBeats > UNSEEN_BEATS_MOST) this.slow();
    else this.answer({ op: "heartbeat", at: this.#reached() });
  }

  handle(frame: ClientFrame): void {
    if (frame.op === "ping") this.answer({ ...frame, op: "pong" });
    else if (frame.op === "seen") this.#seen(frame.at);
    else if (frame.op === "refresh") void this.#refresh(frame.id, frame.token);
    else {
      const { id, channel } = frame;
      const refused =
        frame.op === "subscribe"
          ? this.#subscribe(frame)
          : frame.op === "unsubscribe"
            ? this.#unsubscribe(id, channel)
            : this.#presence(id, channel);
      if (refused) this.#error(id, refused.code, refused.message);
    }
  }

  // What subscriptions need.

  sendFrame(frame: Buffer): boolean {
    const waiting = this.socket.bufferedBytes();
    if (waiting > 0 && waiting + frame.byteLength > this.#parts.limits.maxBufferedBytes) {
      this.slow();
      return false;
    }
    this.socket.send(frame);
    return true;
  }

  answer(frame: ServerFrame): void {
    if (this.#open) this.sendFrame(this.#encoding.frame(frame));
  }

  /** A replay sends on while less than this waits, so that live events of other channels still find room. */
  hasRoom(): boolean {
    return this.#open && this.socket.bufferedBytes() <= this.#parts.limits.maxBufferedBytes / 4;
  }

  room(): Promise<boolean> {
    if (!this.#open) return Promise.resolve(false);
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.slow(), this.#parts.limits.replayStallMs);
      this.#waiting ??= [];
      this.#waiting.push((room) => {
        clearTimeout(timer);
        resolve(room);
      });
    });
  }

  slow(): void {
    this.end(3008, "slow", "reads too slowly; reconnect with since");
  }

  interrupted(message: string): void {
    this.end(3010, "replaced", message);
  }

  unavailable(id: number, message: string): void {
    this.#error(id, "unavailable", message);
  }

  forget({ channel, feed }: Subscription): void {
    this.#subscriptions.delete(channel);
    this.#parts.metrics.subscriptions(feed.shape.base, -1);
    if (!feed.declaration.presence) return;
    this.#parts.presence.unwatch(channel, this);
    this.#parts.presence.leave(channel, this.name);
  }

  // What presence tells.

  joined(channel: string, who: PresenceMember): void {
    this.answer({ op: "join", channel, ...who });
  }

  left(channel: string, who: Pick<PresenceMember, "client" | "user">): void {
    this.answer({ op: "leave", channel, ...who });
  }

  #leave(reason: CloseReason): void {
    if (!this.#open) return;
    this.#open = false;
    this.#parts.metrics.closed(reason);
    for (const subscription of [...this.#subscriptions.values()]) subscription.end();
    this.#wake(false);
  }

  #wake(room: boolean): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const resolve of waiting) resolve(room);
  }

  #subscribe(frame: SubscribeFrame): Refusal | undefined {
    const { limits, metrics, access, presence, feedOf, explainNames } = this.#parts;
    const { channel } = frame;
    const { identity, address } = this.#client;
    const feed = feedOf(channel);
    if (!feed) return refusal("unknown_channel", `channels are ${explainNames}`);
    const { base } = feed.shape;
    const mayRead = access.mayRead(identity, channel);
    access.audit.record({ subject: identity.subject, address }, `subscribe ${base}`, mayRead ? "ok" : "permission");
    if (!mayRead) return refusal("forbidden", `your role may not read ${quote(channel)}`);
    if (this.#subscriptions.has(channel))
      return refusal("already_subscribed", `already subscribed to ${quote(channel)}`);
    if (this.#subscriptions.size >= limits.maxSubscriptions)
      return refusal("too_many_subscriptions", `at most ${limits.maxSubscriptions} subscriptions a connection`);
    if (frame.presence && !feed.declaration.presence)
      return refusal("not_offered", `${quote(channel)} has no presence`);
    const filter = frame.filter && compileFilter(frame.filter);
    if (frame.filter && !filter) return refusal("bad_request", "a filter has at most 32 tests");
    const want = { id: frame.id, channel, ...grant(frame, feed.declaration, this.#encoding, filter) };
    const subscription = new Subscription(this, feed, want);
    this.#subscriptions.set(channel, subscription);
    metrics.subscriptions(base, 1);
    feed.attach(subscription, sinceOf(frame));
    if (!feed.declaration.presence || !subscription.isActive()) return undefined;
    presence.enter(channel, { client: this.name, user: identity.subject, since: new Date().toISOString() });
    if (frame.presence) presence.watch(channel, this);
    return undefined;
  }

  #unsubscribe(id: number, channel: string): Refusal | undefined {
    const present = this.#subscriptions.get(channel);
    if (!present) return refusal("not_subscribed", `not subscribed to ${quote(channel)}`);
    present.end();
    this.answer({ op: "unsubscribed", id, channel });
    return undefined;
  }

  #presence(id: number, channel: string): Refusal | undefined {
    const { access, presence, feedOf } = this.#parts;
    const feed = feedOf(channel);
    if (feed && !access.mayRead(this.identity, channel))
      return refusal("forbidden", `your role may not read ${quote(channel)}`);
    if (!feed?.declaration.presence) return refusal("not_offered", `${quote(channel)} has no presence`);
    this.answer({ op: "presence", id, channel, here: [...presence.here(channel)] });
    return undefined;
  }

  async #refresh(id: number, token: string): Promise<void> {
    const { access } = this.#parts;
    const { address } = this.#client;
    const verdict = await access.refresh(this.identity, token, address);
    if (!this.#open) return;
    const result = verdict.kind === "refused" ? verdict.why : "ok";
    access.audit.record({ subject: this.identity.subject, address }, "refresh", result);
    if (verdict.kind === "refused") {
      this.#error(id, "unauthorized", verdict.detail);
      return;
    }
    this.#client = { ...this.#client, identity: verdict.identity };
    this.#expiresAtMs = verdict.identity.expiresAtMs;
    this.answer({ op: "refreshed", id, ...this.#expiry() });
    const lost = [...this.#subscriptions.keys()].find((channel) => !access.mayRead(this.identity, channel));
    if (lost !== undefined) this.end(3507, "forbidden", `your role may no longer read ${quote(lost)}`);
  }

  #expiry(): { expiresInMs?: number } {
    const { expiresAtMs } = this.identity;
    return Number.isFinite(expiresAtMs)
      ? { expiresInMs: Math.max(0, Math.round(expiresAtMs - this.#parts.wallMs())) }
      : {};
  }

  #reached(): Record<string, number> {
    const at: Record<string, number> = {};
    for (const [channel, subscription] of this.#subscriptions) {
      const offset = subscription.feed.reached(subscription);
      if (offset !== undefined) at[channel] = offset;
    }
    return at;
  }

  /** What we handed to the system may wait in its buffers for long, unseen by us: only the client knows what has arrived. */
  #seen(at: Readonly<Record<string, number>>): void {
    this.#unseenBeats = 0;
    for (const [channel, subscription] of this.#subscriptions) {
      const [sent, arrived] = [
        subscription.feed.reached(subscription),
        Object.hasOwn(at, channel) ? at[channel] : undefined,
      ];
      if (sent === undefined || arrived === undefined) continue;
      this.#parts.metrics.unseen(subscription.feed.shape.base, Math.max(0, sent - arrived));
    }
  }

  #error(id: number | null, code: ProtocolErrorCode, message: string): void {
    this.#parts.metrics.error(code);
    this.answer({ op: "error", id, code, message });
    // A stream of events asked for one thing, in its address: without it there is nothing to wait for.
    if (this.#encoding !== sse) return;
    if (code === "unavailable") this.interrupted(message);
    else this.end(code === "forbidden" ? 3507 : 3501, "protocol", message);
  }

  /** A token bucket that runs into debt: in debt is "over", in debt by a whole burst is "abuse". */
  #rate(): "ok" | "over" | "abuse" {
    const { burst, perSecond } = this.#parts.limits;
    const nowMs = this.#parts.nowMs();
    this.#tokens = Math.min(burst, this.#tokens + ((nowMs - this.#countedMs) * perSecond) / 1_000);
    this.#countedMs = nowMs;
    this.#tokens -= 1;
    if (this.#tokens >= 0) return "ok";
    return this.#tokens > -burst ? "over" : "abuse";
  }
}

interface Refusal {
  readonly code: ProtocolErrorCode;
  readonly message: string;
}

function refusal(code: ProtocolErrorCode, message: string): Refusal {
  return { code, message };
}

/** A client that answered heartbeats and then left so many unanswered does not read. */
const UNSEEN_BEATS_MOST = 3;
/** An SSE comment: keeps proxies from taking the stream for dead. */
const SSE_BEAT_MS = 4_000; // uWS ends a response that is silent for 10 s
const COMMENT = Buffer.from(": beat\n\n");

function endOfEvents(code: number, reason: string): Buffer {
  return Buffer.from(`event: close\ndata: ${JSON.stringify({ code, reason })}\n\n`);
}

function encodingOf(protocol: string | undefined): Encoding {
  if (protocol === "millrace.v1.msgpack") return msgpack;
  return protocol === "sse" ? sse : json;
}

function unpack(bytes: Uint8Array): Parsed {
  try {
    return readClientFrame(decode(bytes, { maxExtLength: 0 }));
  } catch {
    return readClientFrame(undefined);
  }
}

function grant(
  frame: SubscribeFrame,
  declared: ChannelDeclaration,
  encoding: Encoding,
  filter: CompiledFilter | undefined,
) {
  const delivery = frame.delivery ?? declared.delivery;
  const isLossless = delivery === "lossless";
  const asked = isLossless ? (frame.flushMs ?? declared.flushMs ?? 0) : (frame.everyMs ?? declared.everyMs ?? EVERY_MS);
  const everyMs = STEPS_MS.find((step) => step >= asked) ?? 60_000;
  const isAsked = frame.delivery !== undefined || frame.everyMs !== undefined || frame.flushMs !== undefined;
  const granted: Granted | undefined = isAsked
    ? { delivery, ...(isLossless ? { flushMs: everyMs } : { everyMs }) }
    : undefined;
  return { manner: { encoding, filter, delivery, everyMs }, granted };
}

function sinceOf({ since, epoch }: SubscribeFrame): Since | undefined {
  if (typeof since === "number") return { offset: since, epoch };
  return since;
}

function reasonOf(code: number): CloseReason {
  if (code === 1006) return "lost";
  return code === 1003 || code === 1007 || code === 1009 ? "protocol" : "client";
}

/** A client's own text in our answer: short, and as JSON shows it. */
function quote(text: string): string {
  return JSON.stringify(text.length > 50 ? `${text.slice(0, 50)}…` : text);
}

import { type Backoff, isFinal, pauseMs } from "./backoff.js";
import { MillraceClientError } from "./errors.js";
import type { Member, ServerFrame, SubscribeFrame } from "./frames.js";
import { type SubscribeOptions, Subscription, type Update } from "./subscription.js";

const PROTOCOL = "millrace.v1";
/** Without any frame for so long after opening, it is no gateway that we reached. */
const GREETING_MS = 10_000;
/** A connection that lasted so long was no failure. */
const LASTING_MS = 5_000;
/** Asked again when the log cannot be reached yet. */
const AGAIN_MS = 1_000;
/** A fresh token is sent when so much of the old one's time is over. */
const REFRESH_AFTER = 0.8;

/** The part of the browser's `WebSocket` that is used; the class of `ws` has it too. */
export interface Socket {
  readonly readyState: number;
  send(text: string): void;
  close(code?: number): void;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { readonly code: number; readonly reason: string }) => void): void;
  addEventListener(type: "error", listener: () => void): void;
}

export type SocketClass = new (url: string, protocols: string) => Socket;

export type Status =
  | { readonly kind: "connecting" }
  | { readonly kind: "open"; readonly client: string; readonly user: string }
  /** Why: the close code of the connection that was lost (1006: no answer, or refused), and its reason if there was one. */
  | { readonly kind: "waiting"; readonly retryInMs: number; readonly closeCode: number; readonly reason: string }
  | { readonly kind: "ended"; readonly error: MillraceClientError | undefined };

export interface ClientOptions {
  /** The local key, a display token or a JWT; a function is asked at each connection, and again before the token it gave ends. */
  readonly token?: string | (() => string | Promise<string>);
  readonly onStatus?: (status: Status) => void;
  readonly backoff?: Backoff;
  /** Default: the `WebSocket` of the browser, in Node the one of `ws`. */
  readonly WebSocket?: SocketClass;
}

interface Held {
  // biome-ignore lint/suspicious/noExplicitAny: what a channel carries is the caller's word; the client only passes it on.
  readonly subscription: Subscription<any>;
  /** `asking`: its frames do not count before the answer to request `id`. */
  phase: "idle" | "asking" | "live";
  id: number;
}

interface Waiting {
  resolve(members: readonly Member[]): void;
  reject(error: MillraceClientError): void;
}

/**
 * A connection to a gateway that comes back by itself, with everything that was missed. Ends by `close()`, or when the gateway says
 * not to come back.
 */
export class Client {
  readonly #url: URL;
  readonly #options: ClientOptions;
  readonly #Socket: SocketClass;
  readonly #held = new Map<string, Held>();
  readonly #waiting = new Map<number, Waiting>();
  #status: Status = { kind: "connecting" };
  #socket: Socket | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  #refresh: ReturnType<typeof setTimeout> | undefined;
  #silenceMs = GREETING_MS;
  #openedAtMs = 0;
  #failures = 0;
  #lastId = 0;

  /** `url`: `http(s)://host[:port]` of the gateway, or `ws(s)://host[:port]/ws`. Connects at once. */
  constructor(url: string | URL, options: ClientOptions, socketClass: SocketClass) {
    this.#url = socketUrl(url);
    this.#options = options;
    this.#Socket = socketClass;
    void this.#connect();
  }

  get status(): Status {
    return this.#status;
  }

  /**
   * Subscribes for as long as the client lives, or until `close` of what is returned. With a listener updates go there, without one
   * read them with `for await`. One subscription a channel; a second one throws.
   */
  subscribe<T = unknown>(
    channel: string,
    options: SubscribeOptions = {},
    listener?: (update: Update<T>) => void,
  ): Subscription<T> {
    if (this.#held.has(channel)) {
      throw new MillraceClientError("already_subscribed", `${channel}: close the other subscription first`);
    }
    const subscription = new Subscription<T>(
      channel,
      options,
      {
        resubscribe: () => this.#again(held),
        pause: () => this.#pause(held),
        close: () => this.#leave(held, undefined),
      },
      listener,
    );
    const held: Held = { subscription, phase: "idle", id: 0 };
    if (this.#status.kind === "ended") subscription.end(this.#status.error ?? ended());
    else {
      this.#held.set(channel, held);
      if (this.#status.kind === "open") this.#ask(held);
    }
    return subscription;
  }

  /** Who is subscribed to a channel through the same gateway. Rejects when not connected, or when the channel does not offer it. */
  presence(channel: string): Promise<readonly Member[]> {
    return new Promise((resolve, reject) => {
      if (this.#status.kind !== "open") return reject(new MillraceClientError("unavailable", "not connected"));
      const id = ++this.#lastId;
      this.#waiting.set(id, { resolve, reject });
      this.#send({ op: "presence", id, channel });
    });
  }

  /** Ends every subscription; what they have queued can still be read. */
  close(): void {
    this.#end(undefined);
  }

  async #connect(): Promise<void> {
    this.#say({ kind: "connecting" });
    const url = new URL(this.#url);
    try {
      const token = await this.#token();
      if (token !== undefined) url.searchParams.set("token", token);
    } catch (error) {
      return this.#comeBack(1006, `no token: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (this.#status.kind === "ended") return;
    const socket = new this.#Socket(url.href, PROTOCOL);
    this.#socket = socket;
    this.#openedAtMs = Date.now();
    this.#silenceMs = GREETING_MS;
    this.#heard();
    socket.addEventListener("message", ({ data }) => socket === this.#socket && this.#receive(String(data)));
    socket.addEventListener("close", ({ code, reason }) => this.#lost(socket, code, reason));
    socket.addEventListener("error", () => undefined); // a close follows
  }

  async #token(): Promise<string | undefined> {
    const { token } = this.#options;
    return typeof token === "function" ? token() : token;
  }

  #receive(text: string): void {
    this.#heard();
    const frame = JSON.parse(text) as ServerFrame;
    switch (frame.op) {
      case "hello":
        this.#silenceMs = 2 * frame.heartbeatMs;
        this.#heard();
        this.#refreshBefore(frame.expiresInMs);
        this.#say({ kind: "open", client: frame.client, user: frame.user });
        for (const held of this.#held.values()) this.#ask(held);
        return;
      case "event":
      case "state":
      case "dropped":
      case "join":
      case "leave": {
        const held = this.#held.get(frame.channel);
        if (held?.phase === "live") held.subscription.receive(frame);
        return;
      }
      case "heartbeat":
        for (const [channel, offset] of Object.entries(frame.at)) {
          const held = this.#held.get(channel);
          if (held?.phase === "live") held.subscription.reached(offset);
        }
        this.#send({ op: "seen", at: frame.at });
        return;
      case "subscribed": {
        const held = this.#asking(frame.id);
        if (held === undefined) return;
        held.phase = "live";
        return held.subscription.begin(frame);
      }
      case "presence":
        this.#waiting.get(frame.id)?.resolve(frame.here);
        this.#waiting.delete(frame.id);
        return;
      case "refreshed":
        return this.#refreshBefore(frame.expiresInMs);
      case "error":
        return this.#refused(frame.id ?? -1, frame.code, frame.message);
    }
  }

  #asking(id: number): Held | undefined {
    for (const held of this.#held.values()) if (held.phase === "asking" && held.id === id) return held;
    return undefined;
  }

  #refused(id: number, code: string, message: string): void {
    const error = new MillraceClientError(code, message);
    this.#waiting.get(id)?.reject(error);
    this.#waiting.delete(id);
    const held = this.#asking(id);
    if (held === undefined) return;
    if (code !== "unavailable" && code !== "rate_limited") return this.#leave(held, error);
    setTimeout(() => held.phase === "asking" && held.id === id && this.#ask(held), AGAIN_MS * (1 + Math.random()));
  }

  #ask(held: Held): void {
    held.phase = "asking";
    held.id = ++this.#lastId;
    const { channel } = held.subscription;
    const frame: SubscribeFrame = { op: "subscribe", id: held.id, channel, ...held.subscription.request() };
    this.#send(frame);
  }

  #pause(held: Held): void {
    if (held.phase !== "idle")
      this.#send({ op: "unsubscribe", id: ++this.#lastId, channel: held.subscription.channel });
    held.phase = "idle";
  }

  #again(held: Held): void {
    this.#pause(held);
    if (this.#status.kind === "open") this.#ask(held);
  }

  #leave(held: Held, error: MillraceClientError | undefined): void {
    const { subscription } = held;
    if (this.#held.get(subscription.channel) === held) {
      this.#held.delete(subscription.channel);
      if (error === undefined) this.#pause(held);
    }
    subscription.end(error);
  }

  #refreshBefore(expiresInMs: number | undefined): void {
    clearTimeout(this.#refresh);
    if (expiresInMs === undefined || typeof this.#options.token !== "function") return;
    const socket = this.#socket;
    this.#refresh = setTimeout(async () => {
      try {
        const token = await this.#token();
        if (socket === this.#socket) this.#send({ op: "refresh", id: ++this.#lastId, token });
      } catch {
        // The old token still holds; at its end the gateway closes with 3005 and the next connection asks again.
      }
    }, expiresInMs * REFRESH_AFTER);
  }

  /** Something came: the line is alive for another while. A sleeping laptop leaves sockets that never say that they are dead. */
  #heard(): void {
    clearTimeout(this.#watchdog);
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#watchdog = setTimeout(() => {
      socket.close();
      this.#lost(socket, 1006, `silent for ${this.#silenceMs} ms`);
    }, this.#silenceMs);
  }

  #lost(socket: Socket, code: number, reason: string): void {
    if (socket !== this.#socket) return;
    this.#drop();
    if (isFinal(code)) this.#end(new MillraceClientError("closed", reason || `closed with ${code}`, code));
    else this.#comeBack(code, reason);
  }

  #drop(): void {
    this.#socket = undefined;
    clearTimeout(this.#watchdog);
    clearTimeout(this.#refresh);
    for (const held of this.#held.values()) held.phase = "idle";
    for (const { reject } of this.#waiting.values()) reject(new MillraceClientError("unavailable", "connection lost"));
    this.#waiting.clear();
  }

  #comeBack(closeCode: number, reason: string): void {
    if (this.#status.kind === "ended") return;
    if (Date.now() - this.#openedAtMs > LASTING_MS) this.#failures = 0;
    const retryInMs = pauseMs(closeCode, this.#failures++, Math.random(), this.#options.backoff);
    this.#say({ kind: "waiting", retryInMs, closeCode, reason });
    this.#retry = setTimeout(() => void this.#connect(), retryInMs);
  }

  #end(error: MillraceClientError | undefined): void {
    if (this.#status.kind === "ended") return;
    clearTimeout(this.#retry);
    const socket = this.#socket;
    this.#drop();
    socket?.close(1000);
    this.#say({ kind: "ended", error });
    for (const { subscription } of this.#held.values()) subscription.end(error);
    this.#held.clear();
  }

  #say(status: Status): void {
    this.#status = status;
    this.#options.onStatus?.(status);
  }

  #send(frame: object): void {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }
}

function ended(): MillraceClientError {
  return new MillraceClientError("ended", "the client was closed");
}

function socketUrl(url: string | URL): URL {
  const address = new URL(url);
  address.protocol = address.protocol.replace("http", "ws");
  if (address.pathname === "/") address.pathname = "/ws";
  return address;
}

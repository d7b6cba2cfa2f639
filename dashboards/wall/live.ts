import type { Channel, ClientFrame, EventFrame, ServerFrame } from "./wire.js";

export type LiveState =
  | { readonly kind: "connecting" }
  | { readonly kind: "open" }
  | { readonly kind: "waiting"; readonly retryAtMs: number };

export interface LiveOptions {
  /** `ws(s)://host/ws?key=…` */
  readonly url: string;
  readonly channels: readonly Channel[];
  onState(state: LiveState): void;
  onEvent(frame: EventFrame): void;
  /** What came while the connection was down cannot be had from the gateway: read it from the tables. */
  onGap(channel: Channel): void;
  /** Replaced in tests. */
  readonly createSocket?: (url: string) => WebSocket;
  readonly silenceMs?: number;
  readonly firstRetryMs?: number;
}

const LAST_RETRY_MS = 15_000;
const AGAIN_MS = 1_000;

/**
 * One WebSocket that comes back: full jitter on a doubling pause, resumed with the offset each channel had. A connection that says
 * nothing for 20 s is asked, and given up when it does not answer for another 20 s (a sleeping laptop leaves dead sockets).
 * Returns the function that ends it.
 */
export function connectLive(options: LiveOptions): () => void {
  const { url, channels, silenceMs = 20_000, firstRetryMs = 500 } = options;
  const createSocket = options.createSocket ?? ((address: string) => new WebSocket(address));
  const places = new Map<string, { readonly epoch: string; offset: number }>();
  let socket: WebSocket | undefined;
  let retryTimer: ReturnType<typeof setTimeout> | undefined;
  let watchdog: ReturnType<typeof setInterval> | undefined;
  let failures = 0;
  let quiet = 0;
  let ended = false;

  const connect = () => {
    options.onState({ kind: "connecting" });
    const opening = createSocket(url);
    socket = opening;
    opening.addEventListener("open", () => {
      for (const channel of channels) subscribe(opening, channel);
      watchdog = setInterval(() => watch(opening), silenceMs);
      options.onState({ kind: "open" });
    });
    opening.addEventListener("message", ({ data }) => {
      quiet = 0;
      failures = 0;
      receive(opening, parse(data));
    });
    opening.addEventListener("close", () => lost(opening));
  };

  const subscribe = (to: WebSocket, channel: Channel) => {
    const id = channels.indexOf(channel) + 1;
    const place = places.get(channel);
    const from = place === undefined ? {} : { since: place.offset, epoch: place.epoch };
    send(to, { op: "subscribe", id, channel, ...from });
  };

  const receive = (from: WebSocket, frame: ServerFrame | undefined) => {
    if (from !== socket || frame === undefined) return;
    if (frame.op === "subscribed") {
      const { channel, epoch, offset, recovered } = frame;
      const known = places.get(channel);
      places.set(channel, { epoch, offset });
      if (recovered === false || (known !== undefined && known.epoch !== epoch)) options.onGap(channel as Channel);
    } else if (frame.op === "event") event(frame);
    else if (frame.op === "error" && frame.code === "unavailable") tryAgain(from, frame.id);
  };

  /** The gateway is up before the log is: a channel that is not there yet will be. */
  const tryAgain = (from: WebSocket, id: number | null) => {
    const channel = channels[(id ?? 0) - 1];
    if (channel !== undefined) setTimeout(() => from === socket && subscribe(from, channel), AGAIN_MS);
  };

  const event = (frame: EventFrame) => {
    const place = places.get(frame.channel);
    if (place === undefined) return;
    if (frame.prev !== place.offset) options.onGap(frame.channel);
    place.offset = frame.offset;
    options.onEvent(frame);
  };

  const watch = (open: WebSocket) => {
    quiet++;
    if (quiet === 2) send(open, { op: "ping" });
    // A dead socket may take minutes to close: go on without it.
    if (quiet > 2) {
      open.close();
      lost(open);
    }
  };

  const lost = (closed: WebSocket) => {
    if (closed !== socket) return;
    socket = undefined;
    clearInterval(watchdog);
    quiet = 0;
    if (ended) return;
    const longest = Math.min(LAST_RETRY_MS, firstRetryMs * 2 ** failures++);
    const pauseMs = longest * (0.3 + 0.7 * Math.random()); // a wall in every office must not come back at once
    options.onState({ kind: "waiting", retryAtMs: Date.now() + pauseMs });
    retryTimer = setTimeout(connect, pauseMs);
  };

  connect();
  return () => {
    ended = true;
    clearTimeout(retryTimer);
    clearInterval(watchdog);
    socket?.close();
  };
}

function send(socket: WebSocket, frame: ClientFrame): void {
  if (socket.readyState === 1) socket.send(JSON.stringify(frame));
}

function parse(data: unknown): ServerFrame | undefined {
  try {
    return JSON.parse(String(data)) as ServerFrame;
  } catch {
    return undefined; // not ours; the gateway sends JSON only
  }
}

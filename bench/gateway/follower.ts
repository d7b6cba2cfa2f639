import { WebSocket } from "ws";

/** The least a client has to do to miss nothing: it remembers where it was and asks for what came since. */
export interface Follower {
  /** Offsets of every event, as they came. */
  readonly seen: number[];
  /** Where the first subscription began. */
  readonly from: number;
  /** Events whose `prev` was not the event before. */
  readonly breaks: number;
  /** Times the gateway said that something is gone. */
  readonly unrecovered: number;
  readonly isSubscribed: boolean;
  /** The network is away for so long. */
  drop(forMs: number): void;
  stop(): void;
}

export interface FollowerOptions {
  readonly url: () => string;
  readonly channel: string;
  /** Reconnects after a random part of this. */
  readonly pauseMs: number;
  readonly random: () => number;
}

/** Connects, subscribes, and does it again whenever the connection is gone. Resolves when subscribed for the first time. */
export async function follow({ url, channel, pauseMs, random }: FollowerOptions): Promise<Follower> {
  const seen: number[] = [];
  let place: { epoch: string; offset: number } | undefined;
  let socket: WebSocket | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let subscribed: (() => void) | undefined;
  const state = { seen, from: -1, breaks: 0, unrecovered: 0, isSubscribed: false };

  const again = (waitMs: number) => {
    clearTimeout(timer);
    if (!stopped) timer = setTimeout(open, waitMs);
  };
  const ask = (to: WebSocket) => {
    const since = place === undefined ? {} : { since: place };
    to.send(JSON.stringify({ op: "subscribe", id: 1, channel, delivery: "lossless", ...since }));
  };
  function open(): void {
    const opening = new WebSocket(url(), "millrace.v1", { perMessageDeflate: false, handshakeTimeout: 10_000 });
    socket = opening;
    opening.on("open", () => ask(opening));
    opening.on("message", (data) => opening === socket && receive(opening, JSON.parse(data.toString())));
    opening.on("error", () => {});
    opening.on("close", () => {
      if (opening !== socket) return;
      state.isSubscribed = false;
      again(random() * pauseMs);
    });
  }
  function receive(from: WebSocket, frame: Record<string, unknown>): void {
    if (frame.op === "subscribed") {
      const { epoch, offset } = frame as { epoch: string; offset: number };
      if (frame.recovered === false) state.unrecovered++;
      if (state.from < 0) state.from = offset;
      place = { epoch, offset };
      state.isSubscribed = true;
      subscribed?.();
    } else if (frame.op === "event" && place) {
      if (frame.prev !== place.offset) state.breaks++;
      place.offset = frame.offset as number;
      seen.push(place.offset);
    } else if (frame.op === "error" && frame.code === "unavailable") {
      setTimeout(() => from === socket && from.readyState === from.OPEN && ask(from), 50);
    }
  }

  const first = new Promise<void>((resolve) => (subscribed = resolve));
  open();
  await first;
  return Object.assign(state, {
    drop(forMs: number) {
      const dropped = socket;
      socket = undefined;
      state.isSubscribed = false;
      dropped?.terminate();
      again(forMs);
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
      socket?.terminate();
    },
  });
}

export interface Verdict {
  /** Events due to all followers, and of those the ones that came. */
  readonly due: number;
  readonly missing: number;
  readonly duplicates: number;
  readonly breaks: number;
  readonly unrecovered: number;
}

/** `published`: every sequence of the channel. */
export function judge(followers: readonly Follower[], published: readonly number[]): Verdict {
  let [due, missing, duplicates, breaks, unrecovered] = [0, 0, 0, 0, 0];
  for (const follower of followers) {
    const wanted = published.filter((sequence) => sequence > follower.from);
    const seen = new Set(follower.seen);
    due += wanted.length;
    missing += wanted.filter((sequence) => !seen.has(sequence)).length;
    duplicates += follower.seen.length - seen.size;
    breaks += follower.breaks;
    unrecovered += follower.unrecovered;
  }
  return { due, missing, duplicates, breaks, unrecovered };
}

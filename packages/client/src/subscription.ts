import type { MillraceClientError } from "./errors.js";
import type { ChannelFrame, Member, Position, Subscribed, Wanted } from "./frames.js";

/** What a subscription says, in the order it became known. */
export type Update<T> =
  | { readonly kind: "event"; readonly data: T; readonly offset: number }
  /** State channels: all there is; replaces what was said before. */
  | { readonly kind: "state"; readonly data: readonly T[]; readonly offset: number }
  /** What came after `since` is gone from the log: read what you need over HTTP, then go on from here. */
  | { readonly kind: "gap"; readonly since: Position; readonly position: Position }
  /** Left out by the gateway (`conflated`, `sampled`, `slow`), or here because nobody read on (`unread`). */
  | { readonly kind: "dropped"; readonly count: number; readonly reason: string }
  | ({ readonly kind: "join" } & Member)
  | { readonly kind: "leave"; readonly client: string; readonly user: string };

export interface SubscribeOptions extends Wanted {
  /** Begin after this place, for instance the `position` kept from an earlier run. Default: now. */
  readonly since?: Position;
  /** Updates that may wait for the reader before the channel is paused. Default 1000. */
  readonly buffer?: number;
}

/** What a subscription needs of its connection. */
export interface Line {
  /** Ask again, from `position`. */
  resubscribe(): void;
  /** Stop the flow until `resubscribe`. */
  pause(): void;
  close(): void;
}

/**
 * One channel, for as long as you want it: over lost connections, restarts of the gateway and slow readers, every event once and in
 * order, or a `gap` that says so.
 *
 * Read it with `for await`, or give `subscribe` a listener. A reader that falls behind by `buffer` updates pauses the channel; what
 * came meanwhile is read from the log when there is room again (channels without history drop the oldest and say `dropped`).
 */
export class Subscription<T = unknown> implements AsyncIterable<Update<T>> {
  readonly channel: string;
  readonly #options: SubscribeOptions;
  readonly #listener: ((update: Update<T>) => void) | undefined;
  readonly #line: Line;
  #position: Position | undefined;
  /** Offset the next event's `prev` must have. */
  #prev = 0;
  #epoch = "";
  #hasHistory = true;
  #state: unknown[] = [];
  #queue: { readonly update: Update<T>; readonly position: Position | undefined }[] = [];
  #read: Position | undefined;
  #unread = 0;
  #isPaused = false;
  #ended: { readonly error: MillraceClientError | undefined } | undefined;
  #wake: (() => void) | undefined;

  /** Made by `Client.subscribe`. */
  constructor(channel: string, options: SubscribeOptions, line: Line, listener?: (update: Update<T>) => void) {
    this.channel = channel;
    this.#options = options;
    this.#line = line;
    this.#listener = listener;
    this.#position = options.since;
    this.#read = options.since;
  }

  /** After what the reader has taken; undefined before the gateway has answered. Keep it to go on another day, as `since`. */
  get position(): Position | undefined {
    return this.#queue.length === 0 ? this.#position : this.#read;
  }

  close(): void {
    this.#line.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Update<T>, void, void> {
    try {
      for (;;) {
        const update = this.#take();
        if (update !== undefined) yield update;
        else if (this.#ended?.error !== undefined) throw this.#ended.error;
        else if (this.#ended !== undefined) return;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.close();
    }
  }

  #take(): Update<T> | undefined {
    if (this.#unread > 0) {
      const count = this.#unread;
      this.#unread = 0;
      return { kind: "dropped", count, reason: "unread" };
    }
    const next = this.#queue.shift();
    if (next !== undefined) this.#read = next.position;
    if (this.#isPaused && this.#queue.length <= this.#bufferMax / 2) {
      this.#isPaused = false;
      this.#line.resubscribe();
    }
    return next?.update;
  }

  get #bufferMax(): number {
    return this.#options.buffer ?? 1_000;
  }

  /** The request that begins it, or takes it up again. */
  request(): Wanted & { readonly since?: Position } {
    const { filter, delivery, everyMs, flushMs, presence } = this.#options;
    return {
      ...(filter && { filter }),
      ...(delivery && { delivery }),
      ...(everyMs !== undefined && { everyMs }),
      ...(flushMs !== undefined && { flushMs }),
      ...(presence && { presence }),
      ...(this.#position && this.#hasHistory && { since: this.#position }),
    };
  }

  /** The gateway's answer. */
  begin({ epoch, offset, history, recovered, state }: Subscribed): void {
    const since = this.#position;
    const position = { epoch, offset };
    this.#hasHistory = history !== false;
    this.#position = position;
    this.#prev = offset;
    this.#state = [];
    if (since !== undefined && this.#hasHistory && recovered === false) this.#say({ kind: "gap", since, position });
    // A state channel is not at `offset` before its state has come: if the line breaks in between, ask for all of it again.
    if (state) this.#position = undefined;
    this.#epoch = epoch;
  }

  receive(frame: ChannelFrame): void {
    switch (frame.op) {
      case "event":
        return this.#event(frame.offset, frame.prev, frame.data as T);
      case "state":
        this.#state.push(...frame.data);
        if (!frame.last) return;
        this.#position = { epoch: this.#epoch, offset: frame.offset };
        this.#say({ kind: "state", data: this.#state as T[], offset: frame.offset });
        this.#state = [];
        return;
      case "dropped":
        return this.#say({ kind: "dropped", count: frame.count, reason: frame.reason });
      case "join":
        return this.#say({ kind: "join", client: frame.client, user: frame.user, since: frame.since });
      case "leave":
        return this.#say({ kind: "leave", client: frame.client, user: frame.user });
    }
  }

  #event(offset: number, prev: number, data: T): void {
    if (prev !== this.#prev) return this.#line.resubscribe(); // a frame is missing: from `position` it is in the log
    this.#prev = offset;
    this.#position = { epoch: this.#epoch, offset };
    this.#say({ kind: "event", data, offset });
  }

  /** Everything up to `offset` has been sent, the filter let nothing more through. */
  reached(offset: number): void {
    if (this.#position === undefined || offset <= this.#position.offset) return;
    this.#position = { epoch: this.#position.epoch, offset };
  }

  #say(update: Update<T>): void {
    if (this.#listener !== undefined) return this.#listener(update);
    this.#queue.push({ update, position: this.#position });
    if (this.#queue.length > this.#bufferMax) this.#relieve();
    this.#wake?.();
  }

  #relieve(): void {
    if (!this.#hasHistory) {
      this.#queue.shift();
      this.#unread++;
    } else if (!this.#isPaused) {
      this.#isPaused = true;
      this.#line.pause();
    }
  }

  /** Nothing more will come: what is queued can still be read. */
  end(error?: MillraceClientError): void {
    this.#ended ??= { error };
    this.#wake?.();
  }
}

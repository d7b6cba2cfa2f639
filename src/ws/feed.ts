/** A channel as connections see it, and a subscription as channels see it. */

export interface Want {
  readonly since?: number;
  readonly epoch?: string;
}

export interface SubscribedReply {
  readonly epoch: string;
  readonly offset: number;
  readonly history?: false;
  readonly recovered?: boolean;
}

export interface Subscriber {
  /** Offset of the frame before the next one; the channel keeps it. */
  last: number;
  /** False once unsubscribed or disconnected. */
  isActive(): boolean;
  /** The request is granted; called before the first event. */
  subscribed(reply: SubscribedReply): void;
  /** The request cannot be granted now. The subscription is over. */
  unavailable(message: string): void;
  /** False when the client was closed instead, because too much was waiting for it. The frame is shared: never change it. */
  send(frame: Buffer): boolean;
  cork(work: () => void): void;
  /** True when a replay may send on. */
  hasRoom(): boolean;
  /** Resolves when there is room again; false when the connection ended first. */
  room(): Promise<boolean>;
  /** Offsets have lost their meaning: closes the connection so that the client starts over. */
  replaced(): void;
}

export interface Feed {
  readonly name: string;
  /** Answers through the subscriber, at once or later. */
  attach(subscriber: Subscriber, want: Want): void;
  detach(subscriber: Subscriber): void;
  close(): Promise<void>;
}

/** One event on its way to many: the text is made once, the frame once for each `prev`, which is nearly always the same. */
export class Entry {
  readonly offset: number;
  readonly #head: string;
  readonly #tail: string;
  #prev = -1;
  #frame: Buffer | undefined;

  /** `body` is JSON text. */
  constructor(channel: string, offset: number, body: string) {
    this.offset = offset;
    this.#head = `{"op":"event","channel":${JSON.stringify(channel)},"offset":${offset},"prev":`;
    this.#tail = `,"data":${body}}`;
  }

  frame(prev: number): Buffer {
    if (this.#frame === undefined || this.#prev !== prev) {
      this.#frame = Buffer.from(`${this.#head}${prev}${this.#tail}`);
      this.#prev = prev;
    }
    return this.#frame;
  }
}

/** Sends `entries` to everybody in `live` who has not had them. Returns what was sent. O(entries × subscribers). */
export function fanOut(entries: readonly Entry[], live: Iterable<Subscriber>): { frames: number; bytes: number } {
  let frames = 0;
  let bytes = 0;
  for (const subscriber of live) {
    subscriber.cork(() => {
      for (const entry of entries) {
        if (entry.offset <= subscriber.last) continue;
        const frame = entry.frame(subscriber.last);
        if (!subscriber.send(frame)) return;
        subscriber.last = entry.offset;
        frames++;
        bytes += frame.byteLength;
      }
    });
  }
  return { frames, bytes };
}

import type { DeliveryClass } from "../../core/index.js";
import type { DropReason } from "../protocol.js";
import type { WsSocket, WsTopic } from "../transport.js";
import { type Encoding, eventFrame } from "./encoding.js";
import type { Entry } from "./entry.js";
import { createPending, type Pending } from "./pending.js";

/** A subscription as its group sees it. */
export interface Member {
  readonly socket: WsSocket;
  /** Offset of its last event, or of the answer. Not kept up while it shares the group's frames. */
  last: number;
  /** What waits for it alone, while it is apart from the group. */
  apart: Apart | undefined;
  /** False when the connection was closed instead. The frame is shared: never change it. */
  send(frame: Buffer): boolean;
  /** Reads too slowly for a lossless channel: ends the connection. */
  slow(): void;
}

/** Why a member does not share the frames of the others yet, or no longer: it is new, or it could not take them. */
export interface Apart {
  readonly pending: Pending;
  readonly reason: DropReason;
  untold: number;
  toldMs: number;
}

/** What a member brings along. */
export interface Arrival {
  /** What it has to get first. */
  readonly pending?: Pending | undefined;
  /** Events that were left out already. */
  readonly untold?: number;
  /** It has had events that the channel has yet to see. */
  readonly isAhead?: boolean;
}

export interface GroupOptions {
  readonly channel: string;
  readonly epoch: () => string;
  readonly encoding: Encoding;
  readonly delivery: DeliveryClass;
  /** lossless: the flush window; else the least time between two flushes. */
  readonly everyMs: number;
  /** What a newer record replaces. */
  readonly key: (entry: Entry) => string;
  readonly topic: WsTopic;
  /** Waiting for one member beyond this: a lossless one is closed, others get less. */
  readonly maxBufferedBytes: number;
  /** Calls back after everything that was read together, so that it is written together. */
  readonly soon: (flush: () => void) => void;
  readonly sent: (frames: number, bytes: number) => void;
  readonly dropped: (reason: DropReason, count: number) => void;
}

/** A lossless window ends early when this much is waiting, so that it never grows with the rate. */
const EARLY_LENGTH = 256 << 10;
const TELL_MS = 1_000;
/** How soon a member without room is looked at again. */
const AGAIN_MS = 20;
const DONE = Promise.resolve();

/** After what runs now. A promise costs a third of `queueMicrotask`. */
export function soon(work: () => void): void {
  void DONE.then(work);
}

/**
 * Subscriptions that get the very same frames: one channel, filter, class, timing and encoding. A frame is made once and handed to the
 * transport once. A member is apart from the rest from joining until its next event (its `prev` is its own), and while it reads too
 * slowly for a conflating class. All members together cost O(1) calls a flush; every `maxBufferedBytes / 4` published they are looked
 * at one by one, so no member ever has more than that unseen beyond its bound.
 */
export class Group {
  readonly #options: GroupOptions;
  readonly #drops: DropReason;
  readonly #together = new Set<Member>();
  readonly #apart = new Set<Member>();
  readonly #pending: Pending;
  /** Offset of the last event published. */
  #last = 0;
  #untold = 0;
  #toldMs = Number.NEGATIVE_INFINITY;
  #unseenBytes = 0;
  #flushedMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #due = false;
  readonly #flushDue = () => {
    this.#due = false;
    if (this.size > 0) this.flush();
  };

  constructor(options: GroupOptions) {
    this.#options = options;
    this.#drops = options.delivery === "latest" ? "conflated" : "sampled";
    this.#pending = this.#newPending();
  }

  get size(): number {
    return this.#together.size + this.#apart.size;
  }

  /** Up to where everything was sent to this member, `position` being where the channel is. */
  reached(member: Member, position: number): number {
    if (member.apart) return member.apart.pending.size === 0 ? position : member.last;
    return this.#pending.size === 0 ? position : this.#last;
  }

  /** `member.last` says where it stands. */
  join(member: Member, { pending, untold = 0, isAhead = false }: Arrival = {}): void {
    if (this.size === 0 && !isAhead) {
      this.#last = member.last;
      this.#pending.take();
      this.#untold = 0;
    }
    const isLevel = !isAhead && member.last === this.#last && this.#pending.size === 0;
    if (isLevel && !pending?.size) this.#bringTogether(member);
    else {
      this.#setApart(member, this.#drops, pending).untold = untold;
      if (untold > 0) this.#options.dropped(this.#drops, untold);
      if (pending?.size) this.#schedule();
    }
  }

  leave(member: Member): void {
    this.#apart.delete(member);
    if (this.#together.delete(member)) this.#options.topic.remove(member.socket);
    if (this.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  push(entry: Entry): void {
    if (this.#together.size > 0) {
      const { length } = this.#pending.add(entry);
      this.#untold += length;
      if (length > 0) this.#options.dropped(this.#drops, length * this.#together.size);
    }
    for (const { apart, last } of this.#apart) if (apart && entry.offset > last) this.#addTo(apart, entry);
    if (this.#options.delivery === "lossless" && this.#pending.length > EARLY_LENGTH) this.flush();
    else this.#schedule();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushedMs = performance.now();
    const entries = this.#pending.take();
    if (this.#unseenBytes > this.#options.maxBufferedBytes / 4) this.#look(entries);
    this.#publish(entries);
    for (const member of [...this.#apart]) this.#catchUp(member);
    if (this.#isWaiting()) this.#scheduleIn(Math.max(AGAIN_MS, this.#options.everyMs));
    else if (this.#untold > 0) this.#scheduleIn(Math.max(1, this.#toldMs + TELL_MS - this.#flushedMs));
  }

  /** What waits for this member now, if it has room. */
  flushOne(member: Member): void {
    if (member.apart) this.#catchUp(member);
  }

  #isWaiting(): boolean {
    for (const { apart } of this.#apart) if (apart && apart.pending.size > 0) return true;
    return false;
  }

  #schedule(): void {
    const { delivery, everyMs } = this.#options;
    const waitMs = delivery === "lossless" ? everyMs : this.#flushedMs + everyMs - performance.now();
    if (waitMs > 0) this.#scheduleIn(waitMs);
    else if (!this.#due) {
      this.#due = true;
      this.#options.soon(this.#flushDue);
    }
  }

  #scheduleIn(waitMs: number): void {
    this.#timer ??= setTimeout(() => this.flush(), waitMs);
  }

  #publish(entries: readonly Entry[]): void {
    const frames: Buffer[] = [];
    if (this.#untold > 0 && this.#flushedMs - this.#toldMs >= TELL_MS) frames.push(this.#notice());
    for (const entry of entries) {
      frames.push(this.#frame(entry, this.#last));
      this.#last = entry.offset;
    }
    if (frames.length > 0) this.#hand(frames);
  }

  #hand(frames: readonly Buffer[]): void {
    const { topic, sent } = this.#options;
    topic.publish(frames);
    let bytes = 0;
    for (const frame of frames) bytes += frame.byteLength;
    this.#unseenBytes += bytes;
    sent(frames.length * this.#together.size, bytes * this.#together.size);
  }

  #notice(): Buffer {
    const { channel, encoding } = this.#options;
    const frame = encoding.frame({ op: "dropped", channel, count: this.#untold, reason: this.#drops });
    this.#untold = 0;
    this.#toldMs = this.#flushedMs;
    return frame;
  }

  /** Sends a member that is apart what it has waiting, then lets it in when it stands where the others do. */
  #catchUp(member: Member): void {
    const { delivery, maxBufferedBytes, sent } = this.#options;
    const { apart } = member;
    if (!apart) return;
    if (delivery !== "lossless" && member.socket.bufferedBytes() > maxBufferedBytes / 8) return;
    const entries = apart.pending.take();
    let bytes = 0;
    let frames = 0;
    member.socket.cork(() => {
      const goesIn = () => this.#pending.size === 0 && entries.length > 0;
      if (apart.untold > 0 && (goesIn() || this.#flushedMs - apart.toldMs >= TELL_MS)) this.#tell(member, apart);
      for (const entry of entries) {
        const frame = this.#frame(entry, member.last);
        if (!member.send(frame)) return;
        member.last = entry.offset;
        bytes += frame.byteLength;
        frames++;
      }
    });
    if (frames > 0) sent(frames, bytes);
    if (!this.#apart.has(member)) return;
    if (this.#together.size === 0) {
      if (entries.length === 0) return; // it may still be ahead of what is pushed
      this.#last = Math.max(this.#last, member.last);
    }
    if (member.last === this.#last && this.#pending.size === 0 && apart.untold === 0) this.#bringTogether(member);
  }

  #tell(member: Member, apart: Apart): void {
    const { channel, encoding } = this.#options;
    if (!member.send(encoding.frame({ op: "dropped", channel, count: apart.untold, reason: apart.reason }))) return;
    apart.untold = 0;
    apart.toldMs = this.#flushedMs;
  }

  #bringTogether(member: Member): void {
    if (this.#together.size === 0) this.#untold = 0;
    else if (this.#untold > 0) this.#hand([this.#notice()]); // the newcomer did not miss what the others did
    this.#apart.delete(member);
    member.apart = undefined;
    this.#together.add(member);
    this.#options.topic.add(member.socket);
  }

  #addTo(apart: Apart, entry: Entry): void {
    const { length } = apart.pending.add(entry);
    apart.untold += length;
    if (length > 0) this.#options.dropped(apart.reason, length);
  }

  #setApart(member: Member, reason: DropReason, pending = this.#newPending()): Apart {
    const apart: Apart = { pending, reason, untold: 0, toldMs: Number.NEGATIVE_INFINITY };
    member.apart = apart;
    this.#apart.add(member);
    return apart;
  }

  #newPending(): Pending {
    const { delivery, key, maxBufferedBytes } = this.#options;
    return createPending(delivery, key, maxBufferedBytes);
  }

  /** Who has too much waiting. `entries` are about to be published: whoever is set apart has to get them too. */
  #look(entries: readonly Entry[]): void {
    const { delivery, topic, maxBufferedBytes } = this.#options;
    this.#unseenBytes = 0;
    for (const member of [...this.#together]) {
      const bytes = member.socket.bufferedBytes();
      if (delivery === "lossless") {
        // What may be published until the next look still fits.
        if (bytes > (maxBufferedBytes * 3) / 4) member.slow();
      } else if (bytes > maxBufferedBytes / 4) {
        this.#together.delete(member);
        topic.remove(member.socket);
        member.last = this.#last;
        const apart = this.#setApart(member, "slow");
        apart.untold = this.#untold; // what was left out for all was left out for it too
        for (const entry of entries) this.#addTo(apart, entry);
      }
    }
  }

  #frame(entry: Entry, prev: number): Buffer {
    const { channel, epoch, encoding } = this.#options;
    return eventFrame(encoding, channel, epoch(), entry, prev);
  }
}

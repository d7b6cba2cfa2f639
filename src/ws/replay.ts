import type { Log, LogReader } from "../core/index.js";
import type { Channel } from "./channels/channel.js";
import { eventFrame } from "./channels/encoding.js";
import { type Entry, readEntry } from "./channels/entry.js";
import type { ChannelShape } from "./channels/names.js";
import type { Pending } from "./channels/pending.js";
import type { Recent } from "./channels/recent.js";
import type { Subscriber } from "./feed.js";
import type { GatewayMetrics } from "./metrics.js";

/** Where the channels are in their stream. */
export interface Place {
  readonly epoch: string;
  /** Live subscribers get everything after this. */
  position: number;
  /** A state is whole once this was read. */
  readonly readyAt: number;
  readonly recent: Recent;
}

/** What a replay needs of its feed. */
export interface ReplaySource {
  readonly log: Log;
  readonly stream: string;
  readonly shape: ChannelShape;
  readonly metrics: GatewayMetrics;
  /** Undefined when the feed is no longer at that epoch. */
  place(epoch: string): Place | undefined;
  /** Waits for a place among those who read the log. */
  turn(): Promise<() => void>;
}

/** Messages of one read. */
const BATCH = 256;

/**
 * Gives `subscriber` everything of `channel` after `since`, then calls `join` in the turn in which nothing is missing. From memory where
 * it reaches back far enough, else from the log. `pending` takes what a conflating class will send later; without it each record is
 * sent, at the pace of the client. Calls `lost` instead when something after `since` is gone. Rejects when the log fails.
 */
export async function replay(
  source: ReplaySource,
  want: {
    readonly subscriber: Subscriber;
    readonly channel: Channel;
    readonly epoch: string;
    readonly since: number;
    readonly pending: Pending | undefined;
    /** `untold`: how many were left out for newer ones. */
    join(untold: number): void;
    lost(): void;
  },
): Promise<void> {
  const { subscriber, channel, epoch, since, pending } = want;
  const { log, stream, shape, metrics } = source;
  const pattern = shape.subjectOf(channel.name) ?? shape.pattern;
  let at = since;
  let answered = false;
  let untold = 0;
  let reader: LogReader | undefined;
  let release: (() => void) | undefined;
  const answer = () => {
    if (answered) return;
    answered = true;
    metrics.recovery("recovered");
    subscriber.last = since;
    subscriber.subscribed({ epoch, offset: since, recovered: true });
  };
  const isOver = () => {
    if (!subscriber.isActive()) return true;
    if (source.place(epoch)) return false;
    if (answered) subscriber.replaced();
    else want.lost();
    return true;
  };

  try {
    for (;;) {
      const past = source.place(epoch)?.recent.after(at);
      if (past) {
        answer();
        const wanted = past.filter(({ subject }) => shape.namesOf(subject).includes(channel.name));
        if (wanted.length === 0) break;
        if (!(await give(wanted)) || isOver()) return;
        at = (wanted.at(-1) as Entry).offset;
        continue;
      }
      release ??= await source.turn();
      if (isOver()) return;
      if (!answered) {
        const info = await log.info(stream);
        if (isOver()) return;
        if (info.incarnation !== epoch || since + 1 < info.firstSequence) return want.lost();
      }
      if (!channel.isTailKnown) {
        const tail = await lastMatch(source, pattern);
        if (isOver()) return;
        channel.tail = Math.max(channel.tail, tail);
        channel.isTailKnown = true;
      }
      if (at >= channel.tail) {
        answer();
        break;
      }
      reader ??= await log.read({ stream, subjects: [pattern], fromSequence: at + 1 });
      if (isOver()) return;
      answer();
      const messages = await reader.next(BATCH);
      if (messages.length === 0 || isOver()) return;
      const entries = messages.flatMap(({ sequence, subject, data }) => {
        const isRecord = shape.namesOf(subject).includes(channel.name);
        return (isRecord && readEntry(sequence, subject, data)) || [];
      });
      if (!(await give(entries)) || isOver()) return;
      at = messages.at(-1)?.sequence ?? at;
    }
    want.join(untold);
  } finally {
    release?.();
    await reader?.close().catch(() => {});
  }

  /** False when the connection ended. */
  async function give(entries: readonly Entry[]): Promise<boolean> {
    const { filter, encoding } = subscriber.manner;
    const wanted = filter ? entries.filter(({ value }) => filter.matches(value)) : entries;
    if (pending) {
      for (const entry of wanted) untold += pending.add(entry).length;
      return true;
    }
    for (let next = 0; next < wanted.length; ) {
      if (!subscriber.hasRoom() && !(await subscriber.room())) return false;
      let frames = 0;
      let bytes = 0;
      subscriber.socket.cork(() => {
        while (next < wanted.length && subscriber.hasRoom()) {
          const entry = wanted[next++] as Entry;
          const frame = eventFrame(encoding, channel.name, epoch, entry, subscriber.last);
          if (!subscriber.send(frame)) return;
          subscriber.last = entry.offset;
          frames++;
          bytes += frame.byteLength;
        }
      });
      metrics.frames(shape.base, frames, bytes);
      if (!subscriber.isActive()) return false;
    }
    return true;
  }
}

/** The sequence of the newest record on `pattern`, 0 when there is none. */
export async function lastMatch(
  { log, stream, shape }: Pick<ReplaySource, "log" | "stream" | "shape">,
  pattern: string,
): Promise<number> {
  const newest = await log.last(stream, pattern);
  if (!newest) return 0;
  if (shape.namesOf(newest.subject).length > 0) return newest.sequence;
  // A mark of a task is in front: only streams of few subjects have marks that fit a pattern of theirs.
  let tail = 0;
  for (const subject of (await log.countSubjects(stream, pattern)).keys()) {
    if (shape.namesOf(subject).length === 0) continue;
    tail = Math.max(tail, (await log.last(stream, subject))?.sequence ?? 0);
  }
  return tail;
}

import {
  isMillraceError,
  type Log,
  type Logger,
  type LogMessage,
  type LogReader,
  type StreamChannel,
} from "../core/index.js";
import { Channel, type ChannelOptions } from "./channels/channel.js";
import { type Entry, readEntry } from "./channels/entry.js";
import { fieldOf } from "./channels/filter.js";
import { soon } from "./channels/group.js";
import { KeyedState } from "./channels/keyed-state.js";
import { channelShape } from "./channels/names.js";
import { createPending } from "./channels/pending.js";
import { Recent } from "./channels/recent.js";
import type { Feed, Since, SubscribedReply, Subscriber } from "./feed.js";
import { lastMatch, type Place, replay } from "./replay.js";
import { slots } from "./slots.js";

export interface LogFeedOptions extends Pick<ChannelOptions, "topics" | "metrics" | "maxBufferedBytes"> {
  readonly declaration: StreamChannel;
  readonly log: Log;
  readonly logger: Logger;
}

/** Messages of one read, so that one slow turn does not hold up the other channels. */
const BATCH = 256;
/** Bytes of records handed on in one turn: sockets are written to between turns. */
const TURN_BYTES = 256 << 10;
/** Replays that read the log at the same time; more wait their turn. */
const MAX_REPLAYS = 32;
const RETRY_MS_FIRST = 100;
const RETRY_MS_MOST = 5_000;
/** Characters of records kept for clients that come back. */
const RECENT_LENGTH = 4 << 20;
/** A stream read on demand is read on for so long after the last subscriber left. */
const LINGER_MS = 10_000;

/**
 * Channels of one stream: one reader at its end for all live subscribers, and one of its own for each client that asks for more past
 * than memory holds. `epoch` is the stream's incarnation, an offset its sequence. While the log is away, subscribers wait; when the
 * stream was replaced or cut under the reader, they are sent away to start over.
 */
export function logFeed({ declaration, log, logger, ...shared }: LogFeedOptions): Feed {
  const { stream } = declaration;
  const { metrics, maxBufferedBytes } = shared;
  const shape = channelShape(declaration);
  const key = keyOf(declaration.key);
  const state = declaration.kind === "state" ? new KeyedState(key, declaration.gone) : undefined;
  const channels = new Map<string, Channel>();
  const replays = slots(MAX_REPLAYS);
  let place: Place | undefined;
  let reader: LogReader | undefined;
  /** Set while the stream is being read. */
  let session: { readonly stop: AbortController; readonly ended: Promise<void>; ready: Promise<boolean> } | undefined;
  let lingering: NodeJS.Timeout | undefined;
  /** Set while records are handed on: what is to be written once all of them were. */
  let due: (() => void)[] | undefined;
  const flushSoon = (flush: () => void) => {
    if (due) due.push(flush);
    else soon(flush);
  };
  if (declaration.reading !== "demand") startReading();

  return {
    declaration,
    shape,
    attach(subscriber, since) {
      clearTimeout(lingering);
      const isStarting = session === undefined;
      if (isStarting) startReading();
      const now = readyPlace();
      if (now) attachAt(now, subscriber, since);
      else if (isStarting) void attachLater(subscriber, since);
      else subscriber.unavailable("the log cannot be reached yet");
    },
    detach(subscriber) {
      const channel = channels.get(subscriber.channel);
      if (!channel) return;
      channel.leave(subscriber);
      if (channel.size === 0 && subscriber.channel !== shape.base) channels.delete(subscriber.channel);
      if (declaration.reading === "demand" && isDeserted()) {
        clearTimeout(lingering);
        lingering = setTimeout(() => isDeserted() && void stopReading(), LINGER_MS).unref();
      }
    },
    reached: (subscriber) => channels.get(subscriber.channel)?.reached(subscriber, place?.position ?? 0),
    async close() {
      clearTimeout(lingering);
      await stopReading();
    },
  };

  function isDeserted(): boolean {
    return [...channels.values()].every(({ size }) => size === 0);
  }

  function startReading(): void {
    const mine = new AbortController();
    let answer: (ready: boolean) => void = () => {};
    const ready = new Promise<boolean>((resolve) => (answer = resolve));
    session = { stop: mine, ended: run(mine.signal, answer), ready };
  }

  async function stopReading(): Promise<void> {
    const ending = session;
    session = undefined;
    place = undefined;
    ending?.stop.abort();
    await reader?.close();
    await ending?.ended;
  }

  function readyPlace(): Place | undefined {
    return place && place.position >= place.readyAt ? place : undefined;
  }

  async function attachLater(subscriber: Subscriber, since: Since | undefined): Promise<void> {
    await session?.ready;
    if (!subscriber.isActive()) return;
    const now = readyPlace();
    if (now) attachAt(now, subscriber, since);
    else subscriber.unavailable("the log cannot be reached yet");
  }

  function attachAt(now: Place, subscriber: Subscriber, since: Since | undefined): void {
    if (since === undefined) join(subscriber, now, {});
    else void recover(subscriber, now, since);
  }

  function channelOf(name: string): Channel {
    let channel = channels.get(name);
    if (!channel) {
      channel = new Channel({
        ...shared,
        name,
        label: shape.base,
        epoch: () => place?.epoch ?? "",
        key,
        soon: flushSoon,
      });
      channels.set(name, channel);
    }
    return channel;
  }

  /** Live from here. Synchronous, so that no event passes between the answer and the group. */
  function join(subscriber: Subscriber, { epoch, position }: Place, answer: { recovered?: false }): void {
    const { channel, manner } = subscriber;
    subscriber.last = position;
    const reply: SubscribedReply = { epoch, offset: position, ...answer, ...(state ? { state: true as const } : {}) };
    subscriber.subscribed(reply);
    if (state) {
      const { encoding, filter } = manner;
      // No bound holds for the first frame, and the state is not larger than a bound's worth in any channel we know.
      for (const frame of state.frames({ encoding, channel, epoch, offset: position, filter }))
        if (!subscriber.send(frame)) return;
    }
    channelOf(channel).join(subscriber, manner);
  }

  async function run(signal: AbortSignal, answer: (ready: boolean) => void): Promise<void> {
    let isAnswered = false;
    const ready = (is: boolean) => {
      // Node looks into every promise that is resolved again.
      if (!isAnswered) answer(is);
      isAnswered = true;
    };
    for (let waitMs = RETRY_MS_FIRST; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MS_MOST)) {
      try {
        await settle();
        if (signal.aborted) return;
        if (readyPlace()) ready(true);
        const { position } = place as Place;
        reader = await log.read({ stream, subjects: [shape.pattern], fromSequence: position + 1 });
        if (signal.aborted) await reader.close();
        for (;;) {
          const messages = await reader.next(BATCH);
          if (messages.length === 0 || signal.aborted) return;
          waitMs = RETRY_MS_FIRST;
          for (let from = 0; from < messages.length; ) {
            from = publish(messages, from);
            if (from === messages.length && from < BATCH) break;
            await nextTurn();
            if (signal.aborted) return;
          }
          if (readyPlace()) ready(true);
        }
      } catch (err) {
        ready(false);
        if (signal.aborted) return;
        if (waitMs === RETRY_MS_FIRST)
          logger.warn({ err, channel: shape.base }, "a channel lost its stream and tries again");
        await reader?.close().catch(() => {});
        await sleep(waitMs, signal);
      }
    }
  }

  /** Finds the end of the stream, or checks that the place still means the same. */
  async function settle(): Promise<void> {
    const info = await log.info(stream);
    const kept =
      place?.epoch === info.incarnation &&
      info.lastSequence >= place.position &&
      info.firstSequence <= place.position + 1;
    if (kept) return;
    const replaced = place !== undefined;
    const readyAt = state ? await lastMatch({ log, stream, shape }, shape.pattern) : 0;
    state?.clear();
    const position = state ? 0 : info.lastSequence;
    place = { epoch: info.incarnation, position, readyAt, recent: new Recent(position, RECENT_LENGTH) };
    for (const channel of channels.values()) channel.isTailKnown = false;
    if (!replaced) return;
    logger.warn(
      { channel: shape.base, epoch: info.incarnation },
      "the stream of a channel was replaced; its subscribers start over",
    );
    for (const channel of channels.values())
      for (const member of [...channel.members()]) (member as Subscriber).replaced();
  }

  /** Hands on what one turn should hold, from `from` on; returns where it stopped. */
  function publish(messages: readonly LogMessage[], from: number): number {
    const now = place as Place;
    const flushes: (() => void)[] = [];
    due = flushes;
    let at = from;
    try {
      for (let bytes = 0; at < messages.length && bytes < TURN_BYTES; at++) {
        const message = messages[at] as LogMessage;
        const names = shape.namesOf(message.subject);
        const entry = names.length === 0 ? undefined : toEntry(message);
        if (entry) {
          state?.apply(entry);
          now.recent.add(entry);
          for (const name of names) channels.get(name)?.push(entry);
        }
        now.position = message.sequence;
        bytes += message.data.byteLength;
      }
    } finally {
      due = undefined;
      for (const flush of flushes) flush();
    }
    return at;
  }

  function toEntry({ sequence, subject, data }: LogMessage): Entry | undefined {
    const entry = readEntry(sequence, subject, data);
    if (!entry) metrics.skipped(shape.base);
    return entry;
  }

  async function recover(subscriber: Subscriber, now: Place, since: Since): Promise<void> {
    const lost = () => {
      metrics.recovery("lost");
      const then = readyPlace();
      if (then) join(subscriber, then, { recovered: false });
      else subscriber.unavailable("the log cannot be reached just now");
    };
    const { epoch } = now;
    if ((since.epoch ?? epoch) !== epoch) return lost();
    const channel = channelOf(subscriber.channel);
    const { delivery } = subscriber.manner;
    const pending = delivery === "lossless" ? undefined : createPending(delivery, key, maxBufferedBytes);
    const source = { log, stream, shape, metrics, turn: replays, place: placeAt };
    const want = { subscriber, channel, epoch, since: since.offset, pending, lost };
    try {
      // Ahead of us: of another gateway on this log, or of no log at all.
      if (since.offset > now.position && (await log.info(stream)).lastSequence < since.offset) return lost();
      await replay(source, {
        ...want,
        join(untold) {
          channel.join(subscriber, subscriber.manner, { pending, untold, isAhead: subscriber.last > now.position });
        },
      });
    } catch (err) {
      if (!subscriber.isActive()) return;
      logger.warn({ err, channel: shape.base }, "a replay was broken off");
      // Before the answer this is an error frame, after it the connection is closed: either way the client asks again.
      if (isMillraceError(err, "MR_LOG_UNAVAILABLE")) subscriber.unavailable("the log cannot be reached just now");
      else subscriber.replaced();
    }
  }

  function placeAt(epoch: string): Place | undefined {
    return place?.epoch === epoch ? place : undefined;
  }
}

/** What a newer record of a channel replaces. */
function keyOf(path: string | undefined): (entry: Entry) => string {
  if (path === undefined) return ({ subject }) => subject;
  const read = fieldOf(path);
  return ({ value, subject }) => {
    const key = read(value);
    return key === undefined ? subject : String(key);
  };
}

/** Lets sockets be written to and read. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}

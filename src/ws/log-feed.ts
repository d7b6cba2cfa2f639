import { isMillraceError, type Log, type Logger, type LogMessage, type LogReader } from "../core/index.js";
import { Entry, type Feed, fanOut, type Subscriber, type Want } from "./feed.js";
import type { GatewayMetrics } from "./metrics.js";

export interface LogFeedOptions {
  readonly name: string;
  readonly stream: string;
  /** Patterns of the subjects shown; stage markers (`<stream>._at.…`) never are. */
  readonly subjects: readonly string[];
  readonly log: Log;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
}

/** Messages of one read, so that one slow turn does not hold up the other channels. */
const BATCH = 256;
/** Replays that read the log at the same time; more wait their turn. */
const MAX_REPLAYS = 32;
const RETRY_MS_FIRST = 100;
const RETRY_MS_MOST = 5_000;

/** Where the channel is in its stream. */
interface Place {
  readonly epoch: string;
  /** Live subscribers get everything after this. */
  position: number;
  /** The last sequence that matched: a replay that has passed it may go live. */
  tail: number;
}

/**
 * A channel with history: one reader at the end of a stream for all live subscribers, and one of its own for each client that asks
 * for the past. `epoch` is the stream's incarnation, an offset its sequence. While the log is away, subscribers wait; when the
 * stream was replaced or cut under the reader, they are sent away to start over.
 */
export function logFeed({ name, stream, subjects, log, metrics, logger }: LogFeedOptions): Feed {
  const live = new Set<Subscriber>();
  const replays = slots(MAX_REPLAYS);
  const stop = new AbortController();
  let place: Place | undefined;
  let reader: LogReader | undefined;
  const running = run();

  return {
    name,
    attach(subscriber, want) {
      if (!place) subscriber.unavailable("the log cannot be reached yet");
      else if (want.since === undefined) join(subscriber, place, {});
      else void recover(subscriber, want.since, want);
    },
    detach: (subscriber) => live.delete(subscriber),
    async close() {
      stop.abort();
      await reader?.close();
      await running;
    },
  };

  /** Live from here. Synchronous, so that no event passes between the answer and the set. */
  function join(subscriber: Subscriber, { epoch, position }: Place, answer: { recovered?: false }): void {
    subscriber.last = position;
    subscriber.subscribed({ epoch, offset: position, ...answer });
    live.add(subscriber);
  }

  async function run(): Promise<void> {
    for (let waitMs = RETRY_MS_FIRST; !stop.signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MS_MOST)) {
      try {
        await settle();
        const { position } = place as Place;
        reader = await log.read({ stream, subjects, fromSequence: position + 1 });
        if (stop.signal.aborted) await reader.close();
        for (;;) {
          const messages = await reader.next(BATCH);
          if (messages.length === 0) return;
          waitMs = RETRY_MS_FIRST;
          publish(messages);
        }
      } catch (err) {
        if (stop.signal.aborted) return;
        if (waitMs === RETRY_MS_FIRST) logger.warn({ err, channel: name }, "a channel lost its stream and tries again");
        await reader?.close().catch(() => {});
        await sleep(waitMs, stop.signal);
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
    const tail = await lastMatch();
    const replaced = place !== undefined;
    place = { epoch: info.incarnation, position: info.lastSequence, tail };
    if (!replaced) return;
    logger.warn(
      { channel: name, epoch: info.incarnation },
      "the stream of a channel was replaced; its subscribers start over",
    );
    for (const subscriber of live) subscriber.replaced();
    live.clear();
  }

  async function lastMatch(): Promise<number> {
    let tail = 0;
    for (const pattern of subjects) {
      for (const subject of (await log.countSubjects(stream, pattern)).keys()) {
        if (isMarker(subject)) continue;
        tail = Math.max(tail, (await log.last(stream, subject))?.sequence ?? 0);
      }
    }
    return tail;
  }

  function publish(messages: readonly LogMessage[]): void {
    const now = place as Place;
    const entries = toEntries(messages);
    const { frames, bytes } = fanOut(entries, live);
    metrics.frames(name, frames, bytes);
    now.position = messages.at(-1)?.sequence ?? now.position;
    now.tail = Math.max(now.tail, entries.at(-1)?.offset ?? 0);
  }

  function toEntries(messages: readonly LogMessage[]): Entry[] {
    return messages.flatMap(({ sequence, subject, data }) => {
      if (isMarker(subject)) return [];
      const body = jsonText(data);
      if (body !== undefined) return [new Entry(name, sequence, body)];
      metrics.skipped(name);
      return [];
    });
  }

  function isMarker(subject: string): boolean {
    return subject.startsWith(`${stream}._at.`);
  }

  async function recover(subscriber: Subscriber, since: number, want: Want): Promise<void> {
    const release = await replays();
    let replay: LogReader | undefined;
    try {
      if (!subscriber.isActive()) return;
      const info = await log.info(stream);
      if (!subscriber.isActive()) return;
      const now = place as Place;
      const sameLog = info.incarnation === now.epoch && (want.epoch ?? now.epoch) === now.epoch;
      const complete = since + 1 >= info.firstSequence && since <= Math.max(info.lastSequence, now.position);
      metrics.recovery(sameLog && complete ? "recovered" : "lost");
      if (!sameLog || !complete) return join(subscriber, now, { recovered: false });
      subscriber.last = since;
      if (since < now.tail) replay = await log.read({ stream, subjects, fromSequence: since + 1 });
      if (!subscriber.isActive()) return;
      subscriber.subscribed({ epoch: now.epoch, offset: since, recovered: true });
      if (replay) await replayTo(subscriber, replay, since);
      if (!subscriber.isActive()) return;
      if (place?.epoch === now.epoch) live.add(subscriber);
      else subscriber.replaced();
    } catch (err) {
      if (!subscriber.isActive()) return;
      logger.warn({ err, channel: name }, "a replay was broken off");
      // Before the answer this is an error frame, after it the connection is closed: either way the client asks again.
      if (isMillraceError(err, "MR_LOG_UNAVAILABLE")) subscriber.unavailable("the log cannot be reached just now");
      else subscriber.replaced();
    } finally {
      release();
      await replay?.close().catch(() => {});
    }
  }

  /** Sends the past until the live reader has been met. Waits for the client, never for more than it has room for. */
  async function replayTo(subscriber: Subscriber, replay: LogReader, since: number): Promise<void> {
    let at = since;
    while (at < (place as Place).tail && subscriber.isActive()) {
      const messages = await replay.next(BATCH);
      if (messages.length === 0) return;
      for (const entry of toEntries(messages)) {
        if (!subscriber.hasRoom() && !(await subscriber.room())) return;
        const { frames, bytes } = fanOut([entry], [subscriber]);
        metrics.frames(name, frames, bytes);
      }
      at = messages.at(-1)?.sequence ?? at;
    }
  }
}

/** Undefined when `data` is not JSON in UTF-8: a frame made of it would be refused by every client. */
function jsonText(data: Uint8Array): string | undefined {
  try {
    const text = decoder.decode(data);
    JSON.parse(text);
    return text;
  } catch {
    return undefined;
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** At most `count` holders at a time, in order of asking. */
function slots(count: number): () => Promise<() => void> {
  const waiting: (() => void)[] = [];
  let free = count;
  const release = () => {
    const next = waiting.shift();
    if (next) next();
    else free++;
  };
  return async () => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    let held = true;
    return () => {
      if (held) release();
      held = false;
    };
  };
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

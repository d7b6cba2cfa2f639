import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { createInbox, nanos, type Subscription } from "nats";
import { isMillraceError, type Log, type LogMessage, type LogReader, MillraceError } from "../core/index.js";
import type { Link } from "./connection.js";
import { logError } from "./failures.js";
import type { Frame } from "./frames.js";
import { HEADERS, isCarried } from "./marker-subjects.js";
import { headersOf, Place, ReadMessage, subjectOf } from "./reader-protocol.js";
import { streamInfo } from "./stream.js";

/** Bytes and messages a reader holds ahead of its task, plus one message that is larger than all of that. */
const WINDOW_BYTES = 4 * 1024 * 1024;
const WINDOW_MESSAGES = 8_192;
/** How long a request for messages stays open on the server, how often it shows life meanwhile, and when we stop believing. */
const EXPIRES_MS = 30_000;
const HEARTBEAT_MS = 2_000;
const SILENCE_MS = 5_000;
/** The server forgets a consumer nobody asks. A task that rests longer finds a new one made, at its own position. */
const CONSUMER_IDLE_MS = 60_000;
const RETRY_MS_FIRST = 50;
const RETRY_MS_MOST = 2_000;

const encoder = new TextEncoder();

type What = Parameters<Log["read"]>[0];

/**
 * Reads a stream in order through a consumer without acknowledgements, at least 100 K small messages a second. The position is
 * ours, so a lost consumer, connection or server costs a new consumer and nothing else. Markers (`<stream>._at.…`) are skipped;
 * a pack that carries one is read under its own subject.
 *
 * A reader from sequence 1 begins with the oldest message there is; from anywhere else the first message must still be there.
 *
 * Errors: MR_LOG_TRUNCATED, MR_LOG_LOST_DATA (the stream ends before `fromSequence - 1`, or is another one), MR_LOG_UNAVAILABLE.
 */
export async function openReader(link: Link, what: What): Promise<LogReader> {
  const reader = new Reader(link, what);
  await reader.open();
  return reader;
}

class Reader implements LogReader {
  readonly #link: Link;
  readonly #what: What;
  readonly #inbox = createInbox();
  readonly #marker: string;
  #subscription: Subscription | undefined;
  #forgetReconnect: () => void = () => undefined;
  #watchdog: NodeJS.Timeout | undefined;

  #incarnation: string | undefined;
  /** The next sequence we have not seen. */
  #position: number;
  #consumer = "";
  #place: Place;
  /** Deliveries of the present consumer so far: each must be one more than the last. */
  #delivered = 0;
  /** What open requests may still bring. */
  #requested = 0;
  #requestedBytes = 0;
  #requestNumber = 0;
  /** The present consumer's first. */
  #firstRequest = 1;
  /** The next message is larger than a request had room for. */
  #tooLarge = false;
  #heardMs = 0;
  #heard = false;
  #recovering = false;

  #queue: ReadMessage[] = [];
  #queueHead = 0;
  #queuedBytes = 0;
  #waiting: { most: number; resolve(messages: readonly LogMessage[]): void; reject(error: unknown): void } | undefined;
  #answering = false;
  #failure: MillraceError | undefined;
  #closed = false;

  constructor(link: Link, what: What) {
    this.#link = link;
    this.#what = what;
    this.#position = Math.max(1, what.fromSequence);
    this.#incarnation = what.incarnation;
    this.#marker = `${what.stream}._at.`;
    this.#place = new Place(what.stream, "");
  }

  async open(): Promise<void> {
    await this.#connect();
    this.#forgetReconnect = this.#link.onReconnect(() => this.#recover("reconnected"));
    this.#watchdog = setInterval(() => this.#watch(), HEARTBEAT_MS).unref();
    void this.#link.nc
      .closed()
      .then(() => this.#fail(new MillraceError("MR_LOG_UNAVAILABLE", `${this.#name()}: connection closed`)));
    this.#ask();
  }

  next(maxMessages: number): Promise<readonly LogMessage[]> {
    if (this.#waiting !== undefined) throw new Error(`${this.#name()}: next() called again before it answered`);
    const isReady = this.#queueHead < this.#queue.length;
    if (!isReady && this.#closed) return Promise.resolve([]);
    if (!isReady && this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting = { most: maxMessages, resolve, reject };
      if (isReady) this.#answerAfter(setImmediate); // or a full window would be worked off before anything else is heard or sent
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#forgetReconnect();
    clearInterval(this.#watchdog);
    this.#queue = [];
    this.#queueHead = 0;
    this.#waiting?.resolve([]);
    this.#waiting = undefined;
    if (this.#link.nc.isClosed()) return;
    if (this.#subscription !== undefined) {
      this.#subscription.unsubscribe();
      this.#link.frames.release(this.#subscription.getID());
    }
    // The server would forget the consumer by itself after a minute; asking is only tidier.
    if (this.#link.connected())
      await this.#link.jsm.consumers.delete(this.#what.stream, this.#consumer).catch(() => false);
  }

  #name(): string {
    return `reading ${this.#what.stream} from ${this.#position}`;
  }

  async #connect(): Promise<void> {
    await this.#checkPosition();
    if (this.#subscription === undefined) {
      this.#subscription = this.#link.nc.subscribe(`${this.#inbox}.>`, {
        callback: (error) => {
          if (error !== null) this.#fail(logError(this.#name(), error));
        },
      });
      this.#link.frames.claim(this.#subscription.getID(), (frame) => this.#receive(frame));
    }
    const { stream, subjects } = this.#what;
    const name = `mr-${randomBytes(6).toString("base64url")}`; // short: it comes back with every message
    try {
      await this.#link.jsm.consumers.add(stream, {
        name,
        ack_policy: "none",
        deliver_policy: "by_start_sequence",
        opt_start_seq: this.#position,
        ...(subjects.length > 0 ? { filter_subjects: [...subjects] } : {}),
        inactive_threshold: nanos(CONSUMER_IDLE_MS),
        mem_storage: true,
        num_replicas: 1,
      });
    } catch (cause) {
      throw logError(this.#name(), cause);
    }
    await this.#checkPosition(); // the stream may have been made again since the first look
    this.#consumer = name;
    this.#place = new Place(stream, name);
    this.#delivered = 0;
    this.#requested = 0;
    this.#requestedBytes = 0;
    this.#firstRequest = this.#requestNumber + 1;
    this.#tooLarge = false;
    this.#heardMs = performance.now();
  }

  /** The server would begin at what is left, or wait beyond the end, without a word. */
  async #checkPosition(): Promise<void> {
    const info = await streamInfo(this.#link, this.#what.stream);
    this.#incarnation ??= info.incarnation;
    if (info.incarnation !== this.#incarnation || info.lastSequence < this.#position - 1) {
      const found = `incarnation ${info.incarnation} ending at ${info.lastSequence}`;
      throw new MillraceError(
        "MR_LOG_LOST_DATA",
        `broker lost acknowledged data: ${this.#name()} of incarnation ${this.#incarnation}, the log is now ${found}`,
      );
    }
    if (info.firstSequence <= this.#position) return;
    if (this.#position > 1) {
      const gap = `${this.#position} to ${info.firstSequence - 1}`;
      throw new MillraceError("MR_LOG_TRUNCATED", `log truncated: ${this.#name()}, messages ${gap} are gone`);
    }
    this.#position = info.firstSequence;
  }

  /** Asks for more when half of the window is neither taken nor asked for: the server need not wait for the last message to arrive. */
  #ask(): void {
    if (this.#recovering || this.#closed || this.#failure !== undefined) return;
    const waiting = this.#queue.length - this.#queueHead;
    if (this.#tooLarge) {
      if (waiting === 0 && this.#requested === 0) this.#request(1, undefined);
      return;
    }
    const room = WINDOW_MESSAGES - waiting - this.#requested;
    const roomBytes = WINDOW_BYTES - this.#queuedBytes - this.#requestedBytes;
    if (room >= WINDOW_MESSAGES / 2 && roomBytes >= WINDOW_BYTES / 2) this.#request(room, roomBytes);
  }

  #request(batch: number, maxBytes: number | undefined): void {
    this.#tooLarge = false;
    this.#requested += batch;
    this.#requestedBytes += maxBytes ?? 0;
    this.#requestNumber += 1;
    this.#heardMs = performance.now();
    const options = { batch, ...(maxBytes === undefined ? {} : { max_bytes: maxBytes }) };
    const times = { expires: nanos(EXPIRES_MS), idle_heartbeat: nanos(HEARTBEAT_MS) };
    try {
      this.#link.nc.publish(
        `$JS.API.CONSUMER.MSG.NEXT.${this.#what.stream}.${this.#consumer}`,
        encoder.encode(JSON.stringify({ ...options, ...times })),
        { reply: `${this.#inbox}.${this.#requestNumber}` },
      );
    } catch (cause) {
      this.#fail(logError(this.#name(), cause));
    }
  }

  #receive(frame: Frame): void {
    if (this.#closed || this.#recovering) return;
    const subject = subjectOf(frame);
    if (subject.startsWith(this.#inbox)) {
      this.#status(subject, frame);
      return;
    }
    const place = this.#place;
    if (!place.read(frame)) return; // from a consumer we gave up
    this.#heard = true;
    if (place.delivery !== this.#delivered + 1) {
      this.#recover("a delivery is missing");
      return;
    }
    this.#delivered = place.delivery;
    this.#position = place.sequence + 1;
    this.#requested -= 1;
    this.#requestedBytes = this.#requested === 0 ? 0 : this.#requestedBytes - (frame.bodyTo - frame.subjectFrom);
    if (!subject.startsWith(this.#marker)) this.#accept(subject, frame);
    this.#ask();
  }

  #accept(subject: string, frame: Frame): void {
    const isPack = isCarried(subject, this.#what.stream.length + 1);
    const ownSubject = isPack ? headersOf(frame)?.get(HEADERS.subject) : subject;
    const message = new ReadMessage(this.#place.sequence, ownSubject ?? subject, frame);
    this.#queue.push(message);
    this.#queuedBytes += message.sizeBytes;
    this.#answerAfter(queueMicrotask); // the rest of the same network read comes first: a task prefers one slice to many
  }

  #answerAfter(pause: (then: () => void) => unknown): void {
    if (this.#waiting === undefined || this.#answering) return;
    this.#answering = true;
    pause(() => {
      this.#answering = false;
      const { most, resolve } = this.#waiting ?? {};
      if (most === undefined || this.#queueHead >= this.#queue.length) return;
      this.#waiting = undefined;
      resolve?.(this.#take(most));
    });
  }

  #take(most: number): readonly LogMessage[] {
    const end = Math.min(this.#queueHead + Math.max(1, most), this.#queue.length);
    const taken = this.#queue.slice(this.#queueHead, end);
    for (const { sizeBytes } of taken) this.#queuedBytes -= sizeBytes;
    this.#queueHead = end;
    if (end === this.#queue.length || end > WINDOW_MESSAGES) {
      this.#queue = this.#queue.slice(end);
      this.#queueHead = 0;
    }
    this.#ask();
    return taken;
  }

  #status(subject: string, frame: Frame): void {
    if (Number(subject.slice(this.#inbox.length + 1)) < this.#firstRequest) return; // of a consumer we gave up
    this.#heard = true;
    const headers = headersOf(frame);
    const code = headers?.code ?? 0;
    if (code === 100) {
      const delivered = Number(headers?.get("Nats-Last-Consumer"));
      if (delivered > this.#delivered) this.#recover("a heartbeat counts more deliveries than arrived");
      return;
    }
    const description = headers?.description ?? "";
    const isTooLarge = code === 409 && /exceeds maxbytes/i.test(description);
    if (code !== 408 && !isTooLarge && !(code === 409 && /batch completed/i.test(description))) {
      this.#recover(`the server answered ${headers?.status}`);
      return;
    }
    // A request is over; this is what it has not brought.
    if (isTooLarge) this.#tooLarge = true;
    this.#requested -= Number(headers?.get("Nats-Pending-Messages"));
    this.#requestedBytes =
      this.#requested === 0 ? 0 : this.#requestedBytes - Number(headers?.get("Nats-Pending-Bytes"));
    this.#ask();
  }

  #watch(): void {
    if (this.#heard) this.#heardMs = performance.now();
    this.#heard = false;
    const silentMs = performance.now() - this.#heardMs;
    if (this.#requested > 0 && silentMs > SILENCE_MS && this.#link.connected()) this.#recover("no heartbeat");
  }

  /** Makes a new consumer at our position; tries for as long as the log is away. One at a time. */
  #recover(_reason: string): void {
    if (this.#recovering || this.#closed || this.#failure !== undefined) return;
    this.#recovering = true;
    void (async () => {
      for (let waitMs = RETRY_MS_FIRST; !this.#closed; waitMs = Math.min(waitMs * 2, RETRY_MS_MOST)) {
        try {
          await this.#connect();
          break;
        } catch (error) {
          if (!isMillraceError(error, "MR_LOG_UNAVAILABLE") || this.#link.nc.isClosed()) {
            this.#fail(logError(this.#name(), error));
            return;
          }
        }
        await pause(waitMs);
      }
      this.#recovering = false;
      this.#ask();
    })();
  }

  #fail(error: MillraceError): void {
    if (this.#failure !== undefined || this.#closed) return;
    this.#failure = error;
    clearInterval(this.#watchdog);
    this.#forgetReconnect();
    if (this.#answering) return; // what has arrived is handed out first
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}

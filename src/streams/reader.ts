import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { createInbox, type Msg, nanos, type Subscription } from "nats";
import { isMillraceError, type Log, type LogMessage, type LogReader, MillraceError } from "../core/index.js";
import type { Link } from "./connection.js";
import { logError } from "./failures.js";
import { HEADERS, isCarried } from "./marker-subjects.js";
import { isStatus, type Place, placeOf, ReadMessage } from "./reader-protocol.js";
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
  /** Deliveries of the present consumer so far: each must be one more than the last. */
  #delivered = 0;
  /** Messages the open request may still bring; 0 when there is none. */
  #requested = 0;
  #requestNumber = 0;
  #heardMs = 0;
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
    this.#subscription?.unsubscribe();
    // The server would forget the consumer by itself after a minute; asking is only tidier.
    if (this.#link.connected())
      await this.#link.jsm.consumers.delete(this.#what.stream, this.#consumer).catch(() => false);
  }

  #name(): string {
    return `reading ${this.#what.stream} from ${this.#position}`;
  }

  async #connect(): Promise<void> {
    await this.#checkPosition();
    this.#subscription ??= this.#link.nc.subscribe(`${this.#inbox}.>`, {
      callback: (error, message) => {
        if (error === null) this.#receive(message);
        else this.#fail(logError(this.#name(), error));
      },
    });
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
    this.#delivered = 0;
    this.#requested = 0;
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

  /** Opens the next request when the last one is used up and at least half of the window is free. */
  #ask(): void {
    if (this.#requested > 0 || this.#recovering || this.#closed || this.#failure !== undefined) return;
    const waiting = this.#queue.length - this.#queueHead;
    if (waiting > WINDOW_MESSAGES / 2 || this.#queuedBytes > WINDOW_BYTES / 2) return;
    this.#request(WINDOW_MESSAGES - waiting, WINDOW_BYTES - this.#queuedBytes);
  }

  #request(batch: number, maxBytes: number | undefined): void {
    this.#requested = batch;
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

  #receive(message: Msg): void {
    if (this.#closed || this.#recovering) return;
    if (isStatus(message, this.#inbox)) {
      this.#status(message);
      return;
    }
    const place = placeOf(message.reply ?? "", this.#what.stream, this.#consumer);
    if (place === undefined) return; // from a consumer we gave up
    this.#heardMs = performance.now();
    if (place.delivery !== this.#delivered + 1) {
      this.#recover("a delivery is missing");
      return;
    }
    this.#accept(message, place);
  }

  #accept(message: Msg, { sequence, delivery }: Place): void {
    this.#delivered = delivery;
    this.#position = sequence + 1;
    this.#requested -= 1;
    const { subject } = message;
    if (!subject.startsWith(this.#marker)) {
      const isPack = isCarried(subject, this.#what.stream.length + 1);
      const read = new ReadMessage(sequence, message, isPack ? message.headers?.get(HEADERS.subject) : subject);
      this.#queue.push(read);
      this.#queuedBytes += read.sizeBytes;
      this.#answerAfter(queueMicrotask); // the rest of the same network read comes first: a task prefers one slice to many
    }
    this.#ask();
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

  #status(message: Msg): void {
    if (message.subject !== `${this.#inbox}.${this.#requestNumber}`) return; // about an earlier request
    this.#heardMs = performance.now();
    const code = message.headers?.code ?? 0;
    if (code === 100) {
      const delivered = Number(message.headers?.get("Nats-Last-Consumer"));
      if (delivered > this.#delivered) this.#recover("a heartbeat counts more deliveries than arrived");
      return;
    }
    const untouched = this.#queueHead >= this.#queue.length;
    if (code === 408 || (code === 409 && !untouched)) {
      this.#requested = 0;
      this.#ask();
    } else if (code === 409 && /exceeds maxbytes/i.test(message.headers?.description ?? "")) {
      this.#request(1, undefined); // one message larger than the whole window
    } else {
      this.#recover(`the server answered ${message.headers?.status}`);
    }
  }

  #watch(): void {
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

import {
  type Clock,
  canonicalJson,
  type DeadLetter,
  decodeToken,
  encodeToken,
  isMillraceError,
  type Log,
  type Logger,
  type LogMessage,
  type LogReader,
  MillraceError,
  type NoticeAttempt,
  type NoticeOutcome,
  type NoticeReference,
  type Registers,
} from "../../core/index.js";
import type { Notifier, SendResult } from "../../sinks/index.js";
import { registerReader } from "../keeper/index.js";
import { type Kept, Mailbox, type Pending } from "./mailbox.js";

export interface OutboxOptions {
  readonly log: Log;
  readonly registers: Registers;
  readonly clock: Clock;
  readonly logger: Logger;
  /** By name. Notices for others wait in the log until there is such a receiver. */
  readonly receivers: ReadonlyMap<string, Notifier>;
  /** After so many attempts a notice is dead. A receiver that asks for patience (429) is given it, uncounted. @default 20 */
  readonly maxAttempts?: number;
  /** In [0, 1); replaced in tests. */
  readonly chance?: () => number;
}

const STREAM = "notify";
/** Everything but markers. */
const SUBJECTS = `${STREAM}.*.*`;
const REGISTER = "notify/outbox";
const READ_MESSAGES = 256;
const RETRY_FIRST_MS = 1_000;
const RETRY_LAST_MS = 5 * 60_000;
const KEEP_EVERY_MS = 5_000;

const MAX_ATTEMPTS = 20;
const SHOWN_BYTES = 64 * 1024;

type Saved = {
  readonly sequence: number;
  readonly incarnation: string;
  readonly boxes: Readonly<Record<string, Kept>>;
};

/**
 * Says every notice in the stream `notify` to its receiver: at least once, in the log's order for each receiver, within what the
 * receiver allows. An attempt is in the log before it is made and its end after, so a crash in between is known: receivers that drop
 * repeats are told again, those that can be asked are asked, and at the others one repeat a crash is possible, and marked.
 *
 * Run it under a lease. A former owner that wakes up late is stopped by the markers: it cannot log an attempt, so it makes none.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #boxes = new Map<string, Mailbox>();
  readonly #markers = new Map<string, number>();
  readonly #sleepers: (() => void)[] = [];
  #heard = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Notices waiting, by receiver. */
  waiting(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#boxes].map(([name, { size }]) => [name, size]));
  }

  /** Resolves when `signal` aborts. Rejects with MR_FENCED when another process has taken over, or as the log fails. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, receivers, clock } = this.#options;
    const { incarnation } = await log.info(STREAM);
    const newest = (await log.last(STREAM, SUBJECTS))?.sequence ?? 0;
    const saved = await this.#restore(incarnation);
    for (const [name, notifier] of receivers) {
      this.#boxes.set(name, new Mailbox(notifier, saved?.boxes[name]));
      this.#markers.set(name, (await log.readMarker(STREAM, taskOf(name)))?.storedAt ?? 0);
    }
    this.#heard = saved?.sequence ?? 0;
    const reader = await log.read({
      stream: STREAM,
      subjects: [SUBJECTS],
      fromSequence: this.#heard + 1,
      incarnation,
    });
    const ending = new AbortController();
    const stop = () => ending.abort();
    signal.addEventListener("abort", stop, { once: true });
    const close = () => {
      this.#wakeAll();
      void reader.close();
    };
    ending.signal.addEventListener("abort", close, { once: true });
    if (signal.aborted) stop();
    try {
      while (this.#heard < newest && !ending.signal.aborted) {
        for (const message of await reader.next(READ_MESSAGES)) this.#fold(message, true);
      }
      for (const box of this.#boxes.values()) box.limiter.resume(clock.nowMs());
      await Promise.all([
        this.#listen(reader).finally(stop),
        this.#keepPlace(incarnation, ending.signal).finally(stop),
        ...[...this.#boxes].map(([name, box]) => this.#serve(name, box, ending.signal).finally(stop)),
      ]);
    } finally {
      signal.removeEventListener("abort", stop);
      stop();
    }
  }

  async #listen(reader: LogReader): Promise<void> {
    for (;;) {
      const messages = await reader.next(READ_MESSAGES);
      if (messages.length === 0) return;
      for (const message of messages) this.#fold(message, false);
      this.#wakeAll();
    }
  }

  /** What we wrote ourselves comes back here; only before the first attempt of this run does it tell anything. */
  #fold(message: LogMessage, isPast: boolean): void {
    this.#heard = message.sequence;
    const [, name = "", what] = message.subject.split(".");
    const box = this.#boxes.get(decodeToken(name));
    if (box === undefined) return;
    const record = JSON.parse(Buffer.from(message.data).toString()) as never;
    if (what === "request") box.request(record, message.sequence);
    if (isPast && what === "attempt") box.attempt(record);
    if (isPast && what === "outcome") box.outcome(record);
  }

  async #serve(name: string, box: Mailbox, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      const pending = box.next;
      if (pending === undefined) await this.#woken(signal);
      else if (box.isSuperseded(pending)) await this.#end(name, box, pending, "superseded", null, null, signal);
      else {
        const waitMs = Math.max(pending.notBeforeMs - clock.nowMs(), box.limiter.waitMs(clock.nowMs()));
        if (waitMs > 0) await clock.sleep(waitMs, signal);
        else await this.#try(name, box, pending, signal);
      }
    }
  }

  async #try(name: string, box: Mailbox, pending: Pending, signal: AbortSignal): Promise<void> {
    const { clock, maxAttempts = MAX_ATTEMPTS } = this.#options;
    const { notifier } = box;
    const { notice } = pending;
    const previous = box.referenceOf(notice.group);
    if (pending.isOpen && notifier.find !== undefined) {
      const found = await notifier.find(notice, previous).catch((error: Error) => error);
      if (found instanceof Error) return this.#later(pending, undefined);
      pending.isOpen = false;
      if (found !== undefined) return this.#end(name, box, pending, "delivered", found, null, signal);
    }
    if (pending.isOpen && notifier.repeats === "shown") pending.maybeRepeated = true;
    pending.attempts++;
    pending.isOpen = true;
    const attempt: NoticeAttempt = {
      kind: "notice-attempt",
      receiver: name,
      key: notice.key,
      attempt: pending.attempts,
      atMs: clock.nowMs(),
    };
    await this.#write(name, "attempt", pending, attempt, signal);
    if (signal.aborted) return;
    box.limiter.note(clock.nowMs());
    const result = await notifier.send(notice, previous);
    if (result.kind === "delivered") return this.#end(name, box, pending, "delivered", result.reference, null, signal);
    if (result.kind !== "unknown") pending.isOpen = false;
    const isOver = result.kind === "refused" || (pending.attempts >= maxAttempts && !isPatience(result));
    this.#options.logger.warn({ receiver: name, notice: notice.key, attempt: pending.attempts }, result.reason);
    if (isOver) return this.#end(name, box, pending, "dead", null, result.reason, signal);
    this.#later(pending, isPatience(result) ? result.afterMs : undefined);
  }

  /** Full jitter on a doubling bound, or as long as the receiver said and a little more, so that not everybody comes at once. */
  #later(pending: Pending, afterMs: number | undefined): void {
    const { clock, chance = Math.random } = this.#options;
    const bound = Math.min(RETRY_LAST_MS, RETRY_FIRST_MS * 2 ** Math.min(pending.attempts, 20));
    pending.notBeforeMs = clock.nowMs() + (afterMs === undefined ? chance() * bound : afterMs + chance() * 100);
  }

  async #end(
    name: string,
    box: Mailbox,
    pending: Pending,
    result: NoticeOutcome["result"],
    reference: NoticeReference | null,
    reason: string | null,
    signal: AbortSignal,
  ): Promise<void> {
    const { key, group } = pending.notice;
    const { attempts, maybeRepeated } = pending;
    const outcome: NoticeOutcome = {
      ...{ kind: "notice-outcome", receiver: name, key, group, result, attempts },
      ...{ maybeRepeated: maybeRepeated || (result === "dead" && pending.isOpen), reference, reason },
    };
    if (result === "dead") await this.#bury(pending, outcome, signal);
    await this.#write(name, "outcome", pending, outcome, signal);
    if (!signal.aborted) box.outcome(outcome);
  }

  /** Nobody was told: that must not be found in a log file only. */
  async #bury({ notice, sequence }: Pending, { reason }: NoticeOutcome, signal: AbortSignal): Promise<void> {
    const bytes = Buffer.from(canonicalJson(notice));
    const letter: DeadLetter = {
      kind: "dead",
      domain: "notify",
      eventId: notice.key,
      reason: `${notice.receiver} was not told: ${reason}`,
      source: "live",
      door: "notify",
      subject: `${STREAM}.${encodeToken(notice.receiver)}.request`,
      origin: { stream: STREAM, sequence, index: 0 },
      bytesBase64: bytes.subarray(0, SHOWN_BYTES).toString("base64"),
      bytesTotal: bytes.length,
    };
    const id = `notify/${notice.receiver}/${notice.key}`;
    await this.#until(signal, () =>
      this.#options.log.publish({
        subject: "dead.notify",
        data: Buffer.from(canonicalJson({ id, ...letter })),
        headers: { "Nats-Msg-Id": id },
      }),
    );
  }

  async #write(
    name: string,
    what: "attempt" | "outcome",
    { sequence, attempts }: Pending,
    record: NoticeAttempt | NoticeOutcome,
    signal: AbortSignal,
  ): Promise<void> {
    const subject = `${STREAM}.${encodeToken(name)}.${what}`;
    const stored = await this.#until(signal, () =>
      this.#options.log.writeBatch({
        stream: STREAM,
        task: taskOf(name),
        messages: [{ subject, data: Buffer.from(canonicalJson(record)) }],
        marker: { sequence, index: 2 * attempts + (what === "outcome" ? 1 : 0) },
        expectedAt: this.#markers.get(name) ?? 0,
      }),
    );
    if (stored !== undefined) this.#markers.set(name, stored.storedAt);
  }

  /** The log may be away for a while; that somebody else has written in our name is the end. Undefined when aborted. */
  async #until<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T | undefined> {
    const { clock, logger } = this.#options;
    for (let pauseMs = 250; !signal.aborted; pauseMs = Math.min(pauseMs * 2, 10_000)) {
      try {
        return await work();
      } catch (error) {
        if (isMillraceError(error, "MR_LOG_CONFLICT")) {
          throw new MillraceError("MR_FENCED", "notify: another process sends notices now", { cause: error });
        }
        if (!isMillraceError(error) || error.disposition !== "retry") throw error;
        logger.warn({ err: error, retryInMs: pauseMs }, "notify: the log does not take it yet");
        await clock.sleep(pauseMs, signal);
      }
    }
    return undefined;
  }

  async #restore(incarnation: string): Promise<Saved | undefined> {
    const stored = await this.#options.registers.get(REGISTER);
    const saved = stored && (JSON.parse(Buffer.from(stored.value).toString()) as Saved);
    return saved?.incarnation === incarnation ? saved : undefined;
  }

  /** Now and then the place up to which nothing is open, so that a start need not read all of the past. */
  async #keepPlace(incarnation: string, signal: AbortSignal): Promise<void> {
    const { clock, registers, logger } = this.#options;
    let kept = 0;
    while (!signal.aborted) {
      await clock.sleep(KEEP_EVERY_MS, signal);
      const oldest = [...this.#boxes.values()].flatMap((box) => box.oldest ?? []);
      const sequence = Math.min(this.#heard, ...oldest.map((at) => at - 1));
      if (sequence === kept) continue;
      const boxes = Object.fromEntries([...this.#boxes].map(([name, box]) => [name, box.kept()]));
      const saved: Saved = { sequence, incarnation, boxes };
      try {
        const revision = (await registers.get(REGISTER))?.revision ?? 0;
        await registers.set(REGISTER, Buffer.from(canonicalJson(saved)), revision);
        await registerReader(registers, {
          stream: STREAM,
          name: "notify",
          kind: "position",
          position: sequence,
          incarnation,
        });
        kept = sequence;
      } catch (error) {
        logger.warn({ err: error }, "notify: its place could not be kept, trying again");
      }
    }
  }

  #woken(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) resolve();
      else this.#sleepers.push(resolve);
    });
  }

  #wakeAll(): void {
    for (const wake of this.#sleepers.splice(0)) wake();
  }
}

function taskOf(receiver: string): string {
  return `notify/${receiver}`;
}

/** A receiver that asks for a pause is well: its patience is not counted as a failure. */
function isPatience(result: SendResult): result is SendResult & { readonly afterMs: number } {
  return result.kind === "retry" && result.afterMs !== undefined;
}

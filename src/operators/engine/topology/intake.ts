import { createHash } from "node:crypto";
import { type LogMessage, MillraceError } from "../../../core/index.js";
import { ownFunction } from "../aggregates/fuse.js";
import type { Marks } from "../time/marks.js";
import { Seen } from "../time/seen.js";
import type { Blueprint } from "./program.js";
import { messageOf, type Push, type Runtime } from "./runtime.js";
import type { Malformed } from "./source.js";

const NOTHING_KNOWN: Malformed = {};

/**
 * What a program does with a message before its steps: decodes it, tells the time of each event, drops duplicates, sets aside what is
 * refused, and counts. Knows the event at hand, for what later asks who it was.
 */
export class Intake<V> {
  readonly counts = { received: 0, deadLettered: 0, accepted: 0 };
  /** Only of a `unique` source. */
  readonly seen: Seen | undefined;
  readonly #blueprint: Blueprint<V>;
  readonly #runtime: Runtime;
  readonly #marks: Marks;
  /** `Runtime.attempt` of this program alone: one unit of work from the first step on. */
  readonly #attempt: (value: V) => boolean;
  /** Whether an event can be too far ahead at all. */
  readonly #boundsAhead: boolean;
  #value: V | undefined;
  #eventId = "";
  #from = 0;
  #to = 0;

  constructor(blueprint: Blueprint<V>, runtime: Runtime, marks: Marks, push: Push<V>) {
    this.#blueprint = blueprint;
    this.#runtime = runtime;
    this.#marks = marks;
    this.#attempt = ownFunction(
      {
        undo: runtime.undo,
        outputs: runtime.outputs,
        push,
        thrown: (error: unknown, before: number) => runtime.takeBack(error, before),
      },
      `(value) => {
        undo.begin();
        const before = outputs.length;
        try {
          push(value);
        } catch (error) {
          thrown(error, before);
          return false;
        }
        undo.commit();
        return true;
      }`,
    );
    const { source, root } = blueprint;
    this.#boundsAhead = source.timing?.maxAheadMs !== undefined;
    if (source.unique === undefined) return;
    this.seen = new Seen(root.id, root.name, source.unique.ttlMs);
    runtime.operators.push(this.seen);
  }

  /** Takes every event of a message. */
  decode(message: LogMessage): void {
    try {
      this.#blueprint.source.decode(message, this.#found, this.#runtime.now.ahead);
    } catch (error) {
      if (!this.#inDecoder) throw error;
      this.#found.malformed(`cannot be decoded: ${messageOf(error)}`, 0, message.data.length);
    }
  }

  /** False while an event is being processed: what is thrown then is not the decoder's. */
  #inDecoder = true;

  readonly #found = {
    event: (value: V, from: number, to: number): void => {
      this.#inDecoder = false;
      this.#event(value, from, to);
      this.#inDecoder = true;
    },
    malformed: (reason: string, from: number, to: number, about: Malformed = NOTHING_KNOWN): void => {
      const { now } = this.#runtime;
      this.counts.received++;
      now.index++;
      now.source = headerSource(now.message as LogMessage);
      this.#value = undefined;
      this.#from = from;
      this.#to = to;
      this.#eventId = about.id ?? "";
      this.#refuse(reason, about.bytes);
    },
  };

  #event(value: V, from: number, to: number): void {
    const runtime = this.#runtime;
    const { now } = runtime;
    const { source } = this.#blueprint;
    const message = now.message as LogMessage;
    this.counts.received++;
    now.index++;
    this.#value = value;
    this.#from = from;
    this.#to = to;
    this.#eventId = "";
    now.source = source.source === undefined ? headerSource(message) : source.source(value, message);
    const timeMs = source.time(value);
    if (timeMs !== undefined && !Number.isSafeInteger(timeMs)) {
      this.#refuse(`event time must be an integer of ms, got ${timeMs}`);
      return;
    }
    const isAhead = this.#boundsAhead && timeMs !== undefined && this.#marks.isAhead(now.source, timeMs);
    if (isAhead && source.timing?.ahead !== "sourceTime") {
      this.#refuse("beyond source time");
      return;
    }
    if (timeMs === undefined || isAhead) {
      now.timeMs = this.#marks.timeOf(now.source) ?? timeMs ?? 0;
    } else {
      now.timeMs = timeMs;
    }
    const identity = source.unique?.by(value);
    if (identity !== undefined && !this.#isNew(identity)) return;
    if (timeMs !== undefined && !isAhead) this.#marks.observe(now.source, timeMs);
    const duplicates = runtime.duplicates;
    if (!this.#attempt(value)) {
      if (identity !== undefined) this.seen?.takeBack(identity);
    } else if (runtime.duplicates === duplicates) {
      this.counts.accepted++;
    }
  }

  /** Counts it where it is not. The source's clock tells when it was delivered: its own time may be years back. */
  #isNew(identity: string): boolean {
    const { now } = this.#runtime;
    if (this.seen?.isNew(identity, this.#marks.timeOf(now.source) ?? now.timeMs) ?? true) return true;
    this.#runtime.duplicates++;
    return false;
  }

  /** The identity of the event at hand, made only when something asks for it; empty when none is. */
  idOf(): string {
    const { now } = this.#runtime;
    if (now.message !== undefined && this.#value !== undefined && this.#eventId === "") {
      const { id } = this.#blueprint.source;
      this.#eventId = id === undefined ? `${now.sequence}/${now.index}` : id(this.#value, now.message, now.index);
    }
    return this.#eventId;
  }

  /** Sets the event at hand aside, once where the source is `unique`. */
  #refuse(reason: string, bytes = this.#bytes()): void {
    const { now } = this.#runtime;
    if (this.seen !== undefined) {
      const hash = createHash("sha256").update(bytes).digest("hex");
      now.timeMs = 0;
      if (!this.#isNew(`refused ${hash} ${now.index}`)) return;
    }
    this.dead(new MillraceError("MR_EVENT_MALFORMED", reason), bytes);
  }

  #bytes(): Uint8Array {
    return (this.#runtime.now.message as LogMessage).data.subarray(this.#from, this.#to);
  }

  /** Sets what is at hand aside: an event, a control message, or a result as the watermark moves. */
  dead(error: unknown, bytes = this.#bytes()): void {
    const { now, step } = this.#runtime;
    this.counts.deadLettered++;
    const place = {
      message: now.message as LogMessage,
      index: Math.max(0, now.index),
      bytes,
      source: now.source,
      eventId: this.idOf(),
    };
    this.#runtime.emit(this.#blueprint.deadOutput({ error, step: this.#blueprint.stepName(step), ...place }));
  }

  /** No event is at hand: a control message of so many bytes is, or the passing of time. */
  noEvent(bytes = 0): void {
    this.#value = undefined;
    this.#eventId = "";
    this.#from = 0;
    this.#to = bytes;
  }
}

function headerSource(message: LogMessage): string {
  return message.header("Millrace-Source") ?? "live";
}

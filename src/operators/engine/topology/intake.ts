import { createHash } from "node:crypto";
import { type LogMessage, MillraceError, reasonOf } from "../../../core/index.js";
import { ownFunction } from "../aggregates/fuse.js";
import type { Marks } from "../time/marks.js";
import { Seen } from "../time/seen.js";
import type { Blueprint } from "./program.js";
import type { Push, Runtime } from "./runtime.js";
import type { Found, Malformed } from "./source.js";

const NOTHING_KNOWN: Malformed = {};

interface Hand<V> {
  value: V | undefined;
  /** Empty until asked for. */
  eventId: string;
  /** Its own bytes within the message. */
  from: number;
  to: number;
  inDecoder: boolean;
}

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
  /** Whether an event can be too far ahead at all. */
  readonly #boundsAhead: boolean;
  readonly #found: Found<V>;
  /** The event at hand; `inDecoder` is false while it is being processed: what is thrown then is not the decoder's. */
  readonly #hand: Hand<V> = { value: undefined, eventId: "", from: 0, to: 0, inDecoder: true };

  constructor(blueprint: Blueprint<V>, runtime: Runtime, marks: Marks, push: Push<V>) {
    this.#blueprint = blueprint;
    this.#runtime = runtime;
    this.#marks = marks;
    const { source, root } = blueprint;
    this.#boundsAhead = source.timing?.maxAheadMs !== undefined;
    this.#found = { event: this.#taking(push), malformed: this.#malformed };
    if (source.unique === undefined) return;
    this.seen = new Seen(root.id, root.name, source.unique.ttlMs);
    runtime.operators.push(this.seen);
  }

  /** Takes every event of a message. */
  decode(message: LogMessage): void {
    try {
      this.#blueprint.source.decode(message, this.#found, this.#runtime.now.ahead);
    } catch (error) {
      if (!this.#hand.inDecoder) throw error;
      this.#malformed(`cannot be decoded: ${reasonOf(error)}`, 0, message.data.length);
    }
  }

  /** What the decoder hands an event to: one function of its own a program, down to the last step, or little of it would be inlined. */
  #taking(push: Push<V>): Found<V>["event"] {
    const { source } = this.#blueprint;
    const runtime = this.#runtime;
    const attempt = attempting(runtime, push);
    return ownFunction<Found<V>["event"]>(
      {
        hand: this.#hand,
        counts: this.counts,
        now: runtime.now,
        marks: this.#marks,
        runtime,
        attempt,
        time: source.time,
        sourceOf: source.source ?? ((_value: V, message: LogMessage) => headerSource(message)),
        // Nothing to look up or to compare: its time is its own.
        plain: source.unique === undefined && !this.#boundsAhead,
        consider: (value: V, timeMs: number | undefined) => this.#consider(value, timeMs, attempt),
      },
      `(value, from, to) => {
        hand.inDecoder = false;
        counts.received++;
        now.index++;
        hand.value = value;
        hand.from = from;
        hand.to = to;
        hand.eventId = "";
        now.source = sourceOf(value, now.message);
        const timeMs = time(value);
        if (plain && Number.isSafeInteger(timeMs)) {
          now.timeMs = timeMs;
          marks.observe(now.source, timeMs);
          const { duplicates } = runtime;
          if (attempt(value) && runtime.duplicates === duplicates) counts.accepted++;
        } else {
          consider(value, timeMs);
        }
        hand.inDecoder = true;
      }`,
    );
  }

  readonly #malformed = (reason: string, from: number, to: number, about: Malformed = NOTHING_KNOWN): void => {
    const { now } = this.#runtime;
    this.counts.received++;
    now.index++;
    now.source = headerSource(now.message as LogMessage);
    this.#hand.value = undefined;
    this.#hand.from = from;
    this.#hand.to = to;
    this.#hand.eventId = about.id ?? "";
    this.#refuse(reason, about.bytes);
  };

  /** An event that may be refused, be ahead of its source or have come before, or has no time of its own. */
  #consider(value: V, timeMs: number | undefined, attempt: (value: V) => boolean): void {
    const runtime = this.#runtime;
    const { now } = runtime;
    const { source } = this.#blueprint;
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
    if (!attempt(value)) {
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
    if (now.message !== undefined && this.#hand.value !== undefined && this.#hand.eventId === "") {
      const { id } = this.#blueprint.source;
      this.#hand.eventId =
        id === undefined ? `${now.sequence}/${now.index}` : id(this.#hand.value, now.message, now.index);
    }
    return this.#hand.eventId;
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
    return (this.#runtime.now.message as LogMessage).data.subarray(this.#hand.from, this.#hand.to);
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
    this.#hand.value = undefined;
    this.#hand.eventId = "";
    this.#hand.from = 0;
    this.#hand.to = bytes;
  }
}

function headerSource(message: LogMessage): string {
  return message.header("Millrace-Source") ?? "live";
}

/** `Runtime.attempt` for one program alone: from the first step on, one unit of work. */
function attempting<V>(runtime: Runtime, push: Push<V>): (value: V) => boolean {
  return ownFunction(
    {
      undo: runtime.undo,
      outputs: runtime.outputs,
      push,
      takeBack: (error: unknown, before: number) => runtime.takeBack(error, before),
    },
    `(value) => {
      undo.begin();
      const before = outputs.length;
      try {
        push(value);
      } catch (error) {
        takeBack(error, before);
        return false;
      }
      undo.commit();
      return true;
    }`,
  );
}

import { createHash } from "node:crypto";
import {
  type Counters,
  DAY_MS,
  type DeadLetter,
  type Emit,
  encodeToken,
  type LateEvent,
  type LogMessage,
} from "../core/index.js";
import {
  type Dedupe,
  dedupe,
  type SourceMarks,
  type SourceMarksOptions,
  type Stateful,
  sourceMarks,
} from "../operators/index.js";

/** GitHub redelivers for three days, devices store and forward for a few: a week covers both. */
const REMEMBERED_MS = 7 * DAY_MS;
const SHOWN_BYTES = 64 * 1024;

/** One event of a message, before anything is decided about it. */
export interface Candidate {
  readonly eventId: string;
  /** What makes two events the same one: the id, with whatever it is unique within. */
  readonly identity: string;
  readonly source: string;
  /** Undefined: it has no time of its own. */
  readonly tsMs: number | undefined;
  /** Why it is refused; undefined when it is valid. */
  readonly refusal: string | undefined;
  /** Place within the message. */
  readonly index: number;
  /** Its own bytes, when they are not the whole message. */
  readonly bytes?: Uint8Array;
}

type Counting = { -readonly [Name in keyof Counters]: Counters[Name] };

export interface Intake {
  readonly marks: SourceMarks;
  readonly operators: Readonly<Record<string, Stateful>>;
  counters(): Counters;
  /** Counts the candidate and decides: true when it goes on; duplicates are dropped, refused ones go to `dead`. */
  admit(candidate: Candidate, message: LogMessage, emit: Emit): boolean;
  /** Sends an accepted event that missed its window to `late`, and counts it. */
  late(event: Omit<LateEvent, "kind" | "pipeline">, emit: Emit): void;
  /** After a tick: forgets ids that cannot come back any more. */
  advance(watermarkMs: number): void;
}

export interface IntakeOptions {
  readonly pipeline: string;
  readonly domain: DeadLetter["domain"];
  readonly time: SourceMarksOptions;
  /** What happens to an event too far ahead of its source's clock. */
  readonly ahead: "refuse" | "accept";
}

/**
 * What both applications do first: count, drop duplicates, set aside what is invalid. received = accepted + duplicates +
 * deadLettered, always.
 *
 * A refused event is remembered by its bytes, not by its id, so that the same garbage delivered again is a duplicate, while the
 * corrected event may come under the same id.
 */
export function intake({ pipeline, domain, time, ahead }: IntakeOptions): Intake {
  const marks = sourceMarks(time);
  const seen: Dedupe = dedupe({ ttlMs: REMEMBERED_MS });
  const counts: Counting = { received: 0, duplicates: 0, deadLettered: 0, late: 0, accepted: 0 };

  function refusalOf({ refusal, source, tsMs }: Candidate): string | undefined {
    if (refusal !== undefined || tsMs === undefined || ahead === "accept" || !marks.isAhead(source, tsMs))
      return refusal;
    return "beyond source time";
  }

  return {
    marks,
    operators: {
      marks,
      seen,
      counts: { save: () => ({ ...counts }), load: (saved) => void Object.assign(counts, saved as Counting) },
    },
    counters: () => ({ ...counts }),
    admit(candidate, message, emit) {
      counts.received++;
      const { eventId, source, tsMs, index } = candidate;
      const refusal = refusalOf(candidate);
      const bytes = candidate.bytes ?? message.data;
      const identity = refusal === undefined ? candidate.identity : `dead ${hashOf(bytes)} ${index}`;
      if (seen.isDuplicate(identity, marks.sourceTimeMs(source) ?? tsMs ?? 0)) {
        counts.duplicates++;
        return false;
      }
      if (refusal === undefined) {
        counts.accepted++;
        if (tsMs !== undefined) marks.observe(source, tsMs);
        return true;
      }
      counts.deadLettered++;
      const record: DeadLetter = {
        kind: "dead",
        domain,
        eventId,
        reason: refusal,
        source,
        door: message.header("Millrace-Door") ?? "",
        subject: message.subject,
        origin: { stream: domain, sequence: message.sequence, index },
        bytesBase64: Buffer.from(bytes.subarray(0, SHOWN_BYTES)).toString("base64"),
        bytesTotal: bytes.length,
      };
      emit({ stream: "dead", subject: `dead.${domain}`, record });
      return false;
    },
    late(event, emit) {
      counts.late++;
      emit({ stream: "late", subject: `late.${encodeToken(pipeline)}`, record: { kind: "late", pipeline, ...event } });
    },
    advance: (watermarkMs) => seen.forget(watermarkMs),
  };
}

/** 32 hex digits of SHA-256: the identity of an event that brings none. */
export function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 32);
}

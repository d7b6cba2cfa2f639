import type { Notice, NoticeAttempt, NoticeOutcome, NoticeReference } from "../../core/index.js";
import { Limiter, type Notifier } from "../../sinks/index.js";

/** Groups whose place at the receiver is remembered; the one longest unheard of goes first. */
const REFERENCES_MAX = 500;

/** A notice whose end is not in the log yet. */
export interface Pending {
  readonly notice: Notice;
  readonly sequence: number;
  /** Attempts in the log. */
  attempts: number;
  /** The last attempt may have been heard: it has neither an answer nor a definite failure. */
  isOpen: boolean;
  /** It may have been said twice. */
  maybeRepeated: boolean;
  /** Not before this wall time, ms. */
  notBeforeMs: number;
}

/** What is kept of a receiver between runs, beside the log. */
export interface Kept {
  readonly references: readonly (readonly [group: string, reference: NoticeReference])[];
  readonly attempts: readonly number[];
}

/** One receiver's notices, in the log's order: a fold over the stream `notify`. */
export class Mailbox {
  readonly notifier: Notifier;
  readonly limiter: Limiter;
  readonly #queue: Pending[] = [];
  readonly #references: Map<string, NoticeReference>;
  #lastAttemptMs: number;

  constructor(notifier: Notifier, kept: Kept = { references: [], attempts: [] }) {
    this.notifier = notifier;
    this.limiter = new Limiter(notifier.limits);
    for (const atMs of kept.attempts) this.limiter.note(atMs);
    this.#lastAttemptMs = kept.attempts.at(-1) ?? Number.NEGATIVE_INFINITY;
    this.#references = new Map(kept.references);
  }

  get next(): Pending | undefined {
    return this.#queue[0];
  }

  get size(): number {
    return this.#queue.length;
  }

  /** Sequence of the oldest notice without an end; undefined when all have theirs. */
  get oldest(): number | undefined {
    return this.#queue[0]?.sequence;
  }

  kept(): Kept {
    return { references: [...this.#references], attempts: this.limiter.attempts };
  }

  request(notice: Notice, sequence: number): void {
    if (this.#queue.some((pending) => pending.notice.key === notice.key)) return; // said twice by a desk that crashed
    this.#queue.push({ notice, sequence, attempts: 0, isOpen: false, maybeRepeated: false, notBeforeMs: 0 });
  }

  attempt({ key, attempt, atMs }: NoticeAttempt): void {
    const pending = this.#of(key);
    if (pending !== undefined) Object.assign(pending, { attempts: attempt, isOpen: true });
    if (atMs <= this.#lastAttemptMs) return; // counted already, and kept
    this.#lastAttemptMs = atMs;
    this.limiter.note(atMs);
  }

  outcome({ key, group, reference }: NoticeOutcome): void {
    const at = this.#queue.findIndex((pending) => pending.notice.key === key);
    if (at >= 0) this.#queue.splice(at, 1);
    if (reference === null) return;
    this.#references.delete(group);
    this.#references.set(group, reference);
    const [oldest] = this.#references.keys();
    if (this.#references.size > REFERENCES_MAX && oldest !== undefined) this.#references.delete(oldest);
  }

  /** Where the group stands at the receiver. */
  referenceOf(group: string): NoticeReference | null {
    return this.#references.get(group) ?? null;
  }

  /** True when a later notice of the same group says the same better, and nobody has heard this one. */
  isSuperseded({ notice, attempts }: Pending): boolean {
    if (attempts > 0) return false;
    return this.#queue.some(
      (other) =>
        other.notice !== notice && other.notice.group === notice.group && other.notice.status === notice.status,
    );
  }

  #of(key: string): Pending | undefined {
    return this.#queue.find((pending) => pending.notice.key === key);
  }
}

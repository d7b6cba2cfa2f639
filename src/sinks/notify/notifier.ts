import type { Notice, NoticeReference } from "../../core/index.js";

/**
 * Somebody outside who is told things. Not a `Sink`: most receivers cannot promise that a repeat changes nothing, so what is done
 * about a repeat is part of the contract. test/contracts/notifiers.ts holds every one of them to it.
 */
export interface Notifier {
  readonly kind: "slack-webhook" | "slack-bot" | "teams" | "webhook" | "email";
  /** What the receiver allows; all of it holds at once. */
  readonly limits: readonly RateLimit[];
  /** `dropped`: the receiver drops a repeat by its key. `found`: `find` tells. `shown`: a repeat would be seen twice. */
  readonly repeats: "dropped" | "found" | "shown";
  /** What would be sent, without any secret. Pure: the same notice gives the same bytes. */
  compose(notice: Notice, previous: NoticeReference | null): ComposedNotice;
  /** Speaks to the receiver, once. Never rejects, and never takes longer than its time limit. */
  send(notice: Notice, previous: NoticeReference | null): Promise<SendResult>;
  /** After an attempt without an answer: is it there? Undefined: no. Rejects when the receiver cannot be asked. */
  find?(notice: Notice, previous: NoticeReference | null): Promise<NoticeReference | undefined>;
  close(): void;
}

export interface RateLimit {
  readonly count: number;
  readonly perMs: number;
}

export interface ComposedNotice {
  /** What the receiver shows, as JSON or as text. */
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

export type SendResult =
  | { readonly kind: "delivered"; readonly reference: NoticeReference | null }
  /** Certainly not said; `afterMs` when the receiver asked for a pause. */
  | { readonly kind: "retry"; readonly reason: string; readonly afterMs?: number }
  /** Perhaps said: the question left, no answer came. */
  | { readonly kind: "unknown"; readonly reason: string }
  /** Not said, and asking again would give the same answer. */
  | { readonly kind: "refused"; readonly reason: string };

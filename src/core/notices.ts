import type { Alert } from "./records.js";

/**
 * What goes on between the alarm desk, which decides who must know what, and the senders. All of it is in the stream `notify`:
 * `notify.<receiver>.request` (desk), `notify.<receiver>.attempt` and `notify.<receiver>.outcome` (sender).
 */

/** Something to be said to one receiver. */
export interface Notice {
  readonly kind: "notice";
  /** Name of the receiver in the configuration. */
  readonly receiver: string;
  /** The same for every attempt, different for every notice: receivers that can, drop repeats by it. */
  readonly key: string;
  /** What belongs together: later notices of a group update or follow the first one where the receiver can. */
  readonly group: string;
  /** `resolved`: all of the group is over. `digest`: more than can be listed; `alerts` are the gravest. */
  readonly status: "firing" | "resolved" | "digest";
  /** Gravest first, at most 20. */
  readonly alerts: readonly Alert[];
  /** Further alerts, not listed. */
  readonly omitted: number;
  /** What the alerts of the group have in common. */
  readonly labels: Readonly<Record<string, string>>;
  /** Why now, in a few words, when it is not the first notice: `escalated`, `still firing`, … Empty otherwise. */
  readonly note: string;
  /** RFC 3339, event time. */
  readonly ts: string;
}

/** A place at the receiver where a notice stands, to update or follow it. */
export type NoticeReference = Readonly<Record<string, string>>;

/** Written before a sender speaks to the receiver: after a crash it tells that the receiver may already know. */
export interface NoticeAttempt {
  readonly kind: "notice-attempt";
  readonly receiver: string;
  readonly key: string;
  /** From 1. */
  readonly attempt: number;
  /** Wall time, ms: what the receiver's rate limit counts. */
  readonly atMs: number;
}

/** The end of a notice. */
export interface NoticeOutcome {
  readonly kind: "notice-outcome";
  readonly receiver: string;
  readonly key: string;
  readonly group: string;
  /** `dead`: refused for good, or tried too often. `superseded`: a newer notice of the group said it better. */
  readonly result: "delivered" | "dead" | "superseded";
  readonly attempts: number;
  /** True when an attempt ended without an answer and the receiver cannot tell repeats: it may have been said twice. */
  readonly maybeRepeated: boolean;
  readonly reference: NoticeReference | null;
  /** Why it is dead; null otherwise. Never holds an address or a token. */
  readonly reason: string | null;
}

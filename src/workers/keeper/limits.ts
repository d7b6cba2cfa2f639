import type { StreamInfo } from "../../core/index.js";

/** Something that wants messages kept from `sequence` on. */
export interface Limit {
  /** For people: `retention`, `reader mine.telemetry/0`, `marker of mine.telemetry/0`. */
  readonly what: string;
  readonly sequence: number;
}

export interface StreamLimits {
  readonly stream: string;
  /** The first message that stays. */
  readonly from: number;
  /** Whoever wants more kept than the retention asks for; undefined when nobody does. */
  readonly heldBy: Limit | undefined;
}

/**
 * Up to where a stream may be purged: the least of the retention, the next message of every reader, and the oldest live marker (a
 * purged marker reads as none, and would refuse its task).
 */
export function limitsOf(
  { name, firstSequence, lastSequence }: StreamInfo,
  retention: Limit,
  others: readonly Limit[],
): StreamLimits {
  const least = others.reduce<Limit>((least, limit) => (limit.sequence < least.sequence ? limit : least), retention);
  const from = Math.max(firstSequence, Math.min(least.sequence, lastSequence + 1));
  return { stream: name, from, heldBy: least === retention ? undefined : least };
}

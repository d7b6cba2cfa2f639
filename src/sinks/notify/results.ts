import type { SendResult } from "./notifier.js";
import type { OutgoingAnswer } from "./outgoing.js";

/** What no answer means for a notice. */
export function lostResult(answer: Exclude<OutgoingAnswer, { kind: "answer" }>): SendResult {
  const { kind, reason } = answer;
  if (kind === "forbidden") return { kind: "refused", reason };
  return kind === "unsent" ? { kind: "retry", reason } : { kind: "unknown", reason };
}

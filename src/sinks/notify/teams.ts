import { MillraceError } from "../../core/index.js";
import type { Links } from "./blocks.js";
import { teamsMessage } from "./card.js";
import type { Notifier, SendResult } from "./notifier.js";
import type { Outgoing, OutgoingAnswer } from "./outgoing.js";
import { lostResult } from "./results.js";
import type { Language } from "./texts.js";

export interface TeamsOptions {
  /** Address of a Workflows webhook ("When a Teams webhook request is received"): its `sig` is a secret. */
  readonly url: URL;
  readonly language: Language;
  readonly links: Links;
  readonly outgoing: Outgoing;
}

/** More than 4 a second are throttled (a little less leaves here); the longer windows are those Microsoft published for webhooks. */
const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const LIMITS = [
  { count: 4, perMs: 1.05 * SECOND },
  { count: 60, perMs: 30 * SECOND },
  { count: 100, perMs: HOUR },
  { count: 150, perMs: 2 * HOUR },
  { count: 1_800, perMs: 24 * HOUR },
];

/** A Workflows webhook. An accepted card (202) is not yet a posted one: Teams does not tell. */
export function teams({ url, language, links, outgoing }: TeamsOptions): Notifier {
  if (/(^|\.)webhook\.office\.com$/i.test(url.hostname) || /^outlook\.office(365)?\.com$/i.test(url.hostname)) {
    throw new MillraceError(
      "MR_OPTION_INVALID",
      `Teams receiver at ${url.hostname}: Office 365 connectors were switched off in May 2026; make a workflow "When a Teams webhook request is received" in the channel and use its address`,
    );
  }
  const headers = { "content-type": "application/json; charset=utf-8" };
  return {
    kind: "teams",
    limits: LIMITS,
    repeats: "shown",
    compose: (notice) => ({ body: JSON.stringify(teamsMessage(notice, language, links)), headers }),
    async send(notice, previous) {
      const { body } = this.compose(notice, previous);
      return resultOf(await outgoing.request({ method: "POST", url, headers, body }));
    },
    close: () => undefined,
  };
}

function resultOf(answer: OutgoingAnswer): SendResult {
  if (answer.kind !== "answer") return lostResult(answer);
  const { status, retryAfterMs } = answer;
  if (status >= 200 && status < 300) return { kind: "delivered", reference: null };
  const reason = `Teams answered ${status}`;
  if (status === 429) return { kind: "retry", reason, afterMs: retryAfterMs ?? 30_000 };
  return status >= 500 || status === 408 ? { kind: "retry", reason } : { kind: "refused", reason };
}

import { type Links, slackMessage } from "./blocks.js";
import type { Notifier, SendResult } from "./notifier.js";
import type { Outgoing, OutgoingAnswer } from "./outgoing.js";
import { lostResult } from "./results.js";
import type { Language } from "./texts.js";

export interface SlackWebhookOptions {
  /** The incoming webhook's address: a secret. */
  readonly url: URL;
  readonly language: Language;
  readonly links: Links;
  readonly outgoing: Outgoing;
}

/** One message a second and webhook (docs.slack.dev, rate limits); what leaves a second apart may arrive closer. */
const LIMITS = [{ count: 1, perMs: 1_050 }];

/** An incoming webhook: it can say things, and neither change nor find them again. */
export function slackWebhook({ url, language, links, outgoing }: SlackWebhookOptions): Notifier {
  const headers = { "content-type": "application/json; charset=utf-8" };
  return {
    kind: "slack-webhook",
    limits: LIMITS,
    repeats: "shown",
    compose: (notice) => ({ body: JSON.stringify(slackMessage(notice, language, links)), headers }),
    async send(notice, previous) {
      const { body } = this.compose(notice, previous);
      return resultOf(await outgoing.request({ method: "POST", url, headers, body }));
    },
    close: () => undefined,
  };
}

/** Errors come as plain text: `invalid_payload`, `no_service` (the webhook is gone), … */
function resultOf(answer: OutgoingAnswer): SendResult {
  if (answer.kind !== "answer") return lostResult(answer);
  const { status, retryAfterMs, body } = answer;
  if (status === 200) return { kind: "delivered", reference: null };
  const reason = `Slack answered ${status} ${body.slice(0, 100)}`.trim();
  if (status === 429) return { kind: "retry", reason, afterMs: retryAfterMs ?? 30_000 };
  return status >= 500 ? { kind: "retry", reason } : { kind: "refused", reason };
}

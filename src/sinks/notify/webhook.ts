import { createHmac } from "node:crypto";
import type { Notice } from "../../core/index.js";
import type { Notifier, SendResult } from "./notifier.js";
import type { Outgoing, OutgoingAnswer } from "./outgoing.js";
import { lostResult } from "./results.js";

export interface WebhookOptions {
  /** May hold a secret. */
  readonly url: URL;
  /** Signs the body. */
  readonly secret: string;
  readonly outgoing: Outgoing;
}

const LIMITS = [{ count: 10, perMs: 1_000 }];

/**
 * Any HTTP receiver: a CloudEvents 1.0 event in structured mode. `Idempotency-Key` is the notice's key, the same for every attempt;
 * `Millrace-Signature` is `v1=` and the hex HMAC-SHA256 of the body under the shared secret.
 */
export function webhook({ url, secret, outgoing }: WebhookOptions): Notifier {
  return {
    kind: "webhook",
    limits: LIMITS,
    repeats: "dropped",
    compose: (notice) => ({
      body: JSON.stringify(cloudEvent(notice)),
      headers: { "content-type": "application/cloudevents+json; charset=utf-8", "idempotency-key": notice.key },
    }),
    async send(notice, previous) {
      const { body, headers } = this.compose(notice, previous);
      const signature = `v1=${createHmac("sha256", secret).update(body).digest("hex")}`;
      const signed = { ...headers, "millrace-signature": signature };
      return resultOf(await outgoing.request({ method: "POST", url, headers: signed, body }));
    },
    close: () => undefined,
  };
}

function cloudEvent(notice: Notice): object {
  return {
    specversion: "1.0",
    id: notice.key,
    source: `/millrace/${encodeURIComponent(notice.receiver)}`,
    type: `millrace.notice.${notice.status}`,
    subject: notice.group,
    time: notice.ts,
    datacontenttype: "application/json",
    data: notice,
  };
}

/** 409 is how a receiver says that it knows the key already. */
function resultOf(answer: OutgoingAnswer): SendResult {
  if (answer.kind !== "answer") return lostResult(answer);
  const { status, retryAfterMs } = answer;
  if ((status >= 200 && status < 300) || status === 409) return { kind: "delivered", reference: null };
  const reason = `the webhook answered ${status}`;
  if (status === 429 || status === 503)
    return { kind: "retry", reason, ...(retryAfterMs !== undefined && { afterMs: retryAfterMs }) };
  return status >= 500 || status === 408 || status === 425 ? { kind: "retry", reason } : { kind: "refused", reason };
}

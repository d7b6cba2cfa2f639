import { createHmac } from "node:crypto";
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { type Clock, MillraceError } from "../../core/index.js";
import { shiftDelivery } from "./rebase.js";
import type { SampleRecord } from "./records.js";
import type { Sender } from "./timeline.js";

const RETRY_MS_FIRST = 100;
const RETRY_MS_MOST = 5_000;
const ANSWER_MS_MOST = 30_000;

export interface WebhookSenderOptions {
  /** The whole address: `http://127.0.0.1:8080/hooks/github`. */
  readonly url: string;
  readonly secret: string;
  readonly localKey: string;
  /** Named in `X-Millrace-Source`. */
  readonly source: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Delivers as GitHub does: signed POST requests, a 2xx is the receipt. Unlike GitHub it repeats what fails, until it is taken or the signal
 * aborts. Errors: MR_UNAUTHORIZED, MR_REQUEST_INVALID (any other 4xx): they would be the same next time.
 */
export function webhookSender({ url, secret, localKey, source, clock, signal }: WebhookSenderOptions): Sender {
  const secure = url.startsWith("https:");
  const agent = secure ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
  const common = {
    "content-type": "application/json",
    "x-millrace-source": source,
    authorization: `Bearer ${localKey}`,
  };

  function post(body: Buffer, headers: Readonly<Record<string, string>>): Promise<number> {
    return new Promise((resolve, reject) => {
      const open = secure ? httpsRequest : httpRequest;
      const options = {
        method: "POST",
        agent,
        headers: { ...headers, "content-length": body.length },
        timeout: ANSWER_MS_MOST,
      };
      const sent = open(url, options, (answer: IncomingMessage) => {
        answer.resume();
        answer.on("end", () => resolve(answer.statusCode ?? 0));
        answer.on("error", reject);
      });
      sent.on("timeout", () => sent.destroy(new Error(`no answer from ${url} within ${ANSWER_MS_MOST} ms`)));
      sent.on("error", reject);
      sent.end(body);
    });
  }

  return {
    keyOf({ line }) {
      const body = "body" in line ? line.body : "";
      return /"repository":\{[^{}]*?"full_name":"([^"]*)"/.exec(body)?.[1] ?? "-";
    },
    async send({ line, offsetMs }: SampleRecord) {
      if (!("body" in line)) throw new MillraceError("MR_OPTION_INVALID", "a github line of the sample has no body");
      const body = Buffer.from(shiftDelivery(line.body, offsetMs));
      const signature = `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
      const identity = {
        "x-github-event": line.event,
        "x-github-delivery": line.delivery,
        "x-hub-signature-256": signature,
      };
      for (let waitMs = RETRY_MS_FIRST; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MS_MOST)) {
        const status = await post(body, { ...common, ...identity }).catch(() => 0);
        if (status >= 200 && status < 300) return;
        if (status >= 400 && status < 500 && status !== 429) throw refused(url, line.delivery, status);
        await clock.sleep(waitMs, signal);
      }
    },
    async close() {
      agent.destroy();
    },
  };
}

function refused(url: string, delivery: string, status: number): MillraceError {
  const code = status === 401 || status === 403 ? "MR_UNAUTHORIZED" : "MR_REQUEST_INVALID";
  return new MillraceError(code, `delivering ${delivery} of the sample to ${url}: answered with ${status}`);
}

import type { Notice, NoticeReference } from "../../core/index.js";
import { escaped, type Links, slackMessage } from "./blocks.js";
import type { Notifier, SendResult } from "./notifier.js";
import type { Outgoing, OutgoingAnswer } from "./outgoing.js";
import { lostResult } from "./results.js";
import { headline, type Language } from "./texts.js";

export interface SlackBotOptions {
  /** `xoxb-…`: a secret. Scopes chat:write, and channels:history (or groups:history) to find a message again. */
  readonly token: string;
  /** Channel id, `C…` or `G…`. */
  readonly channel: string;
  readonly language: Language;
  readonly links: Links;
  readonly outgoing: Outgoing;
  /** Where the Web API is. @default https://slack.com/api/ */
  readonly api?: URL;
}

/** One message a second and channel (docs.slack.dev, rate limits); what leaves a second apart may arrive closer. */
const LIMITS = [{ count: 1, perMs: 1_050 }];
const EVENT_TYPE = "millrace_notice";
/** What must not be tried again: the configuration is wrong. */
const FINAL = new Set([
  "invalid_auth",
  "not_authed",
  "account_inactive",
  "token_revoked",
  "token_expired",
  "missing_scope",
  "channel_not_found",
  "not_in_channel",
  "is_archived",
  "invalid_blocks",
  "invalid_arguments",
  "msg_too_long",
  "msg_blocks_too_long",
  "no_text",
]);

/** The body of a Web API answer, as far as it is read. */
interface Said {
  readonly ok: boolean;
  readonly error?: string;
  readonly ts?: string;
  readonly channel?: string;
  readonly messages?: readonly {
    readonly ts: string;
    readonly metadata?: { readonly event_type?: string; readonly event_payload?: { readonly key?: string } };
  }[];
}

/**
 * A bot in a channel: the first notice of a group is a message, later ones are replies in its thread, and the message itself is brought
 * up to date. Every message carries its key as metadata, so that after a lost answer it can be looked for instead of said again.
 */
export function slackBot({
  token,
  channel,
  language,
  links,
  outgoing,
  api = new URL("https://slack.com/api/"),
}: SlackBotOptions): Notifier {
  const headers = { "content-type": "application/json; charset=utf-8" };
  const authorization = { authorization: `Bearer ${token}` };

  const call = (method: string, body: object): Promise<OutgoingAnswer> =>
    outgoing.request({
      method: "POST",
      url: new URL(method, api),
      headers: { ...headers, ...authorization },
      body: JSON.stringify(body),
    });

  const message = (notice: Notice, previous: NoticeReference | null) => {
    const metadata = { event_type: EVENT_TYPE, event_payload: { key: notice.key } };
    if (previous === null) return { channel, ...slackMessage(notice, language, links), metadata };
    return { channel, thread_ts: previous["ts"], text: escaped(headline(notice, language)), metadata };
  };

  /** The group's first message says how things stand now. Harmless to repeat; if it fails, the next notice mends it. */
  const update = ({ ts, channel: where }: NoticeReference, notice: Notice) =>
    call("chat.update", { channel: where, ts, ...slackMessage(notice, language, links) });

  return {
    kind: "slack-bot",
    limits: LIMITS,
    repeats: "found",
    compose: (notice, previous) => ({ body: JSON.stringify(message(notice, previous)), headers }),
    async send(notice, previous) {
      const answer = await call("chat.postMessage", message(notice, previous));
      const result = resultOf(answer);
      if (result.kind !== "delivered" || previous === null) return result;
      await update(previous, notice);
      return { kind: "delivered", reference: previous };
    },
    async find(notice, previous) {
      const query: Record<string, string> = { channel, include_all_metadata: "true", limit: "200" };
      if (previous !== null) query["ts"] = previous["ts"] ?? "";
      const url = new URL(previous === null ? "conversations.history" : "conversations.replies", api);
      url.search = new URLSearchParams(query).toString();
      const answer = await outgoing.request({ method: "GET", url, headers: authorization });
      if (answer.kind !== "answer") throw new Error(answer.reason);
      const said = saidIn(answer.body);
      if (!said?.ok) throw new Error(`Slack answered ${said?.error ?? answer.status}`);
      const found = said.messages?.find(
        ({ metadata }) => metadata?.event_type === EVENT_TYPE && metadata.event_payload?.key === notice.key,
      );
      if (found === undefined) return undefined;
      return previous ?? { ts: found.ts, channel };
    },
    close: () => undefined,
  };
}

function resultOf(answer: OutgoingAnswer): SendResult {
  if (answer.kind !== "answer") return lostResult(answer);
  const { status, retryAfterMs, body } = answer;
  if (status === 429) return { kind: "retry", reason: "Slack answered 429", afterMs: retryAfterMs ?? 30_000 };
  if (status !== 200) return { kind: "retry", reason: `Slack answered ${status}` };
  const { ok, error = "something else than JSON", ts, channel } = saidIn(body) ?? { ok: false };
  if (ok && ts !== undefined && channel !== undefined) return { kind: "delivered", reference: { ts, channel } };
  const reason = `Slack answered ${error}`;
  return FINAL.has(error) ? { kind: "refused", reason } : { kind: "retry", reason };
}

function saidIn(body: string): Said | undefined {
  try {
    return JSON.parse(body) as Said;
  } catch {
    return undefined; // a proxy's page, say
  }
}

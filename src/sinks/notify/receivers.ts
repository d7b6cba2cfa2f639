import { z } from "zod";
import { MillraceError } from "../../core/index.js";
import type { Links } from "./blocks.js";
import { email } from "./email.js";
import type { Notifier } from "./notifier.js";
import type { Outgoing } from "./outgoing.js";
import { slackBot } from "./slack-bot.js";
import { slackWebhook } from "./slack-webhook.js";
import { teams } from "./teams.js";
import { webhook } from "./webhook.js";

/** A secret is named, never written: the file can be committed. */
const secret = z
  .string()
  .regex(/^(?:env:[A-Za-z_]\w*|file:.+)$/, { error: "a secret is not written here: name it as env:NAME or file:PATH" });

const language = z.enum(["en", "es"]).default("en");

/** One of `receivers` in alerts/routing.yaml, which are listed by name. */
export const receiverSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("slack"), language, webhook: secret }),
  z.strictObject({
    kind: z.literal("slack-bot"),
    language,
    token: secret,
    channel: z.string().regex(/^[CG][A-Z0-9]{5,}$/, { error: "the channel's id, as C0123456789: not its name" }),
  }),
  z.strictObject({ kind: z.literal("teams"), language, workflow: secret }),
  z.strictObject({ kind: z.literal("webhook"), language, url: z.union([z.url(), secret]), signedWith: secret }),
  z.strictObject({
    kind: z.literal("email"),
    language,
    server: secret,
    from: z.string().regex(/@/),
    to: z.array(z.email()).min(1).max(50),
  }),
]);

export type Receiver = z.infer<typeof receiverSchema>;

export interface NotifierContext {
  /** What `env:NAME` or `file:PATH` stands for. Throws MR_OPTION_INVALID when there is nothing. */
  secret(reference: string): string;
  readonly outgoing: Outgoing;
  readonly links: Links;
}

/** Throws MR_OPTION_INVALID when the receiver cannot work as it is configured. */
export function createNotifier(
  name: string,
  receiver: Receiver,
  { secret, outgoing, links }: NotifierContext,
): Notifier {
  const { language } = receiver;
  const address = (reference: string, what: string): URL => {
    const text = /^(?:env|file):/.test(reference) ? secret(reference) : reference;
    if (!URL.canParse(text)) throw invalid(name, `${what} (${reference}) is not an address`);
    return new URL(text);
  };
  switch (receiver.kind) {
    case "slack":
      return slackWebhook({ url: address(receiver.webhook, "webhook"), language, links, outgoing });
    case "slack-bot":
      return slackBot({ token: secret(receiver.token), channel: receiver.channel, language, links, outgoing });
    case "teams":
      return teams({ url: address(receiver.workflow, "workflow"), language, links, outgoing });
    case "webhook":
      return webhook({ url: address(receiver.url, "url"), secret: secret(receiver.signedWith), outgoing });
    case "email":
      return email({
        server: address(receiver.server, "server"),
        from: receiver.from,
        to: receiver.to,
        language,
        wall: links.wall,
        outgoing,
      });
  }
}

function invalid(name: string, what: string): MillraceError {
  return new MillraceError("MR_OPTION_INVALID", `receiver ${name}: ${what}`);
}

import { Command, Option } from "commander";
import { ackLink, type Notice } from "../../core/index.js";
import { createNotifier, type Links, Outgoing, receiverSchema } from "../../sinks/index.js";
import { sampleNotice } from "./sample-notice.js";

/** Enough of a configuration to compose with; nothing is sent, so no secret is needed. */
const EXAMPLES: Readonly<Record<string, object>> = {
  slack: { kind: "slack", webhook: "env:SLACK_WEBHOOK" },
  "slack-bot": { kind: "slack-bot", token: "env:SLACK_TOKEN", channel: "C0123456789" },
  teams: { kind: "teams", workflow: "env:TEAMS_WORKFLOW" },
  webhook: { kind: "webhook", url: "https://hooks.example/millrace", signedWith: "env:HOOK_SECRET" },
  email: { kind: "email", server: "env:SMTP_URL", from: "millrace@mine.example", to: ["operations@mine.example"] },
};
const SECRETS: Readonly<Record<string, string>> = {
  "env:SLACK_WEBHOOK": "https://hooks.slack.com/services/T/B/x",
  "env:TEAMS_WORKFLOW": "https://example.westus.logic.azure.com/workflows/x",
  "env:SMTP_URL": "smtps://mail.example",
};
const WALL = "https://millrace.mine.example/";
const LINKS: Links = {
  wall: WALL,
  acknowledge: ({ fingerprint }) => ackLink(WALL, { fingerprint, receiver: "preview", expiresMs: 0 }, "preview"),
};

interface PreviewOptions {
  readonly receiver: string;
  readonly language: string;
  readonly status: Notice["status"];
  readonly json?: boolean;
}

export function previewCommand(): Command {
  return new Command("preview")
    .description("show what a receiver would be sent, without sending anything")
    .addOption(new Option("--receiver <kind>", "kind of receiver").choices(Object.keys(EXAMPLES)).default("slack"))
    .addOption(
      new Option("--language <code>", "language of the words around the alerts").choices(["en", "es"]).default("en"),
    )
    .addOption(
      new Option("--status <status>", "kind of notice").choices(["firing", "resolved", "digest"]).default("firing"),
    )
    .option("--json", "print {headers, body} as JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  millrace alerts preview --receiver slack\n  millrace alerts preview --receiver teams --language es --status digest",
    )
    .action(({ receiver, language, status, json }: PreviewOptions) => {
      const { headers, body } = preview(receiver, language, status);
      if (json) process.stdout.write(`${JSON.stringify({ headers, body })}\n`);
      else {
        const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\n`);
        const isJson = body.startsWith("{");
        process.stdout.write(`${lines.join("")}\n${isJson ? JSON.stringify(JSON.parse(body), null, 2) : body}\n`);
      }
    });
}

/** What a receiver of that kind would be sent. */
export function preview(
  kind: string,
  language: string,
  status: Notice["status"],
): { headers: Readonly<Record<string, string>>; body: string } {
  const receiver = receiverSchema.parse({ ...EXAMPLES[kind], language });
  const secret = (reference: string) => SECRETS[reference] ?? "x";
  const notifier = createNotifier("preview", receiver, { secret, outgoing: new Outgoing(), links: LINKS });
  return notifier.compose(sampleNotice(status, "preview"), null);
}

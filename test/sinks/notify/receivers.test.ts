import t from "tap";
import { createNotifier, Outgoing, receiverSchema } from "../../../src/sinks/index.js";

const SECRETS: Readonly<Record<string, string>> = {
  "env:SLACK": "https://hooks.slack.com/services/T0/B0/xyz",
  "env:TEAMS": "https://prod-1.westus.logic.azure.com/workflows/1/triggers/manual/paths/invoke?sig=abc",
  "env:OLD_TEAMS": "https://contoso.webhook.office.com/webhookb2/abc",
  "env:TOKEN": "xoxb-1",
  "env:NONE": "not an address",
  "file:smtp": "smtps://u:p@mail.example",
};
const context = {
  secret: (reference: string) => SECRETS[reference] ?? "",
  outgoing: new Outgoing(),
  links: { wall: undefined, acknowledge: undefined },
};

const RECEIVERS = [
  { kind: "slack", webhook: "env:SLACK" },
  { kind: "slack-bot", token: "env:TOKEN", channel: "C0123456789", language: "es" },
  { kind: "teams", workflow: "env:TEAMS" },
  { kind: "webhook", url: "https://hook.example/x", signedWith: "env:TOKEN" },
  { kind: "email", server: "file:smtp", from: "millrace@mine.example", to: ["a@mine.example"] },
];

t.test("each kind is made from its entry", async (t) => {
  const kinds = RECEIVERS.map((entry) => createNotifier("x", receiverSchema.parse(entry), context).kind);
  t.same(kinds, ["slack-webhook", "slack-bot", "teams", "webhook", "email"]);
});

t.test("a secret is named, not written", async (t) => {
  const written = { kind: "slack", webhook: SECRETS["env:SLACK"] };
  t.match(receiverSchema.safeParse(written).error?.issues[0]?.message, /name it as env:NAME or file:PATH/);
});

t.test("what cannot work is refused with the reason, without the secret", async (t) => {
  const make = (entry: object) => () => createNotifier("x", receiverSchema.parse(entry), context);
  t.throws(make({ kind: "teams", workflow: "env:OLD_TEAMS" }), {
    code: "MR_OPTION_INVALID",
    message: /switched off in May 2026/,
  });
  t.throws(make({ kind: "slack", webhook: "env:NONE" }), {
    code: "MR_OPTION_INVALID",
    message: "receiver x: webhook (env:NONE) is not an address",
  });
  const unnamed = { kind: "slack-bot", token: "env:TOKEN", channel: "#general" };
  t.match(receiverSchema.safeParse(unnamed).error?.issues[0]?.message, /not its name/);
});

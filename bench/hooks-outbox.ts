// The process that bench:hooks kills: one outbox with the receivers it is told of.
import { createLogger, systemClock } from "../src/core/index.js";
import { createNotifier, Outgoing, type Receiver } from "../src/sinks/index.js";
import { slackBot } from "../src/sinks/notify/slack-bot.js";
import { connectLog } from "../src/streams/index.js";
import { Outbox } from "../src/workers/notify/index.js";

const [natsUrl = "", base = "", entries = "[]"] = process.argv.slice(2);
const { log, registers } = await connectLog({ url: natsUrl, name: "outbox" });
const outgoing = new Outgoing({ allow: ["127.0.0.0/8"], timeoutMs: 500 });
const links = { wall: undefined, acknowledge: undefined };
const secret = (reference: string) => reference.replace(/^env:/, "");
const make = (receiver: Receiver & { readonly name: string }) => {
  const { name, language } = receiver;
  // The bot's Web API is the mock's; everything else has its address in the secret.
  if (receiver.kind === "slack-bot") {
    return slackBot({ token: "t", channel: name, language, links, outgoing, api: new URL(`${base}/api/`) });
  }
  return createNotifier(name, receiver, { secret: (named) => `${base}/${secret(named)}`, outgoing, links });
};
const receivers = new Map(
  (JSON.parse(entries) as (Receiver & { readonly name: string })[]).map((entry) => [entry.name, make(entry)]),
);
const outbox = new Outbox({ log, registers, clock: systemClock, logger: createLogger("silent"), receivers });
await outbox.run(new AbortController().signal);

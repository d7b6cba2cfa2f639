import t from "tap";
import { Outgoing } from "../../../src/sinks/index.js";
import { slackBot } from "../../../src/sinks/notify/slack-bot.js";
import { startReceivers } from "../../support/receivers.js";
import { alert, notice } from "./notices.js";

t.test("a group is one message, kept up to date, with what came later in its thread", async (t) => {
  const receivers = await startReceivers(() => "take");
  t.teardown(() => receivers.close());
  const bot = slackBot({
    token: "xoxb-1",
    channel: "C0123456789",
    language: "en",
    links: { wall: undefined, acknowledge: undefined },
    outgoing: new Outgoing({ allow: ["127.0.0.0/8"] }),
    api: new URL(`${receivers.url}/api/`),
  });
  const first = await bot.send(notice("k1", { group: "g" }), null);
  if (first.kind !== "delivered") throw new Error(`the first notice is ${first.kind}`);
  const over = notice("k2", { group: "g", status: "resolved", alerts: [alert(1, { state: "resolved" })] });
  t.same(await bot.send(over, first.reference), first, "the group's place stays");
  const [message, reply] = receivers.messages;
  t.equal(receivers.messages.length, 2);
  t.equal(message?.ts, first.reference?.["ts"]);
  t.equal(reply?.thread, message?.ts);
  t.match(reply?.body["text"], "✓ over: truck-1");
  t.match(JSON.stringify(message?.body["blocks"]), "✓ over", "the message says how things stand now");
  t.same(await bot.find?.(over, first.reference), first.reference, "found in the thread");
  t.equal(await bot.find?.(notice("k3", { group: "g" }), first.reference), undefined);
  t.same(await bot.find?.(notice("k1", { group: "g" }), null), first.reference, "and the first in the channel");
});

import t from "tap";
import { type Notifier, Outgoing } from "../../src/sinks/index.js";
import { email } from "../../src/sinks/notify/email.js";
import { slackBot } from "../../src/sinks/notify/slack-bot.js";
import { slackWebhook } from "../../src/sinks/notify/slack-webhook.js";
import { teams } from "../../src/sinks/notify/teams.js";
import { webhook } from "../../src/sinks/notify/webhook.js";
import { hugeNotice, notice } from "../sinks/notify/notices.js";
import { type Fate, startMailServer, startReceivers } from "../support/receivers.js";

const SECRET = "S3cr3t-part";
const LOOPBACK = ["127.0.0.0/8"];
const TIMEOUT_MS = 200;
const links = { wall: "https://wall.example/", acknowledge: undefined };
const language = "en";

type Make = (base: string, outgoing: Outgoing) => Notifier;

const KINDS: Readonly<Record<Exclude<Notifier["kind"], "email">, Make>> = {
  "slack-webhook": (base, outgoing) =>
    slackWebhook({ url: new URL(`${base}/slack/${SECRET}`), language, links, outgoing }),
  "slack-bot": (base, outgoing) =>
    slackBot({ token: SECRET, channel: "C0123456789", language, links, outgoing, api: new URL(`${base}/api/`) }),
  teams: (base, outgoing) => teams({ url: new URL(`${base}/teams/?sig=${SECRET}`), language, links, outgoing }),
  webhook: (base, outgoing) => webhook({ url: new URL(`${base}/hook?key=${SECRET}`), secret: SECRET, outgoing }),
};

for (const [kind, make] of Object.entries(KINDS)) {
  t.test(kind, async (t) => {
    let fate: Fate = "take";
    const receivers = await startReceivers(() => fate);
    t.teardown(() => receivers.close());
    const outgoing = new Outgoing({ allow: LOOPBACK, timeoutMs: TIMEOUT_MS });
    const notifier = make(receivers.url, outgoing);
    t.teardown(() => notifier.close());
    t.equal(notifier.kind, kind);
    t.ok(notifier.limits.length > 0, "says what the receiver allows");

    t.test("composes purely, and without secrets", async (t) => {
      for (const said of [notice("k1"), hugeNotice("k2")]) {
        const composed = notifier.compose(said, null);
        t.same(notifier.compose(said, null), composed);
        t.notMatch(JSON.stringify(composed), SECRET);
      }
    });

    t.test("what is taken is delivered, once, as composed", async (t) => {
      fate = "take";
      t.match(await notifier.send(notice("k3"), null), { kind: "delivered" });
      t.equal(receivers.taken.length, 1);
      t.same(receivers.taken[0]?.body, JSON.parse(notifier.compose(notice("k3"), null).body));
    });

    const fates: readonly [Fate, object][] = [
      ["busy", { kind: "retry", afterMs: 1_000 }],
      ["fail", { kind: "retry", afterMs: undefined }],
      ["refuse", { kind: "refused" }],
      ["redirect", { kind: "refused", reason: /redirect/ }],
      ["hang", { kind: "unknown", reason: /no answer in time/ }],
    ];
    for (const [given, expected] of fates) {
      t.test(`a receiver that says ${given}`, async (t) => {
        fate = given;
        const before = receivers.taken.length;
        const result = await notifier.send(notice(`k-${given}`), null);
        t.match(result, expected);
        t.notMatch(JSON.stringify(result), SECRET);
        t.equal(receivers.taken.length, before, "nothing was said");
      });
    }

    t.test("taken, but no answer: whoever can find it does", async (t) => {
      fate = "take-and-hang";
      const said = notice("k-lost");
      t.match(await notifier.send(said, null), { kind: "unknown" });
      t.equal(notifier.repeats === "found", notifier.find !== undefined);
      if (notifier.find === undefined) return;
      t.match(await notifier.find(said, null), { ts: String, channel: String });
      t.equal(await notifier.find(notice("k-never"), null), undefined);
      await receivers.close();
      await t.rejects(notifier.find(said, null), "cannot be asked");
    });

    t.test("nobody there: certainly not said", async (t) => {
      const nobody = make("http://127.0.0.1:1", outgoing);
      const result = await nobody.send(notice("k4"), null);
      t.match(result, { kind: "retry" });
      t.notMatch(JSON.stringify(result), SECRET);
    });

    t.test("an address inside is not spoken to", async (t) => {
      const careful = make("http://127.0.0.1:1", new Outgoing({ timeoutMs: TIMEOUT_MS }));
      t.match(await careful.send(notice("k5"), null), { kind: "refused", reason: /not a public address/ });
    });
  });
}

t.test("email", async (t) => {
  const make = (server: URL, outgoing = new Outgoing({ allow: LOOPBACK })) => {
    server.username = "u";
    return email({
      server,
      from: "Millrace <millrace@mine.example>",
      to: ["ops@mine.example"],
      language,
      wall: links.wall,
      outgoing,
      plain: true,
    });
  };
  const plainly = (server: URL) =>
    email({
      ...{ server, from: "millrace@mine.example", to: ["ops@mine.example"], language, wall: undefined, plain: true },
      outgoing: new Outgoing({ allow: LOOPBACK }),
    });

  t.test("composes purely, and without secrets; the id of a repeat is the same", async (t) => {
    const notifier = make(new URL(`smtps://u:${SECRET}@mail.example`));
    const composed = notifier.compose(notice("k1"), null);
    t.same(notifier.compose(notice("k1"), null), composed);
    t.not(notifier.compose(notice("k2"), null).headers["message-id"], composed.headers["message-id"]);
    t.notMatch(JSON.stringify(composed), SECRET);
    t.ok((notifier.compose(hugeNotice("k3"), null).headers["subject"]?.length ?? 0) <= 150);
  });

  t.test("is taken, with its id and its thread", async (t) => {
    const server = await startMailServer();
    t.teardown(() => server.close());
    const notifier = plainly(server.url);
    t.match(await notifier.send(notice("k1"), null), { kind: "delivered" });
    const { headers } = notifier.compose(notice("k1"), null);
    t.match(server.mails[0], new RegExp(`Message-ID: ${headers["message-id"]}`, "i"));
    t.match(server.mails[0], /References: <[0-9a-f]{32}@mine\.example>/i);
    t.match(server.mails[0], /Truck 1 burns 14/);
  });

  const answers: readonly [string, string, object][] = [
    ["MAIL", "451 later", { kind: "retry" }],
    ["RCPT", "550 nobody", { kind: "refused" }],
    [".", "452 full", { kind: "retry" }],
    [".", "554 no", { kind: "refused" }],
  ];
  for (const [command, line, expected] of answers) {
    t.test(`a server that answers ${command} with ${line}`, async (t) => {
      const server = await startMailServer((asked) => (asked === command ? line : undefined));
      t.teardown(() => server.close());
      t.match(await plainly(server.url).send(notice("k1"), null), expected);
    });
  }

  t.test("an address inside is not spoken to, nobody there is no loss, a wrong address is no server", async (t) => {
    const inside = make(new URL("smtp://127.0.0.1:1"), new Outgoing());
    t.match(await inside.send(notice("k1"), null), { kind: "refused", reason: /not a public address/ });
    t.match(await plainly(new URL("smtp://127.0.0.1:1")).send(notice("k1"), null), { kind: "retry" });
    t.throws(() => make(new URL("https://mail.example")), { code: "MR_OPTION_INVALID" });
  });
});

import t from "tap";
import { BLOCK_LIMITS, slackMessage } from "../../../src/sinks/notify/blocks.js";
import { CARD_BYTES_MAX, teamsMessage } from "../../../src/sinks/notify/card.js";
import { headline, shortened } from "../../../src/sinks/notify/texts.js";
import { alert, hugeNotice, notice } from "./notices.js";

const links = {
  wall: "https://wall.example/",
  acknowledge: ({ fingerprint }: { fingerprint: string }) =>
    `https://wall.example/ack/${fingerprint}?sig=${"x".repeat(64)}`,
};
const NOTICES = [
  notice("one"),
  notice("over", { status: "resolved", alerts: [alert(1, { state: "resolved" })] }),
  notice("many", { alerts: [alert(3), alert(1), alert(2)], omitted: 2, note: "escalated" }),
  notice("none", { alerts: [], omitted: 0 }),
  hugeNotice("huge"),
];

interface Text {
  readonly type: string;
  readonly text: string;
}

t.test("Slack's limits hold for every notice, in both languages", async (t) => {
  for (const language of ["en", "es"] as const) {
    for (const said of NOTICES) {
      const { text, blocks } = slackMessage(said, language, links);
      t.ok(text.length > 0 && text.length <= BLOCK_LIMITS.text, `${said.key}: there is a text for notifications`);
      t.ok(blocks.length <= BLOCK_LIMITS.blocks);
      for (const block of blocks as readonly { type: string; text?: Text; elements?: readonly Text[] }[]) {
        const { type, text: inner, elements = [] } = block;
        if (type === "header") t.ok((inner?.text.length ?? 0) <= BLOCK_LIMITS.header);
        if (type === "section") t.ok((inner?.text.length ?? 0) <= BLOCK_LIMITS.section);
        if (type === "context") t.ok(elements.length <= BLOCK_LIMITS.context);
        for (const { text } of [inner, ...elements].flatMap((item) => item ?? [])) {
          if (type === "header") continue;
          t.notMatch(
            text.replace(/<https:[^>|]+\|[^>]+>/g, ""),
            /[<>]|&(?!amp;|lt;|gt;)/,
            "markup of the data is text",
          );
        }
      }
      t.ok(JSON.stringify(blocks).length <= BLOCK_LIMITS.all, `${JSON.stringify(blocks).length} characters in all`);
    }
  }
});

t.test("a Teams card stays within its budget, and says what it left out", async (t) => {
  for (const said of NOTICES) {
    const message = teamsMessage(said, "es", links) as {
      attachments: [{ content: { body: Text[]; version: string } }];
    };
    t.ok(Buffer.byteLength(JSON.stringify(message)) <= CARD_BYTES_MAX, said.key);
    t.equal(message.attachments[0].content.version, "1.4");
  }
  const { attachments } = teamsMessage(hugeNotice("h"), "en", links) as {
    attachments: [{ content: { body: Text[] } }];
  };
  const { body } = attachments[0].content;
  const listed = body.filter(({ type }) => type === "Container").length;
  t.ok(listed >= 1);
  t.equal(body.at(-1)?.text, `and ${500 - listed} more`);
});

t.test("one line says what it is about", async (t) => {
  t.equal(headline(notice("k"), "en"), "▲ warning, truck-1: Truck 1 burns 14 % more fuel than last week");
  t.equal(
    headline(notice("k", { status: "resolved" }), "es"),
    "✓ terminada: truck-1: Truck 1 burns 14 % more fuel than last week",
  );
  const many = notice("k", { alerts: [alert(3), alert(1)], omitted: 3, note: "escalated" });
  t.equal(
    headline(many, "en"),
    "◆ critical, 5 alerts, truck-3: Truck 3 burns 14 % more fuel than last week (escalated)",
  );
  t.same(
    headline({ ...many, status: "digest" }, "es")
      .split(", ")
      .slice(0, 2),
    ["◆ crítica", "5 alertas a la vez"],
  );
  const retracted = slackMessage(notice("k", { alerts: [alert(1, { state: "retracted" as never })] }), "en", links);
  t.match(JSON.stringify(retracted.blocks), /taken back/);
});

t.test("cutting leaves whole characters", async (t) => {
  t.equal(shortened("short", 5), "short");
  t.equal(shortened("a🚚b🚚c", 3), "a…", "not half a truck");
});

import type { Alert, Notice } from "../../core/index.js";
import type { Links } from "./blocks.js";
import { headline, type Language, mark, moment, shortened, WORDS } from "./texts.js";

/**
 * Teams refuses 28 KB, counted after it has expanded the card: 24453 bytes were refused at 28897. 18 KB of JSON leave room for that.
 */
export const CARD_BYTES_MAX = 18 * 1024;

const LISTED = 10;
const COLOURS = { critical: "Attention", warning: "Warning", info: "Accent" } as const;

interface Element {
  readonly type: string;
  readonly [property: string]: unknown;
}

/** What a Workflows webhook takes: one Adaptive Card (schema 1.4) as an attachment. Links only: cards of a webhook cannot call back. */
export function teamsMessage(notice: Notice, language: Language, links: Links): object {
  for (let listed = Math.min(LISTED, notice.alerts.length); listed > 0; listed--) {
    const message = envelope(card(notice, listed, language, links));
    if (Buffer.byteLength(JSON.stringify(message)) <= CARD_BYTES_MAX) return message;
  }
  return envelope(card(notice, 0, language, links));
}

function envelope(content: object): object {
  return {
    type: "message",
    attachments: [{ contentType: "application/vnd.microsoft.card.adaptive", contentUrl: null, content }],
  };
}

function card(notice: Notice, listed: number, language: Language, { wall, acknowledge }: Links): object {
  const words = WORDS[language];
  const omitted = notice.omitted + notice.alerts.length - listed;
  const [gravest] = notice.alerts;
  const body: Element[] = [
    {
      type: "TextBlock",
      text: plain(shortened(headline(notice, language), 300)),
      size: "Medium",
      weight: "Bolder",
      wrap: true,
    },
    ...notice.alerts.slice(0, listed).map((alert) => container(alert, language)),
  ];
  if (omitted > 0) body.push({ type: "TextBlock", text: words.omitted(omitted), isSubtle: true, wrap: true });
  const actions: Element[] = [];
  if (acknowledge !== undefined && gravest?.state === "firing") {
    actions.push({ type: "Action.OpenUrl", title: words.acknowledge, url: acknowledge(gravest) });
  }
  if (wall !== undefined) actions.push({ type: "Action.OpenUrl", title: words.open, url: wall });
  return {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.4",
    body,
    ...(actions.length > 0 && { actions }),
  };
}

function container(alert: Alert, language: Language): Element {
  const isOver = alert.state !== "firing";
  const facts = [
    `${alert.key}  ·  ${alert.rule}`,
    ...(alert.value === null ? [] : [String(Number(alert.value.toPrecision(4)))]),
    WORDS[language].since(moment(alert.window.start)),
  ];
  return {
    type: "Container",
    separator: true,
    items: [
      {
        type: "TextBlock",
        text: mark(alert, language),
        color: isOver ? "Good" : COLOURS[alert.severity],
        weight: "Bolder",
        spacing: "None",
      },
      { type: "TextBlock", text: plain(shortened(alert.title, 500)), wrap: true, spacing: "None" },
      {
        type: "TextBlock",
        text: plain(shortened(facts.join("  ·  "), 200)),
        isSubtle: true,
        wrap: true,
        spacing: "None",
      },
    ],
  };
}

/** Text blocks read some Markdown: what looks like a link or emphasis is meant as it stands. */
function plain(text: string): string {
  return text.replace(/[\\`*_[\]]/g, "\\$&");
}

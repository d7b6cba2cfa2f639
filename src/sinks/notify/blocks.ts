import type { KnownBlock } from "@slack/types";
import type { Alert, Notice } from "../../core/index.js";
import { headline, type Language, mark, moment, shortened, WORDS } from "./texts.js";

/** Slack's limits (docs.slack.dev, Block Kit); the sum is undocumented, about 13200 characters were refused. */
export const BLOCK_LIMITS = {
  blocks: 50,
  header: 150,
  section: 3_000,
  context: 10,
  text: 40_000,
  all: 12_000,
} as const;

const LISTED = 10;
/** Ten of them, with their marks, stay below the sum. */
const TITLE_LENGTH = 400;

export interface Links {
  /** Where people find the wall; undefined: no links. */
  readonly wall: string | undefined;
  /** Acknowledges one alert when opened; undefined: not offered. */
  readonly acknowledge: ((alert: Alert) => string) | undefined;
}

/** A message: `text` is what a notification shows, `blocks` what the channel does. */
export function slackMessage(
  notice: Notice,
  language: Language,
  { wall, acknowledge }: Links,
): { text: string; blocks: KnownBlock[] } {
  const words = WORDS[language];
  const text = headline(notice, language);
  const listed = notice.alerts.slice(0, LISTED);
  const omitted = notice.omitted + notice.alerts.length - listed.length;
  const blocks: KnownBlock[] = [
    { type: "header", text: { type: "plain_text", text: shortened(text, BLOCK_LIMITS.header), emoji: false } },
  ];
  for (const alert of listed) {
    const lines = [
      `*${mark(alert, language)}*  ${escaped(shortened(alert.title, TITLE_LENGTH))}`,
      about(alert, language),
    ];
    if (acknowledge !== undefined && alert.state === "firing") {
      lines.push(`<${acknowledge(alert)}|${words.acknowledge}>`);
    }
    blocks.push({ type: "section", text: { type: "mrkdwn", text: lines.join("\n") } });
  }
  const last = [
    ...(omitted > 0 ? [words.omitted(omitted)] : []),
    ...Object.entries(notice.labels)
      .slice(0, 5)
      .map(([name, value]) => escaped(shortened(`${name}: ${value}`, 80))),
    ...(wall === undefined ? [] : [`<${wall}|${words.open}>`]),
  ];
  if (last.length > 0) blocks.push({ type: "context", elements: [{ type: "mrkdwn", text: last.join("  ·  ") }] });
  return { text: escaped(shortened(text, 1_000)), blocks };
}

function about(alert: Alert, language: Language): string {
  const value = alert.value === null ? "" : `  ·  ${Number(alert.value.toPrecision(4))}`;
  return escaped(
    shortened(`${alert.key}  ·  ${alert.rule}${value}  ·  ${WORDS[language].since(moment(alert.window.start))}`, 200),
  );
}

/** The three characters Slack reads as markup (docs.slack.dev, formatting). */
export function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

import type { LogMessage } from "../../src/core/index.js";

const NEWLINE = 0x0a;

/** The raw limit: `JSON.parse` of each event's text over the same bytes, and nothing else. Returns something of each, so nothing is optimised away. */
export function parseEverything(messages: readonly LogMessage[]): number {
  let seen = 0;
  for (const { data, subject } of messages) {
    if (subject.includes("._")) continue;
    const bytes = data as Buffer;
    for (let from = 0; from < bytes.length; ) {
      const at = bytes.indexOf(NEWLINE, from);
      const to = at < 0 ? bytes.length : at;
      seen += (JSON.parse(bytes.toString("utf8", from, to)) as { dateTime: number }).dateTime & 1;
      from = to + 1;
    }
  }
  return seen;
}

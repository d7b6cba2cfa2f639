import type { Alert, LogMessage, NoticeOutcome, OperatorCommand } from "../../core/index.js";
import { DAY_MS } from "../../core/index.js";
import { type Source, source } from "../../operators/index.js";

/** What reaches the desk beside ticks and control messages: the log copies it in, under `desk.0.<kind>.…`. */
export type DeskEvent =
  | { readonly kind: "alert"; readonly alert: Alert }
  | { readonly kind: "command"; readonly command: OperatorCommand }
  | { readonly kind: "outcome"; readonly outcome: NoticeOutcome };

/** As long as the log keeps anything by default: a stream that was copied again changes nothing. */
const KNOWN_MS = 31 * DAY_MS;

/**
 * Alerts, commands and the ends of notices in one order. None has a time of its own here: the desk is about people, so its time is the
 * live ticks in the log. A sample plays months in minutes, and an operator's half hour on the shelf must be half an hour; two sources
 * of a sample do not even agree on what time it is.
 */
export const deskSource: Source<DeskEvent> = source<DeskEvent>({
  stream: "desk",
  decode(message, found) {
    let from = 0;
    for (const line of Buffer.from(message.data).toString("utf8").split("\n")) {
      const to = from + Buffer.byteLength(line);
      if (line !== "") {
        const event = eventOf(message, line);
        if (typeof event === "string") found.malformed(event, from, to);
        else found.event(event, from, to);
      }
      from = to + 1;
    }
  },
  time: () => undefined,
  source: () => "live",
  id: identityOf,
  unique: { ttlMs: KNOWN_MS, by: identityOf },
  timing: { disorderMs: 0, idleAfterMs: 0 },
});

function identityOf(event: DeskEvent): string {
  switch (event.kind) {
    case "alert":
      return `alert ${event.alert.fingerprint} ${event.alert.revision} ${event.alert.ts}`;
    case "command":
      return `command ${event.command.id}`;
    case "outcome":
      return `outcome ${event.outcome.key} ${event.outcome.result}`;
  }
}

/** Text: what is wrong with it. Alerts can come from pipelines of anybody's. */
function eventOf({ subject }: LogMessage, line: string): DeskEvent | string {
  const kind = subject.split(".")[2];
  let record: unknown;
  try {
    record = JSON.parse(line);
  } catch {
    return `the ${kind} is not JSON`;
  }
  const { schema, kind: said } = (record ?? {}) as { schema?: unknown; kind?: unknown };
  switch (kind) {
    case "alert":
      if (schema !== "millrace.alert/1") return `an alert must be millrace.alert/1, got ${schema}`;
      return { kind, alert: record as Alert };
    case "command":
      if (schema !== "millrace.command/1") return `a command must be millrace.command/1, got ${schema}`;
      return { kind, command: record as OperatorCommand };
    case "outcome":
      if (said !== "notice-outcome") return `an outcome must be a notice-outcome, got ${said}`;
      return { kind, outcome: record as NoticeOutcome };
    default:
      return `nothing of the kind ${kind} is known here`;
  }
}

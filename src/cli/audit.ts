import { Command, InvalidArgumentError } from "commander";
import { formatTime } from "../core/index.js";
import { newestRecords } from "../streams/index.js";
import { AUDIT_STREAM, type AuditEntry } from "../ws/index.js";
import { durationMs } from "./credentials.js";
import { formatTable } from "./table.js";
import { type LogFlags, withLog } from "./with-log.js";

interface Options extends LogFlags {
  readonly who?: string;
  readonly since?: number;
  readonly result?: string;
  readonly limit: number;
  readonly json?: boolean;
}

export function auditCommand(): Command {
  return new Command("audit")
    .description("who did what, and who was refused; newest first")
    .option("--who <subject>", "only of this subject, such as user:alice, display:east or unknown")
    .option("--since <time>", "only the last 30m, 12h or 90d, or from this RFC 3339 time on", sinceMs)
    .option(
      "--result <result>",
      "only with this result: ok, error, refused (any reason), or one reason, such as expired",
    )
    .option("--limit <n>", "how many", positive, 50)
    .option("--data-dir <path>", "data directory of the running instance")
    .option("--nats-url <url>", "or the log itself")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  millrace audit --since 1h --result refused")
    .action((options: Options) =>
      withLog(options, async ({ log }) => {
        const found = await newestRecords<AuditEntry>(log, {
          stream: AUDIT_STREAM,
          subject: `${AUDIT_STREAM}.>`,
          limit: options.limit,
          isWanted: (entry) => isWanted(entry, options),
          isTooOld: ({ untilMs }) => options.since !== undefined && untilMs < options.since,
        });
        const entries = found.map(({ record }) => record);
        return options.json ? JSON.stringify(entries) : text(entries);
      }),
    );
}

function isWanted({ who, result }: AuditEntry, wanted: Options): boolean {
  if (wanted.who !== undefined && who !== wanted.who) return false;
  if (wanted.result === "refused") return result !== "ok" && result !== "error";
  return wanted.result === undefined || result === wanted.result;
}

function text(entries: readonly AuditEntry[]): string {
  if (entries.length === 0) return "nothing";
  const rows = entries.map(({ tsMs, who, address, what, result, count }) => [
    formatTime(tsMs),
    who,
    address,
    what,
    result,
    count,
  ]);
  return formatTable(["when", "who", "from", "what", "result", "times"], rows);
}

function sinceMs(given: string): number {
  const timeMs = Date.parse(given);
  return Number.isNaN(timeMs) ? Date.now() - durationMs(given) : timeMs;
}

function positive(given: string): number {
  const value = Number(given);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError("must be a positive whole number");
  return value;
}

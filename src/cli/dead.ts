import { Command, InvalidArgumentError } from "commander";
import { type DeadLetter, MillraceError } from "../core/index.js";
import { listDeadLetters, type StoredDeadLetter, showDeadLetter } from "../streams/index.js";
import { formatTable } from "./table.js";
import { withLog } from "./with-log.js";

const DOMAINS: readonly DeadLetter["domain"][] = ["github", "telemetry"];
const SHOWN_BYTES = 4_096;

interface ListOptions {
  readonly limit: number;
  readonly domain?: DeadLetter["domain"];
  readonly dataDir?: string;
  readonly json?: boolean;
}

export function deadCommand(): Command {
  const dead = new Command("dead").description("look at dead letters: events set aside with their reason and bytes");
  dead
    .command("list")
    .description("the newest dead letters, newest first")
    .option("--limit <n>", "how many", positiveInteger, 20)
    .option("--domain <github|telemetry>", "only of this domain", domainOf)
    .option("--data-dir <path>", "data directory of the running instance")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  millrace dead list --domain telemetry --limit 5")
    .action((options: ListOptions) =>
      withLog(options, async ({ log }) => {
        const letters = await listDeadLetters(log, options);
        if (options.json) return JSON.stringify(letters);
        if (letters.length === 0) return "no dead letters";
        return formatTable(["which", "domain", "door", "event", "reason"], letters.map(summary));
      }),
    );
  dead
    .command("show")
    .description("one dead letter with its bytes")
    .argument("<which>", 'number from the column "which" of "dead list", or an id')
    .option("--data-dir <path>", "data directory of the running instance")
    .option("--json", "print JSON, bytes as base64")
    .addHelpText("after", "\nExample:\n  millrace dead show 17")
    .action((which: string, options: { dataDir?: string; json?: boolean }) =>
      withLog(options, async ({ log }) => {
        const letter = await showDeadLetter(log, which);
        if (!letter)
          throw new MillraceError(
            "MR_OPTION_INVALID",
            `there is no dead letter ${which}; "millrace dead list" shows what there is`,
          );
        return options.json ? JSON.stringify(letter) : whole(letter);
      }),
    );
  return dead;
}

function summary({ deadSequence, domain, door, eventId, reason }: StoredDeadLetter): unknown[] {
  return [deadSequence, domain, door, eventId, reason];
}

function whole({ bytesBase64, bytesTotal, origin, ...letter }: StoredDeadLetter): string {
  const bytes = Buffer.from(bytesBase64, "base64");
  const lines = Object.entries({ ...letter, origin: `${origin.stream} ${origin.sequence}, index ${origin.index}` });
  const kept = bytes.length < bytesTotal ? `, ${bytes.length} kept` : "";
  const text = printable(bytes.subarray(0, SHOWN_BYTES).toString());
  return [...lines.map(([name, value]) => `${name.padEnd(12)}  ${value}`), `bytes (${bytesTotal}${kept}):`, text].join(
    "\n",
  );
}

/** What came from outside must not steer a terminal: control characters but tab and newline are shown as a replacement. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (control) => (control === "\n" || control === "\t" ? control : "\ufffd"));
}

function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError("must be a positive whole number");
  return value;
}

function domainOf(text: string): DeadLetter["domain"] {
  const domain = DOMAINS.find((known) => known === text);
  if (!domain) throw new InvalidArgumentError(`must be one of ${DOMAINS.join(", ")}`);
  return domain;
}

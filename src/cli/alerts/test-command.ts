import { readFile } from "node:fs/promises";
import { Command } from "commander";
import { type Alert, MillraceError, parseTimeMs } from "../../core/index.js";
import { type Rehearsal, rehearse } from "./rehearse.js";
import { readRoutingFile, shippedRouting } from "./routing-file.js";

export function testCommand(): Command {
  return new Command("test")
    .description("say what would become of an alert: its route, its receivers, and what they would be told and when")
    .requiredOption("--event <file>", "alerts as in the stream alerts, one JSON object a line")
    .option("--routing <file>", "routing file", shippedRouting())
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  millrace alerts test --event alert.json\n  millrace alerts test --event alert.json --json",
    )
    .action(async ({ event, routing: path, json }: { event: string; routing: string; json?: boolean }) => {
      const [{ routing }, alerts] = await Promise.all([readRoutingFile(path), readAlerts(event)]);
      const rehearsal = rehearse(routing, alerts);
      process.stdout.write(`${json ? JSON.stringify(rehearsal) : inWords(rehearsal)}\n`);
    });
}

/** Errors: MR_OPTION_INVALID with the line of what is no alert. */
export async function readAlerts(path: string): Promise<readonly Alert[]> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new MillraceError("MR_OPTION_INVALID", `reading ${path}: ${(cause as Error).message}`, { cause });
  });
  const whole = parsed(text);
  if (whole !== undefined) return [whole].flat().map((one, i) => checked(one, `${path}, alert ${i + 1}`));
  const lines = text.split("\n").map((line, i) => ({ line, place: `${path}:${i + 1}` }));
  return lines.filter(({ line }) => line.trim() !== "").map(({ line, place }) => checked(parsed(line), place));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function checked(value: unknown, place: string): Alert {
  const { schema, fingerprint, ts, labels } = (value ?? {}) as Partial<Alert>;
  const isAlert = schema === "millrace.alert/1" && typeof fingerprint === "string" && typeof labels === "object";
  if (isAlert && parseTimeMs(ts) !== undefined) return value as Alert;
  throw new MillraceError(
    "MR_OPTION_INVALID",
    `${place}: no alert of schema millrace.alert/1 with fingerprint, labels and ts; take one from millrace sql or the stream alerts`,
  );
}

function inWords({ alerts, notices }: Rehearsal): string {
  const lines = alerts.flatMap(({ alert, labels, routes, policy, kept }) => {
    const named = routes.filter(({ receivers }) => receivers.length > 0);
    const where = named.map(({ path, receivers }) => `route ${path} to ${receivers.join(", ")}`).join("; ");
    const delay = policy.onDelayMs > 0 ? `, once it has lasted ${policy.onDelayMs / 1000} s` : "";
    return [
      `${alert.severity} (${labels["priority"]}) ${alert.rule} ${alert.key}: ${alert.title}`,
      `  ${where === "" ? "the wall, nobody else" : where}${delay}${kept === null ? "" : ` (kept back by a ${kept})`}`,
    ];
  });
  const said = notices.map(({ ts, receiver, status, alerts: [first], omitted, alerts: all, note }) => {
    const more = all.length + omitted - 1;
    const others = more > 0 ? ` and ${more} more` : "";
    return `  ${ts} ${receiver}: ${status}${note === "" ? "" : ` (${note})`}: ${first?.title ?? ""}${others}`;
  });
  return [...lines, ...(said.length > 0 ? ["If nobody takes note:", ...said] : [])].join("\n");
}

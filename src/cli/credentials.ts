import { type Command, InvalidArgumentError } from "commander";
import { DAY_MS, formatTime, HOUR_MS, MINUTE_MS } from "../core/index.js";
import {
  type CredentialKind,
  createCredential,
  isInForce,
  listCredentials,
  revokeCredential,
  type StoredCredential,
} from "../ws/index.js";
import { formatTable } from "./table.js";
import { type LogFlags, withLog } from "./with-log.js";

interface Options extends LogFlags {
  readonly json?: boolean;
  readonly ttl?: number;
  readonly channels?: readonly string[];
}

const UNITS: Readonly<Record<string, number>> = { m: MINUTE_MS, h: HOUR_MS, d: DAY_MS };

/** `create`, `list` and `revoke` of one kind of stored credential, added to `parent`. */
export function addCredentialCommands(
  parent: Command,
  kind: CredentialKind,
  words: { one: string; prefix: string },
): void {
  const { one, prefix } = words;
  const create = parent
    .command("create")
    .description(`make ${one} and print it, once; only its digest is kept`)
    .argument("<name>", "shown in the audit stream", nameOf)
    .option("--ttl <time>", "how long it counts, such as 12h or 90d; until it is revoked when left out", durationMs);
  if (kind === "display") create.option("--channels <list>", "only these channels, such as alerts,plans.*", listOf);
  common(create, `${prefix} create east-1 --ttl 90d`).action((name: string, options: Options) =>
    withLog(options, async ({ registers }) => {
      const nowMs = Date.now();
      const expiresAtMs = options.ttl === undefined ? null : nowMs + options.ttl;
      const wanted = { kind, name, expiresAtMs, channels: options.channels ?? null };
      const text = await createCredential(registers, wanted, nowMs);
      return options.json ? JSON.stringify({ name, token: text, expiresAtMs }) : text;
    }),
  );
  common(parent.command("list").description("all of them, without their secrets"), `${prefix} list`).action(
    (options: Options) =>
      withLog(options, async ({ registers }) => {
        const all = (await listCredentials(registers)).filter((stored) => stored.kind === kind);
        if (options.json) return JSON.stringify(all.map(({ sha256: _digest, ...rest }) => rest));
        if (all.length === 0) return "none";
        return formatTable(["id", "name", "state", "created", "expires", "channels"], all.map(row));
      }),
  );
  common(
    parent
      .command("revoke")
      .description(`end ${one}; open connections end within two seconds`)
      .argument("<which>", "name or id"),
    `${prefix} revoke east-1`,
  ).action((which: string, options: Options) =>
    withLog(options, async ({ registers }) => {
      const { id, name } = await revokeCredential(registers, { kind, which }, Date.now());
      return options.json ? JSON.stringify({ id, name }) : `revoked ${name} (${id})`;
    }),
  );
}

/** `90m`, `12h` or `90d` in ms. */
export function durationMs(text: string): number {
  const [, count, unit = ""] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  if (count === undefined || Number(count) === 0)
    throw new InvalidArgumentError("must be a time such as 30m, 12h or 90d");
  return Number(count) * (UNITS[unit] ?? 0);
}

/** Comma-separated. */
export function listOf(text: string): string[] {
  return text.split(",").map((entry) => entry.trim());
}

function common(command: Command, example: string): Command {
  return command
    .option("--data-dir <path>", "data directory of the running instance")
    .option("--nats-url <url>", "or the log itself")
    .option("--json", "print JSON")
    .addHelpText("after", `\nExample:\n  ${example}`);
}

function row(stored: StoredCredential): unknown[] {
  const { id, name, createdMs, expiresAtMs, revokedMs, channels } = stored;
  const state = isInForce(stored, Date.now()) ? "in force" : revokedMs === null ? "expired" : "revoked";
  const expires = expiresAtMs === null ? "" : formatTime(expiresAtMs);
  return [id, name, state, formatTime(createdMs), expires, channels?.join(" ") ?? ""];
}

function nameOf(text: string): string {
  if (!/^[\w.-]{1,64}$/.test(text)) throw new InvalidArgumentError("must be 1 to 64 letters, digits, dots, - or _");
  return text;
}

import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MillraceError } from "../../core/index.js";

/** What other commands need to reach a running `millrace up`; 0600, because it holds the log's password. */
export interface Instance {
  readonly pid: number;
  readonly url: string;
  readonly natsUrl: string;
  readonly natsUser: string | null;
  readonly natsPassword: string | null;
  /** The broker the MQTT door listens to; null when there is none. */
  readonly mqttUrl: string | null;
  readonly partitions: number;
}

const FILE = "instance.json";

/** Reads a secret from the data directory, or makes one: 32 random bytes, hex, file mode 0600. */
export function secretFile(dataDir: string, name: string): string {
  const path = join(dataDir, name);
  const existing = readText(path)?.trim();
  if (existing) return existing;
  const secret = randomBytes(32).toString("hex");
  writePrivate(path, `${secret}\n`);
  return secret;
}

/** Errors: MR_OPTION_INVALID when another `millrace up` runs on this data directory, or it cannot be written. */
export function claimDataDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new MillraceError(
      "MR_OPTION_INVALID",
      `creating data directory ${dataDir}: ${(cause as Error).message}; choose another with --data-dir`,
      { cause },
    );
  }
  const running = readInstance(dataDir);
  if (running && isOurs(running.pid)) {
    const where = running.url ? ` at ${running.url}` : "";
    throw new MillraceError(
      "MR_OPTION_INVALID",
      `${dataDir} is in use by process ${running.pid}${where}: stop that one, or choose another --data-dir`,
    );
  }
  writeInstance(dataDir, {
    pid: process.pid,
    url: "",
    natsUrl: "",
    natsUser: null,
    natsPassword: null,
    mqttUrl: null,
    partitions: 0,
  });
}

/** Whether somebody has claimed the data directory, and lives. */
export function isRunning(dataDir: string): boolean {
  const found = readInstance(dataDir);
  return found !== undefined && isOurs(found.pid);
}

export function writeInstance(dataDir: string, instance: Instance): void {
  writePrivate(join(dataDir, FILE), `${JSON.stringify(instance, undefined, 2)}\n`);
}

export function releaseDataDir(dataDir: string): void {
  rmSync(join(dataDir, FILE), { force: true });
}

/** Undefined when none was written. It may be stale: ask the URL. */
export function readInstance(dataDir: string): Instance | undefined {
  const text = readText(join(dataDir, FILE));
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Instance;
  } catch {
    return undefined; // torn by a crash while writing: as good as none
  }
}

/** A process id may have been given to another program since: believe it only if that is a Node process running us. */
function isOurs(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  const commandLine = readText(`/proc/${pid}/cmdline`);
  return commandLine === undefined || /main\.js\0(up|state|repartition)/.test(commandLine);
}

function writePrivate(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600 });
  chmodSync(path, 0o600); // the mode above is only for new files
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Instance } from "../../src/cli/up/instance.js";
import type { Stats } from "../../src/core/index.js";

const MAIN = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));

export interface RunningMillrace {
  readonly instance: Instance;
  readonly key: string;
  readonly dataDir: string;
  readonly child: ChildProcess;
  readonly readyMs: number;
  /** Everything printed so far, both streams. */
  output(): string;
  stats(): Promise<Stats>;
  query(sql: string): Promise<unknown[][]>;
  /** Ctrl-C; resolves with the milliseconds it took. */
  stop(): Promise<number>;
  /** `kill -9` of the whole process tree, nats-server included. */
  killTree(): Promise<void>;
}

export function temporaryDir(name: string): string {
  return mkdtempSync(join(tmpdir(), `millrace-${name}-`));
}

/** Starts `millrace up` on free ports and waits until it is ready. */
export async function startMillrace(dataDir: string, args: readonly string[] = []): Promise<RunningMillrace> {
  const startedMs = Date.now();
  const child = spawn(
    process.execPath,
    [MAIN, "up", "--port", "0", "--mqtt-port", "0", "--data-dir", dataDir, ...args],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, MILLRACE_LOG_LEVEL: process.env["MILLRACE_LOG_LEVEL"] ?? "warn" },
    },
  );
  let printed = "";
  child.stdout.on("data", (chunk: Buffer) => (printed += chunk));
  child.stderr.on("data", (chunk: Buffer) => (printed += chunk));
  const instance = await waitFor(60_000, () => {
    if (child.exitCode !== null) throw new Error(`millrace up ended with ${child.exitCode}:\n${printed}`);
    return readReady(dataDir, child.pid ?? -1);
  });
  const key = readFileSync(join(dataDir, "local.key"), "utf8").trim();
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  return {
    instance,
    key,
    dataDir,
    child,
    readyMs: Date.now() - startedMs,
    output: () => printed,
    stats: async () => (await (await fetch(`${instance.url}/api/v1/stats`)).json()) as Stats,
    query: async (sql) => {
      const response = await fetch(`${instance.url}/api/v1/query`, {
        method: "POST",
        headers,
        body: JSON.stringify({ sql }),
      });
      const body = (await response.json()) as { rows: unknown[][] };
      if (!response.ok) throw new Error(`query answered ${response.status}: ${JSON.stringify(body)}`);
      return body.rows;
    },
    stop: async () => {
      const stopMs = Date.now();
      child.kill("SIGINT");
      await exited(child);
      return Date.now() - stopMs;
    },
    killTree: async () => {
      for (const pid of [...descendants(child.pid ?? -1), child.pid ?? -1]) killQuietly(pid);
      await exited(child);
    },
  };
}

/** Polls until `ask` answers; for state that only shows from outside the process. */
export async function waitFor<T>(limitMs: number, ask: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const endMs = Date.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > endMs) throw new Error(`not so after ${limitMs} ms: ${ask}`);
    await delay(50);
  }
}

/** The replay has ended, every task and sink has caught up (with `events` of them at least), and nothing moves for a second. */
export async function waitForSettled(running: RunningMillrace, limitMs: number, events = 1): Promise<Stats> {
  let before = "";
  return waitFor(limitMs, async () => {
    const { uptimeS, ...stats } = await running.stats();
    const caughtUp = ({ received, stored, duplicates, deadLettered }: Stats["github"]): boolean =>
      received === stored + duplicates + deadLettered;
    const { github, telemetry, replay } = stats;
    if (!replay.done || !caughtUp(github) || !caughtUp(telemetry)) return undefined;
    if (github.received + telemetry.received < events) return undefined;
    const same = JSON.stringify(stats) === before;
    before = JSON.stringify(stats);
    if (same) return { ...stats, uptimeS };
    await delay(1_000);
    return undefined;
  });
}

export function descendants(pid: number): number[] {
  let children: number[];
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
  return children.flatMap((child) => [child, ...descendants(child)]);
}

function readReady(dataDir: string, pid: number): Instance | undefined {
  try {
    const instance = JSON.parse(readFileSync(join(dataDir, "instance.json"), "utf8")) as Instance;
    return instance.pid === pid && instance.url ? instance : undefined;
  } catch {
    return undefined;
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // already gone
  }
}

async function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise((done) => child.once("exit", done));
}

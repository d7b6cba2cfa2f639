import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import type { Logger } from "../../../src/core/index.js";
import { freePort } from "../../support/ports.js";

export const silent: Logger = pino({ level: "silent" });

/** The part of a test that helpers need. */
export interface Teardown {
  teardown(end: () => Promise<void>): void;
}

export async function temporaryDirectory(t: Teardown): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "millrace-sink-"));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Resolves once `holds` does; looks every few ms, for things that announce themselves to nobody. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> {
  for (const endMs = Date.now() + withinMs; !(await holds()); ) {
    if (Date.now() > endMs) throw new Error(`waited ${withinMs} ms for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A reading as the runtime writes it to `accepted.<p>.telemetry`. */
export function reading(n: number, more: object = {}): object {
  return {
    id: `inc/mine/0/${n}/0`,
    kind: "reading",
    eventId: `event-${n}`,
    source: "sample",
    site: "minez",
    equipment: `truck-${n % 7}`,
    group: "status",
    tsMs: 1_700_000_000_000 + n * 1_000,
    values: { payloadT: n / 2 },
    labels: { status: "loaded" },
    door: "mqtt",
    ...more,
  };
}

export function delivery(n: number, more: object = {}): object {
  return {
    id: `inc/parallel-org/0/${n}/0`,
    kind: "delivery",
    eventId: `delivery-${n}`,
    source: "sample",
    event: "pull_request",
    action: "opened",
    owner: "rust-lang",
    repo: "rust",
    actor: "p001",
    tsMs: 1_700_000_000_000 + n * 1_000,
    body: JSON.stringify({ n, text: 'say "hi"\n' }),
    ...more,
  };
}

/** The ClickHouse server of the tests, a process of its own. */
export interface Front {
  readonly url: string;
  /** kill -9: what was not answered may or may not be stored. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** See http-front.ts. */
  failInserts(times: number, how: "refuse" | "away" | "hang" | "drop"): Promise<void>;
}

export async function startFront(t: Teardown, directory: string, credentials?: string): Promise<Front> {
  let child: ChildProcess | undefined;
  const port = await freePort();
  const front: Front = {
    url: `http://127.0.0.1:${port}`,
    async start() {
      const script = new URL("http-front.js", import.meta.url);
      const args = [directory, String(port), ...(credentials === undefined ? [] : [credentials])];
      child = fork(script, args, { stdio: ["ignore", "pipe", "inherit", "ipc"], execArgv: [] });
      if (child.stdout) await once(child.stdout, "data");
    },
    async kill() {
      if (!child) return;
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
      child = undefined;
    },
    async failInserts(times, how) {
      await fetch(`${front.url}/_front/fail?inserts=${times}&how=${how}`, { method: "POST" });
    },
  };
  t.teardown(() => front.kill());
  await front.start();
  return front;
}

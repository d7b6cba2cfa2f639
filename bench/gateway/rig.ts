import { type ChildProcess, execFileSync, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { packageRoot } from "../../src/core/index.js";
import { waitedUs } from "./scheduler.js";
import type { Command, Kind, Usage } from "./server.js";
import { KEY } from "./servers.js";

/** How a kind of server is spoken to. */
interface Adapter {
  readonly path: string;
  readonly protocol: string;
  readonly hello: string;
  readonly ready: string;
}

/**
 * What the clients of a server want: all of one channel; the channel of their group, which every server here has in its own way; or of
 * one channel what a filter lets through, where a server without filters sends everything.
 */
export type Want = "everything" | "channel" | "filtered";

/** Millrace clients subscribe with a filter, at least with one that lets everything through: it is evaluated all the same. */
export function adapterOf(kind: Kind, flushMs: number, want: Want = "everything"): Adapter {
  if (kind === "ws" || kind === "uws" || kind === "relay-log")
    return { path: want === "channel" ? "/{g}" : "/", protocol: "-", hello: "-", ready: "-" };
  if (kind === "socket.io") {
    const path = `/socket.io/?EIO=4&transport=websocket${want === "channel" ? "&group={g}" : ""}`;
    return { path, protocol: "-", hello: "40", ready: "40" };
  }
  const channel = want === "channel" ? "features.bench.g{g}" : "alerts";
  const filter = want === "filtered" ? { eq: ["key", "g{g}"] } : { in: ["severity", ["critical", "warning"]] };
  const hello = JSON.stringify({ op: "subscribe", id: 1, channel, delivery: "lossless", flushMs, filter });
  return { path: `/ws?key=${KEY}`, protocol: "millrace.v1", hello, ready: '"subscribed"' };
}

export interface Load {
  readonly frames: number;
  readonly bytes: number;
  readonly seconds: number;
  /** Of the load client. */
  readonly cpuS: number;
  readonly lost: number;
  readonly samples: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The load client was ready and had no core for so much of the time. */
  readonly waited01: number;
}

/** Server and load client on a core each, where there are two. */
const cores = cpus().length > 1 && isThere("taskset");
const pinned = (core: number, file: string, args: readonly string[]): [string, string[]] =>
  cores ? ["taskset", ["-c", String(core), file, ...args]] : [file, [...args]];

let client: readonly [file: string, ...args: string[]] | undefined;

/** The load client: in C where there is a compiler, else in Node, which is the limit then long before a server is. */
function loadClient(): readonly [file: string, ...args: string[]] {
  if (client) return client;
  if (isThere("gcc")) {
    const path = join(mkdtempSync(join(tmpdir(), "millrace-load-")), "load-client");
    execFileSync("gcc", ["-O2", "-o", path, join(packageRoot(), "bench/gateway/load-client.c")]);
    client = [path];
  } else client = [process.execPath, join(packageRoot(), "build/bench/gateway/load-client.js")];
  return client;
}

function isThere(command: string): boolean {
  try {
    execFileSync(command, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

export interface ServerUnderTest {
  readonly kind: Kind;
  readonly port: number;
  /** Text n is of group n modulo `groups`; with `channels` it goes to the channel of its group only. */
  offer(rate: number, bytes: number, groups?: number, channels?: boolean): void;
  usage(collect?: boolean): Promise<Usage>;
  /** Kills it; resolves when it is gone. */
  stop(): Promise<void>;
}

/** `url`: of the log, for those that stand on one. `wantedPort`: 0 takes any. */
export async function startServer(kind: Kind, url = "", wantedPort = 0): Promise<ServerUnderTest> {
  const file = join(packageRoot(), "build/bench/gateway/server.js");
  const options = {
    execArgv: ["--expose-gc", "--max-semi-space-size=16"],
    stdio: ["ignore", "inherit", "inherit", "ipc"] as const,
  };
  const child: ChildProcess = fork(file, [kind, url, String(wantedPort)], { ...options, stdio: [...options.stdio] });
  if (cores && child.pid !== undefined) execFileSync("taskset", ["-acp", "0", String(child.pid)], { stdio: "ignore" });
  const answer = <T>() => new Promise<T>((resolve) => child.once("message", (message) => resolve(message as T)));
  const { port } = await answer<{ port: number }>();
  // Threads that were made meanwhile.
  if (cores && child.pid !== undefined) execFileSync("taskset", ["-acp", "0", String(child.pid)], { stdio: "ignore" });
  const send = (command: Command) => void child.send(command);
  return {
    kind,
    port,
    offer: (rate, bytes, groups = 1, channels = false) => send({ op: "offer", rate, bytes, groups, channels }),
    usage(collect = false) {
      const usage = answer<Usage>();
      send({ op: "usage", collect });
      return usage;
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    },
  };
}

export interface Clients {
  measure(seconds: number): Promise<Load>;
  stop(): void;
}

export async function connectClients(
  server: ServerUnderTest,
  options: {
    readonly connections: number;
    readonly stalled?: number;
    readonly flushMs?: number;
    readonly want?: Want;
    readonly groups?: number;
  },
): Promise<Clients> {
  const { connections, stalled = 0, flushMs = 0, want = "everything", groups = 1 } = options;
  const { path, protocol, hello, ready } = adapterOf(server.kind, flushMs, want);
  const args = [server.port, connections, stalled, path, protocol, hello, ready, groups].map(String);
  const [program, ...first] = loadClient();
  const [file, argv] = pinned(1, program, [...first, ...args]);
  const child = spawn(file, argv, { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const line = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`the load client ended (${server.kind})`);
    return value as string;
  };
  await line();
  return {
    async measure(seconds) {
      const before = waitedUs(child.pid ?? 0);
      child.stdin.write(`measure ${seconds}\n`);
      const load = JSON.parse(await line()) as Omit<Load, "waited01">;
      return { ...load, waited01: (waitedUs(child.pid ?? 0) - before) / 1e6 / load.seconds };
    },
    stop: () => child.kill("SIGKILL"),
  };
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

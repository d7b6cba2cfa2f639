import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { natsBinary } from "../support/nats.js";
import { freePorts } from "../support/ports.js";
import { startProxy } from "../support/proxy.js";

const SERVERS = 3;

/** A JetStream cluster of three servers on loopback. */
export interface Cluster {
  /** All three, separated by commas. */
  readonly url: string;
  readonly names: readonly string[];
  kill(name: string): Promise<void>;
  /** Ends it in order, as a rolling restart does. */
  end(name: string): Promise<void>;
  start(name: string): Promise<void>;
  /** The last server's routes go through proxies: it loses sight of the others, its clients keep theirs of it. */
  cutOff(): void;
  heal(): void;
  /** The server at the far end of the proxies. */
  readonly remote: string;
  stop(): Promise<void>;
}

/** `strict`: every server syncs to disk before it acknowledges. */
export async function startCluster({ strict = false }: { strict?: boolean } = {}): Promise<Cluster> {
  const directory = mkdtempSync(join(tmpdir(), "millrace-cluster-"));
  const names = Array.from({ length: SERVERS }, (_, i) => `n${i}`);
  const ports = await freePorts(2 * SERVERS);
  const clientPort = (i: number): number => ports[i] as number;
  const routePort = (i: number): number => ports[SERVERS + i] as number;
  const remote = SERVERS - 1;
  const proxies = await Promise.all(
    names.slice(0, remote).map((_, i) => startProxy(`nats://127.0.0.1:${routePort(i)}`)),
  );
  const children = new Map<number, ChildProcess>();

  const configuration = (i: number): string => {
    const others = names.flatMap((_, j) => {
      if (j === i || j === remote) return []; // the remote one is never called, it calls
      return [`"nats://127.0.0.1:${i === remote ? proxies[j]?.port : routePort(j)}"`];
    });
    return [
      `server_name: ${names[i]}`,
      `listen: "127.0.0.1:${clientPort(i)}"`,
      "max_payload: 8MB",
      `jetstream { store_dir: ${JSON.stringify(join(directory, names[i] as string))}${strict ? ', sync_interval: "always"' : ""} }`,
      // Nobody can be reached at what is advertised: gossip would lead around the proxies.
      `cluster { name: test, listen: "127.0.0.1:${routePort(i)}", advertise: "127.0.0.1:1", no_advertise: true, pool_size: -1`,
      `  routes: [${others.join(", ")}] }`,
      "",
    ].join("\n");
  };
  const start = async (name: string): Promise<void> => {
    const i = names.indexOf(name);
    const path = join(directory, `${name}.conf`);
    writeFileSync(path, configuration(i));
    const child = spawn(natsBinary(), ["-c", path, "-l", join(directory, `${name}.log`)], { stdio: "ignore" });
    children.set(i, child);
    for (const endMs = performance.now() + 30_000; !(await answers(clientPort(i))); await delay(50))
      if (performance.now() > endMs) throw new Error(`${name} did not start; see ${directory}/${name}.log`);
  };
  const finish = async (name: string, signal: NodeJS.Signals): Promise<void> => {
    const child = children.get(names.indexOf(name));
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  };
  await Promise.all(names.map(start));
  return {
    url: names.map((_, i) => `nats://127.0.0.1:${clientPort(i)}`).join(","),
    names,
    remote: names[remote] as string,
    start,
    kill: (name) => finish(name, "SIGKILL"),
    end: (name) => finish(name, "SIGTERM"),
    cutOff: () => proxies.forEach((proxy) => void proxy.close()),
    heal: () => proxies.forEach((proxy) => void proxy.open()),
    async stop() {
      await Promise.all(names.map((name) => finish(name, "SIGKILL")));
      await Promise.all(proxies.map((proxy) => proxy.stop()));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

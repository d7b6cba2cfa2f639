import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { packageRoot } from "../../src/core/index.js";

/** A real nats-server of the test's own: free ports, a fresh directory, nothing shared. */
export interface TestServer {
  readonly url: string;
  readonly mqttUrl: string;
  readonly directory: string;
  pid(): number;
  /** `kill -9`, as a power cut: what was acknowledged is still there after `start`. */
  kill(): Promise<void>;
  /** Starts it again on the same ports and data after `kill`. */
  start(): Promise<void>;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
}

/** The server under test: NATS_SERVER_BIN, else the newest in the project's cache. */
export function natsBinary(): string {
  const given = process.env["NATS_SERVER_BIN"];
  if (given) return given;
  const cache = join(packageRoot(), ".cache", "nats-server");
  const names = existsSync(cache) ? readdirSync(cache).sort().reverse() : [];
  const found = names.map((name) => join(cache, name, "nats-server")).find((path) => existsSync(path));
  if (found === undefined) throw new Error(`no nats-server: set NATS_SERVER_BIN, or let npm start fill ${cache}`);
  return found;
}

export async function startNats(
  limits: { maxPayloadMb?: number; maxFileMb?: number; within?: string } = {},
): Promise<TestServer> {
  const directory = mkdtempSync(join(limits.within ?? tmpdir(), "millrace-nats-"));
  let ports = { client: -1, mqtt: -1 };
  let child: ChildProcess;
  const start = async () => {
    writeFileSync(join(directory, "nats.conf"), configuration(directory, ports, limits));
    child = spawn(natsBinary(), ["-c", join(directory, "nats.conf")], { stdio: ["ignore", "ignore", "pipe"] });
    ports = await listening(child);
  };
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  };
  await start();
  return {
    url: `nats://127.0.0.1:${ports.client}`,
    mqttUrl: `mqtt://127.0.0.1:${ports.mqtt}`,
    directory,
    pid: () => child.pid ?? 0,
    start,
    kill: () => end("SIGKILL"),
    async stop() {
      await end("SIGKILL");
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function configuration(
  directory: string,
  ports: { client: number; mqtt: number },
  { maxPayloadMb = 8, maxFileMb }: { maxPayloadMb?: number; maxFileMb?: number },
): string {
  const limit = maxFileMb === undefined ? "" : `, max_file: ${maxFileMb}MB`;
  return [
    "server_name: test",
    `listen: "127.0.0.1:${ports.client}"`,
    `max_payload: ${maxPayloadMb}MB`,
    `jetstream { store_dir: ${JSON.stringify(directory)}${limit} }`,
    `mqtt { listen: "127.0.0.1:${ports.mqtt}", ack_wait: "1s" }`, // what was not acknowledged comes again after this
    "",
  ].join("\n");
}

/** The server prints its ports; port -1 in the configuration means any free one. */
async function listening(child: ChildProcess): Promise<{ client: number; mqtt: number }> {
  const seen: string[] = [];
  const ports = { client: 0, mqtt: 0 };
  if (child.stderr === null) throw new Error("nats-server was started without a pipe");
  const lines = createInterface(child.stderr);
  for await (const line of lines) {
    seen.push(line);
    const port = Number(/:(\d+)$/.exec(line)?.[1]);
    if (line.includes("Listening for MQTT clients")) ports.mqtt = port;
    if (line.includes("Listening for client connections")) ports.client = port;
    if (line.includes("Server is ready")) {
      child.stderr.resume(); // nobody reads on; a full pipe would stop the server
      return ports;
    }
  }
  throw new Error(`nats-server did not start:\n${seen.join("\n")}`);
}

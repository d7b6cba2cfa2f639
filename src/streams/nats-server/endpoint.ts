import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MillraceError } from "../../core/index.js";
import { inspectProcess, isAlive } from "./process-info.js";

/** How to reach a server we started, kept beside its store so that other commands and the next start find it. */
export interface Endpoint {
  /** `nats://127.0.0.1:<port>`, without credentials: the NATS client takes those apart from the URL. */
  readonly url: string;
  readonly user: string;
  readonly password: string;
  /** Undefined when the server has no MQTT listener. */
  readonly mqttPort?: number;
  readonly pid: number;
  /** The process that started the server and stops it. */
  readonly parentPid: number;
}

const POLL_MS = 20;

export function endpointPath(storeDir: string): string {
  return join(storeDir, "endpoint.json");
}

export async function writeEndpoint(storeDir: string, endpoint: Endpoint): Promise<void> {
  await writeFile(endpointPath(storeDir), `${JSON.stringify(endpoint)}\n`, { mode: 0o600 });
}

/** The server that runs on `storeDir` now, or undefined. For commands beside a running `millrace up`. */
export async function readEndpoint(storeDir: string): Promise<Endpoint | undefined> {
  const endpoint = await parseEndpoint(storeDir);
  return endpoint && (await isOurServer(endpoint.pid, storeDir)) ? endpoint : undefined;
}

/**
 * Makes sure that no server runs on `storeDir`: one left over from a killed parent is ended, SIGTERM first.
 * Errors: MR_DATA_DIR_IN_USE when its parent is still alive, or when a process may not be looked at.
 */
export async function endStaleServer(storeDir: string, stopTimeoutMs: number): Promise<"none" | "ended"> {
  const pid = Number(await readFile(join(storeDir, "nats-server.pid"), "utf8").catch(() => "0"));
  if (!Number.isSafeInteger(pid) || pid <= 1) return "none";
  const info = await inspectProcess(pid);
  if (info.kind === "hidden")
    throw new MillraceError(
      "MR_DATA_DIR_IN_USE",
      `process ${pid} may be a nats-server on ${storeDir}, but belongs to somebody else. End it, or remove ` +
        `${storeDir}/nats-server.pid if it is something different`,
    );
  // Another program has the number by now: the machine was restarted.
  if (info.kind === "gone" || !runsConfigOf(info.args, storeDir)) return "none";
  const endpoint = await parseEndpoint(storeDir);
  if (endpoint?.pid === pid && endpoint.parentPid === info.parentPid)
    throw new MillraceError(
      "MR_DATA_DIR_IN_USE",
      `${storeDir} is in use by process ${info.parentPid}. Stop that one first, or choose another --data-dir`,
    );
  await endProcess(pid, stopTimeoutMs);
  return "ended";
}

export async function removeEndpoint(storeDir: string): Promise<void> {
  await rm(endpointPath(storeDir), { force: true });
  await rm(join(storeDir, "nats-server.pid"), { force: true });
}

/** SIGTERM, and SIGKILL when it did not help within `timeoutMs`. For processes that are not our children. */
async function endProcess(pid: number, timeoutMs: number): Promise<void> {
  process.kill(pid, "SIGTERM");
  for (const deadlineMs = performance.now() + timeoutMs; performance.now() < deadlineMs; ) {
    if ((await inspectProcess(pid)).kind === "gone") return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  if (isAlive(pid)) process.kill(pid, "SIGKILL");
  while ((await inspectProcess(pid)).kind !== "gone") await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

async function isOurServer(pid: number, storeDir: string): Promise<boolean> {
  const info = await inspectProcess(pid);
  return info.kind === "running" && runsConfigOf(info.args, storeDir);
}

function runsConfigOf(args: string, storeDir: string): boolean {
  return args.endsWith(` -c ${storeDir}/nats-server.conf`);
}

async function parseEndpoint(storeDir: string): Promise<Endpoint | undefined> {
  const text = await readFile(endpointPath(storeDir), "utf8").catch(() => undefined);
  try {
    return text === undefined ? undefined : (JSON.parse(text) as Endpoint);
  } catch {
    return undefined; // cut short by a crash: the server that wrote it never became ready
  }
}

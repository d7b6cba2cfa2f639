import { createRequire } from "node:module";
import { type Config, isMillraceError } from "../core/index.js";
import { connectLog, obtainNatsServer } from "../streams/index.js";
import type { Finding } from "./doctor.js";
import { logAt } from "./up/log-server.js";

type Probe = (config: Config, cacheDir: string) => Promise<Finding>;

/** What Millrace needs beside Node, ports and disk. */
export const probes: readonly Probe[] = [log, database, solverAndModels, transport];

async function log({ natsUrl, natsServerBin }: Config, cacheDir: string): Promise<Finding> {
  const check = "nats-server";
  try {
    if (natsUrl !== undefined) {
      await (await connectLog({ ...logAt(natsUrl), name: "millrace-doctor" })).close();
      return { check, ok: true, found: `${hostOf(natsUrl)} answers and is new enough`, fix: "" };
    }
    const env = { ...process.env, ...(natsServerBin === undefined ? {} : { NATS_SERVER_BIN: natsServerBin }) };
    const found = await obtainNatsServer({ env, cacheDir, report: () => undefined, offline: true });
    return {
      check,
      ok: true,
      found: found.kind === "url" ? hostOf(found.url) : `${found.version} at ${found.path}`,
      fix: "",
    };
  } catch (error) {
    if (!isMillraceError(error)) throw error;
    const missing = error.code === "MR_BINARY_MISSING";
    const fix = missing
      ? '"millrace up" obtains one; or put nats-server on PATH, or set NATS_URL'
      : "start the server, or unset NATS_URL to have one started";
    return { check, ok: false, found: missing ? "none yet" : error.message, fix };
  }
}

async function database({ clickhouseUrl }: Config): Promise<Finding> {
  if (clickhouseUrl === undefined) {
    const fix = "set CLICKHOUSE_URL to a ClickHouse server: there is no embedded engine for this platform";
    return resolves("embedded ClickHouse", "chdb", fix);
  }
  const check = "ClickHouse";
  const { origin, host } = new URL(clickhouseUrl);
  try {
    const answer = await fetch(`${origin}/ping`, { signal: AbortSignal.timeout(3_000) });
    return {
      check,
      ok: answer.ok,
      found: `${host} answers ${answer.status}`,
      fix: answer.ok ? "" : "check CLICKHOUSE_URL",
    };
  } catch (error) {
    return {
      check,
      ok: false,
      found: `${host}: ${(error as Error).message}`,
      fix: "start it, or unset CLICKHOUSE_URL to use the embedded one",
    };
  }
}

async function solverAndModels(): Promise<Finding> {
  return resolves("ONNX runtime", "onnxruntime-node", "run npm ci again; the platform may have no binary");
}

async function transport(): Promise<Finding> {
  const check = "uWebSockets.js";
  try {
    await import("uWebSockets.js");
    return { check, ok: true, found: `fits Node ${process.versions.node}`, fix: "" };
  } catch {
    return { check, ok: true, found: "no binary for this Node: node:http and ws take over", fix: "" };
  }
}

/** The package is there and loads; loading is cheap, using it is not. */
async function resolves(check: string, name: string, fix: string): Promise<Finding> {
  try {
    const require = createRequire(import.meta.url);
    const version = String((require(`${name}/package.json`) as { version?: unknown }).version);
    await import(name);
    return { check, ok: true, found: `${name} ${version}`, fix: "" };
  } catch (error) {
    return { check, ok: false, found: `${name}: ${(error as Error).message.split("\n")[0]}`, fix };
  }
}

function hostOf(url: string): string {
  return new URL(url).host;
}

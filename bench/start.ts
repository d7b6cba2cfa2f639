import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import WebSocket from "ws";
import type { Instance } from "../src/cli/up/instance.js";
import { packageRoot } from "../src/core/index.js";
import { temporaryDir, waitFor } from "../test/support/millrace.js";
import { type Result, report } from "./support/report.js";

/**
 * The minute in which a stranger first runs it: a fresh clone in an empty folder, `npm start` at default speed, until the page's
 * WebSocket has its first alert; then Ctrl-C and a second start. npm's package cache is as the machine has it.
 */
const LIMIT_MS = 600_000;
const folder = temporaryDir("bench-start");
const clone = join(folder, "millrace");
const results: Result[] = [];
try {
  execFileSync("git", ["clone", "--quiet", packageRoot(), clone]);
  const startMs = performance.now();
  const first = npmStart();
  const instance = await ready(first);
  const readyS = (performance.now() - startMs) / 1_000;
  await firstAlert(instance);
  const alertS = (performance.now() - startMs) / 1_000;
  const stopS = await stop(first);
  const againMs = performance.now();
  const second = npmStart();
  await ready(second);
  const againS = (performance.now() - againMs) / 1_000;
  await stop(second);
  const seconds = (name: string, value: number, limit: number | null): Result => ({
    name,
    metric: "time",
    value,
    unit: "s",
    limit,
    better: "lower",
  });
  results.push(
    seconds("fresh clone to ready", readyS, null),
    seconds("fresh clone to first alert frame", alertS, 120),
    seconds("ready to first alert frame", alertS - readyS, 60),
    seconds("Ctrl-C to stopped", stopS, 5),
    seconds("second start to ready", againS, 5),
  );
} finally {
  await rm(folder, { recursive: true, force: true });
}
report("start", results);

function npmStart(): ChildProcess {
  const child = spawn("npm", ["start", "--", "--port", "0", "--mqtt-port", "0"], {
    cwd: clone,
    stdio: ["ignore", "ignore", "pipe"],
  });
  child.stderr?.on("data", (chunk: Buffer) => process.stderr.write(chunk));
  return child;
}

async function ready(child: ChildProcess): Promise<Instance & { key: string }> {
  const data = join(clone, "data");
  return waitFor(LIMIT_MS, () => {
    if (child.exitCode !== null) throw new Error(`npm start ended with ${child.exitCode}`);
    try {
      const instance = JSON.parse(readFileSync(join(data, "instance.json"), "utf8")) as Instance;
      return instance.url ? { ...instance, key: readFileSync(join(data, "local.key"), "utf8").trim() } : undefined;
    } catch {
      return undefined;
    }
  });
}

async function firstAlert({ url, key }: { url: string; key: string }): Promise<void> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/ws?key=${key}`);
  socket.on("open", () => socket.send(JSON.stringify({ op: "subscribe", id: 1, channel: "alerts", since: 0 })));
  await new Promise<void>((resolve, reject) => {
    socket.on("message", (data) => String(data).includes('"op":"event"') && resolve());
    socket.on("error", reject);
    setTimeout(() => reject(new Error("no alert")), LIMIT_MS).unref();
  });
  socket.terminate();
}

async function stop(child: ChildProcess): Promise<number> {
  const { pid } = JSON.parse(readFileSync(join(clone, "data/instance.json"), "utf8")) as Instance;
  const startMs = performance.now();
  process.kill(pid, "SIGINT");
  if (child.exitCode === null) await new Promise((done) => child.once("exit", done));
  return (performance.now() - startMs) / 1_000;
}

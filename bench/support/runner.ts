import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));
const STOP_MS = 10_000;

/** One line of a process's log. */
export interface LogLine {
  readonly atMs: number;
  readonly msg: string;
  readonly task?: string;
}

/** A process of the product that runs tasks: `millrace run`. */
export interface Runner {
  readonly pid: number;
  /** What it has logged so far. */
  readonly lines: readonly LogLine[];
  /** Resolves with the first line so worded, from `after` on by the wall clock; rejects when the process ends before. */
  logged(msg: string, after?: number): Promise<LogLine>;
  /** Seconds of processor time it has used, all threads. */
  processorS(): number;
  kill(): void;
  stop(): Promise<void>;
}

/** Starts one process with one thread of tasks; resolves when it has joined the log. */
export async function startRunner(options: {
  readonly natsUrl: string;
  readonly dataDir: string;
  readonly partitions: number;
  readonly topologies: string;
  readonly args?: readonly string[];
}): Promise<Runner> {
  const { natsUrl, dataDir, partitions, topologies, args = [] } = options;
  const where = ["--nats-url", natsUrl, "--data-dir", dataDir, "--partitions", String(partitions)];
  const what = ["--workers", "1", "--topologies", topologies, "--log-level", "info", ...args];
  const child = spawn(process.execPath, [MAIN, "run", ...where, ...what], { stdio: ["ignore", "pipe", "pipe"] });
  const lines: LogLine[] = [];
  let heard: () => void = () => undefined;
  let rest = "";
  child.stderr.on("data", (chunk: Buffer) => {
    const found = (rest + chunk).split("\n");
    rest = found.pop() ?? "";
    for (const line of found) lines.push(lineOf(line));
    heard();
  });
  let ended = false;
  child.once("exit", () => {
    ended = true;
    heard();
  });
  await joined(child, lines);
  return {
    pid: child.pid ?? 0,
    lines,
    async logged(msg, after = 0) {
      for (;;) {
        const line = lines.find((line) => line.msg === msg && line.atMs >= after);
        if (line !== undefined) return line;
        if (ended) throw new Error(`the process ended before it said "${msg}":\n${told(lines)}`);
        await new Promise<void>((resolve) => {
          heard = resolve;
        });
      }
    },
    processorS: () => processorS(child.pid ?? 0),
    kill: () => void child.kill("SIGKILL"),
    async stop() {
      if (ended) return;
      const exited = once(child, "exit");
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
      await exited;
      clearTimeout(timer);
    },
  };
}

/** Of a process, all its threads, by the kernel's count of hundredths. */
export function processorS(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function lineOf(line: string): LogLine {
  try {
    const { time, msg, ...more } = JSON.parse(line) as { time: string; msg: string; task?: string };
    return { ...more, atMs: Date.parse(time), msg };
  } catch {
    return { atMs: Date.now(), msg: line };
  }
}

function told(lines: readonly LogLine[]): string {
  return lines.map((line) => JSON.stringify(line)).join("\n");
}

function joined(child: ChildProcess, lines: readonly LogLine[]): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("exit", () => reject(new Error(`millrace run did not start:\n${told(lines)}`)));
    child.stdout?.on("data", (chunk: Buffer) => {
      if (chunk.includes("joined as")) resolve();
    });
  });
}

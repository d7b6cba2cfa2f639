import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));
const TOPOLOGIES = fileURLToPath(new URL("./topologies.js", import.meta.url));

/** A worker process of the product, `millrace run`, that can be killed, paused and started again. */
export interface WorkerProcess {
  start(): Promise<void>;
  kill(): Promise<void>;
  /** Pauses it; `resume` lets it go on as if nothing had happened. */
  pause(): void;
  resume(): void;
  /** Ends it in order. */
  stop(): Promise<void>;
  /** What it said since its last start. */
  output(): string;
  pid(): number;
}

export function workerProcess(options: {
  readonly natsUrl: string;
  readonly dataDir: string;
  readonly partitions: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
}): WorkerProcess {
  const { natsUrl, dataDir, partitions } = options;
  let child: ChildProcess | undefined;
  let printed = "";
  const running = (): ChildProcess => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null)
      throw new Error(`the worker has ended by itself:\n${printed}`);
    return child;
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  };
  return {
    async start() {
      printed = "";
      const where = ["--nats-url", natsUrl, "--data-dir", dataDir, "--partitions", String(partitions), "--sinks"];
      child = spawn(process.execPath, [MAIN, "run", ...where, "--topologies", TOPOLOGIES, ...(options.args ?? [])], {
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, ...options.env },
      });
      const joined = new Promise<void>((resolve, reject) => {
        child?.once("exit", () => reject(new Error(`the worker did not start:\n${printed}`)));
        child?.stdout?.on("data", (chunk: Buffer) => {
          printed += chunk;
          if (printed.includes("joined as")) resolve();
        });
      });
      child.stderr?.on("data", (chunk: Buffer) => (printed += chunk));
      await joined;
    },
    kill: () => end("SIGKILL"),
    pause: () => void running().kill("SIGSTOP"),
    resume: () => void running().kill("SIGCONT"),
    async stop() {
      child?.kill("SIGCONT");
      const timer = setTimeout(() => child?.kill("SIGKILL"), 10_000);
      await end("SIGTERM");
      clearTimeout(timer);
    },
    output: () => printed,
    pid: () => child?.pid ?? 0,
  };
}

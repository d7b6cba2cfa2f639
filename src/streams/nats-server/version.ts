import { runCommand } from "./command.js";

/** The first `major.minor.patch` in `text`, or undefined. Reads "nats-server: v2.15.0", "go1.26.8" and "go1.27". */
export function parseVersion(text: string): string | undefined {
  const match = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
  return match ? `${match[1]}.${match[2]}.${match[3] ?? "0"}` : undefined;
}

/** Negative when `a` is older than `b`, 0 when equal. Both as `major.minor.patch`; a suffix such as "-RC.1" is ignored. */
export function compareVersions(a: string, b: string): number {
  const left = a.split(".").map((part) => Number.parseInt(part, 10));
  const right = b.split(".").map((part) => Number.parseInt(part, 10));
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** What `<path> --version` says. Rejects with a one-line reason when the file does not run or is not nats-server. */
export async function readServerVersion(path: string, env: NodeJS.ProcessEnv): Promise<string> {
  const { stdout } = await runCommand(path, ["--version"], { env, timeoutMs: 10_000 });
  const version = stdout.startsWith("nats-server") ? parseVersion(stdout) : undefined;
  if (version === undefined) throw new Error(`${path} does not answer --version as nats-server does`);
  return version;
}

import { readFile } from "node:fs/promises";
import { runCommand } from "./command.js";

/** What the operating system says about a process number. */
export type ProcessInfo =
  | { readonly kind: "gone" }
  /** It runs, but may not be looked at: another user's, or no /proc and no ps. */
  | { readonly kind: "hidden" }
  | { readonly kind: "running"; readonly parentPid: number; readonly args: string };

/** Looks at one process: Linux through /proc, elsewhere through ps. `args` are parted by spaces. */
export async function inspectProcess(pid: number): Promise<ProcessInfo> {
  if (!isAlive(pid)) return { kind: "gone" };
  return (await fromProc(pid)) ?? (await fromPs(pid)) ?? (isAlive(pid) ? { kind: "hidden" } : { kind: "gone" });
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // alive, and somebody else's
  }
}

async function fromProc(pid: number): Promise<ProcessInfo | undefined> {
  try {
    const cmdline = await readFile(`/proc/${pid}/cmdline`, "utf8");
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    if (/^State:\s+[ZX]/m.test(status)) return { kind: "gone" }; // ended, only not yet waited for
    const parentPid = Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1]);
    return { kind: "running", parentPid, args: cmdline.split("\0").join(" ").trim() };
  } catch {
    return undefined; // no /proc here, not ours to read, or gone meanwhile: the caller asks again
  }
}

async function fromPs(pid: number): Promise<ProcessInfo | undefined> {
  const args = ["-ww", "-o", "ppid=,args=", "-p", String(pid)];
  const output = await runCommand("ps", args, { env: { PATH: "/usr/bin:/bin" }, timeoutMs: 5_000 }).catch(
    () => undefined,
  );
  const match = /^\s*(\d+)\s+(.*)$/m.exec(output?.stdout ?? "");
  return match?.[2] ? { kind: "running", parentPid: Number(match[1]), args: match[2].trim() } : undefined;
}

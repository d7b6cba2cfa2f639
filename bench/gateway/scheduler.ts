import { readFileSync } from "node:fs";

/** How long the main thread of a process has been ready to run without a core, since it started; NaN where the system does not say. */
export function waitedUs(pid: number): number {
  try {
    const [, waitedNs] = readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ");
    return Number(waitedNs) / 1_000;
  } catch {
    return Number.NaN;
  }
}

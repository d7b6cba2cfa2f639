import { readFileSync } from "node:fs";
import { descendants } from "./millrace.js";

const EVERY_MS = 200;
const PAGE_BYTES = 4_096;

/** Watches the resident memory of a process and all its descendants; `stop` returns the largest sum seen, bytes. */
export function peakRss(pid: number): { stop(): number } {
  let peak = 0;
  const look = (): void => {
    peak = Math.max(
      peak,
      [pid, ...descendants(pid)].reduce((sum, each) => sum + rssOf(each), 0),
    );
  };
  const timer = setInterval(look, EVERY_MS).unref(); // a test that fails before `stop` still ends
  return {
    stop: () => {
      clearInterval(timer);
      return peak;
    },
  };
}

function rssOf(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * PAGE_BYTES;
  } catch {
    return 0; // ended meanwhile
  }
}

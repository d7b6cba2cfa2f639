import type { Clock } from "../../src/core/index.js";

/** Wall time, as the runtime's own clock keeps it. */
export const wallClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal?.addEventListener("abort", end);
      if (signal?.aborted) end();
    }),
};

/** Time that passes only by sleeping: each sleep is over at once, and it is that much later then. */
export function jumpingClock(startMs: number): Clock & { readonly sleptMs: readonly number[] } {
  let nowMs = startMs;
  const sleptMs: number[] = [];
  return {
    sleptMs,
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    async sleep(ms) {
      nowMs += ms;
      sleptMs.push(ms);
    },
  };
}

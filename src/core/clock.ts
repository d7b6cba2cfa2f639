import type { Clock } from "./ports.js";

/** The machine's clock. Operators never see it: it is for pauses, intervals and leases. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  // The platform's own promise rejects when aborted, with an error that has a stack: dearer than all the rest of a short pause.
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) {
        resolve();
        return;
      }
      const over = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", over);
        resolve();
      };
      const timer = setTimeout(over, ms);
      signal?.addEventListener("abort", over);
    }),
};

import type { Clock } from "./ports.js";

/** A timer for longer would end at once. */
const TIMER_MS_MOST = 2 ** 31 - 1;

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
      const timer = setTimeout(over, Math.min(ms, TIMER_MS_MOST));
      signal?.addEventListener("abort", over);
    }),
};

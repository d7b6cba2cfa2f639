import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "./ports.js";

/** The machine's clock. Operators never see it: it is for pauses, intervals and leases. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, signal ? { signal } : {}).catch(() => undefined);
  },
};

import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../core/index.js";

/** The machine's clock. Operators never see it; tasks use it for pauses and snapshot intervals only. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, signal ? { signal } : {}).catch(() => undefined);
  },
};

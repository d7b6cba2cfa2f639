import t from "tap";
import { endure, type Trouble } from "../../bench/gateway/resilience.js";
import { TRANSPORTS } from "./support.js";

/** The troubles of bench/gateway, short: every event once, in order, or the client is told. */
const table: readonly { name: string; ms: number; trouble: Trouble }[] = [
  { name: "drops", ms: 3_000, trouble: { drops: { everyMs: 700, forMs: 250 } } },
  { name: "gateway killed", ms: 2_500, trouble: { killGatewayAtMs: 700 } },
  { name: "nats-server killed", ms: 3_000, trouble: { killNatsAtMs: 700 } },
  { name: "storm", ms: 2_000, trouble: { stormAtMs: 500 } },
];

t.test(
  "through trouble",
  { timeout: 100_000, skip: TRANSPORTS.includes("uws") ? false : "uWebSockets.js does not load here" },
  async (t) => {
    for (const { name, ms, trouble } of table) {
      const outcome = await endure({
        followers: 20,
        ratePerS: 50,
        ms,
        pauseMs: 300,
        patienceMs: 20_000,
        seed: 20_261_120,
        trouble,
      });
      const { due, stormMs, ...wrong } = outcome;
      t.same(wrong, { missing: 0, duplicates: 0, breaks: 0, unrecovered: 0 }, `${name}: of ${due} events`);
      t.ok(due > 500, `${name}: there was something to lose`);
      if (trouble.stormAtMs !== undefined) t.ok((stormMs ?? Number.NaN) < 10_000, `all back after ${stormMs} ms`);
    }
  },
);

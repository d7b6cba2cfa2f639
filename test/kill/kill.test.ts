import t from "tap";
import { runRound } from "./round.js";
import type { Victim } from "./victims.js";
import { startWorld } from "./world.js";

const SEED = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);
/** One round each; `npm run test:kill` does more of them, and other victims. */
const ROUNDS: readonly Victim[] = ["kill worker", "pause worker, kill the other", "kill everything"];

t.comment(`seed ${SEED}: MILLRACE_SEED=${SEED} repeats the moments of the strikes`);

t.test("two workers on one log: whoever dies or stalls, every row is there once", async (t) => {
  const world = await startWorld();
  t.teardown(() => world.stop());
  for (const [round, victim] of ROUNDS.entries()) {
    const result = await runRound(world, round, SEED + round, [victim]);
    t.same(result.differences, [], `${victim}: rows as DuckDB counts them`);
    t.equal(result.rowsFound, result.rowsExpected, `${victim}: ${result.rowsExpected} rows`);
    t.equal(result.idsTwice, 0, `${victim}: no id twice`);
    t.ok(result.eventsInFlight > 0, `${victim}: ${result.eventsInFlight} events in flight`);
  }
});

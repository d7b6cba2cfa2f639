import t from "tap";
import type { ClusterVictim } from "./cluster-victims.js";
import { runRound } from "./round.js";
import { startClusterWorld } from "./world.js";

const SEED = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);
/** A smoke; `npm run test:kill -- --servers 3` does more of them, and rolling restarts. */
const ROUNDS: readonly ClusterVictim[] = ["kill leader", "cut one off"];

/** What a worker said last, when something is wrong. */
const OUTPUT_BYTES = 20_000;

t.comment(`seed ${SEED}: MILLRACE_SEED=${SEED} repeats the moments of the strikes`);

t.test("three servers: without the leader, or with one cut off, every row is there once", async (t) => {
  const world = await startClusterWorld();
  t.teardown(() => world.stop());
  for (const [round, victim] of ROUNDS.entries()) {
    const result = await runRound(world, round, SEED + round, [victim]);
    if (!result.ok) for (const worker of world.workers) t.comment(worker.output().slice(-OUTPUT_BYTES));
    t.same(result.differences, [], `${victim}: ${result.rowsFound} rows as DuckDB counts them`);
    t.equal(result.idsTwice, 0, `${victim}: no id twice`);
    t.ok(result.eventsInFlight > 0, `${victim}: ${result.eventsInFlight} events in flight`);
  }
});

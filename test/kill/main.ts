import { join } from "node:path";
import { parseArgs } from "node:util";
import { packageRoot } from "../../src/core/index.js";
import { obtainNatsServer } from "../../src/streams/index.js";
import { CLUSTER_VICTIMS } from "./cluster-victims.js";
import { type RoundResult, runRound } from "./round.js";
import { USUAL } from "./victims.js";
import { startClusterWorld, startWorld } from "./world.js";

/** `npm run test:kill -- --rounds 100 [--seed N] [--servers 3 [--strict]] [--json]`: exit code 1 when a round fails, which also ends the run. */
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "10" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    servers: { type: "string", default: "1" },
    strict: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const rounds = Number(values.rounds);
const firstSeed = Number(values.seed);
const say = (line: string): void => void (values.json ? process.stderr : process.stdout).write(`${line}\n`);

if (!process.env["NATS_SERVER_BIN"]) {
  const found = await obtainNatsServer({ env: process.env, cacheDir: join(packageRoot(), ".cache"), report: say });
  if (found.kind !== "url") process.env["NATS_SERVER_BIN"] = found.path;
}
const isCluster = values.servers === "3";
const world = await (isCluster ? startClusterWorld({ strict: values.strict }) : startWorld());
const results: RoundResult[] = [];
try {
  say(`seed ${firstSeed}: round n has seed ${firstSeed} + n`);
  for (let round = 0; round < rounds; round++) {
    const result = await runRound(world, round, firstSeed + round, isCluster ? CLUSTER_VICTIMS : USUAL);
    results.push(result);
    const { seed, victim, eventsInFlight, rowsExpected, rowsFound, idsTwice, settleMs, ok } = result;
    say(
      `round ${round} seed ${seed} ${victim}: ${eventsInFlight} events in flight, rows expected ${rowsExpected} found ${rowsFound}, ids twice ${idsTwice}, settled in ${settleMs} ms, ${ok ? "ok" : "FAILED"}`,
    );
    for (const line of result.differences) say(`  ${line}`);
    if (ok) continue;
    say(JSON.stringify(await world.connection.requests.askAll("status"), undefined, 1));
    for (const [i, worker] of world.workers.entries()) say(`  worker ${i} said:\n${worker.output().slice(-3_000)}`);
    break;
  }
} finally {
  await world.stop();
}
const loaded = results.filter(({ eventsInFlight }) => eventsInFlight > 0).length;
const failed = results.some(({ ok }) => !ok);
if (values.json)
  process.stdout.write(
    `${JSON.stringify({ seed: firstSeed, rounds: results, loadedRatio01: loaded / results.length, failed })}\n`,
  );
say(`${results.length} rounds, events in flight in ${loaded}, ${failed ? "FAILED" : "all rows there, none twice"}`);
process.exitCode = failed ? 1 : 0;

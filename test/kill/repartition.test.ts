import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import t from "tap";
import { packageRoot } from "../../src/core/index.js";
import { repartitionUnderWay } from "../../src/runtime/index.js";
import { seededRandom } from "../support/random.js";
import { expectedRows } from "./expected.js";
import { FIRST_MS } from "./input.js";
import { workerProcess } from "./processes.js";
import { runRound } from "./round.js";
import { WINDOW_MS } from "./topologies.js";
import { startWorld, type World } from "./world.js";

const SEED = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);
const MAIN = join(packageRoot(), "build/src/cli/main.js");
/** The number of partitions after each round. */
const LAYOUTS = [2, 4] as const;
const KILLS_MOST = 3;
const SETTLE_MS = 120_000;

t.comment(`seed ${SEED}: MILLRACE_SEED=${SEED} repeats the moments of the kills`);
const random = seededRandom(SEED);

function command(natsUrl: string, partitions: number): ChildProcess {
  const args = [MAIN, "repartition", "--partitions", String(partitions), "--nats-url", natsUrl];
  return spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
}

/** Gives the command until it has done its work; kills it in the middle of it some times before. Resolves with how often. */
async function repartition({ connection, kill }: World, partitions: number): Promise<number> {
  const natsUrl = kill.kind === "one" ? kill.server.url : "";
  for (let kills = 0; ; kills++) {
    const child = command(natsUrl, partitions);
    let said = "";
    child.stderr?.on("data", (chunk: Buffer) => (said += chunk));
    const ended = once(child, "exit");
    if (kills < KILLS_MOST) {
      while (child.exitCode === null && (await repartitionUnderWay(connection.registers)) === undefined) await delay(1);
      await delay(random() * 150);
      child.kill("SIGKILL");
    }
    const [code] = await ended;
    if (code === 0) return kills;
    if (code !== null) throw new Error(`repartition ended with ${code}: ${said}`);
  }
}

t.test("other partitions, with kills in the middle: every row is there once", { timeout: 400_000 }, async (t) => {
  const world = await startWorld();
  t.teardown(() => world.stop());
  const natsUrl = world.kill.kind === "one" ? world.kill.server.url : "";
  for (const [round, partitions] of LAYOUTS.entries()) {
    const { differences, idsTwice, rowsExpected } = await runRound(world, round, SEED + round, ["kill worker"]);
    t.same(differences, [], `round ${round}: ${rowsExpected} rows as DuckDB counts them`);
    t.equal(idsTwice, 0);
    const running = command(natsUrl, partitions);
    const [refused] = await once(running, "exit");
    t.equal(refused, 2, "while somebody runs tasks it is refused");
    for (const worker of world.workers) await worker.stop();
    const kills = await repartition(world, partitions);
    t.comment(`to ${partitions} partitions, killed ${kills} times`);
    t.equal(await repartitionUnderWay(world.connection.registers), undefined);
    await world.startWorkers(partitions);
    const stale = workerProcess({ natsUrl, dataDir: world.directory, partitions: partitions + 1 });
    await t.rejects(stale.start(), /exists and differs[\s\S]*millrace repartition/, "another layout is refused");

    for (let before = 0; before <= round; before++) {
      const expected = await expectedRows(join(world.directory, `input-${before}.ndjson`));
      const fromMs = FIRST_MS + 12 * before * WINDOW_MS;
      const look = () => world.found(before, fromMs - WINDOW_MS, fromMs + 11 * WINDOW_MS);
      let found = await look();
      for (const endMs = performance.now() + SETTLE_MS; performance.now() < endMs; found = await look()) {
        if (found !== undefined && JSON.stringify(found) === JSON.stringify(expected)) break;
        await delay(100);
      }
      t.same(found, expected, `round ${before} again, computed by ${partitions} partitions`);
    }
    t.equal(await world.idsTwice(), 0, "no id twice");
  }
});

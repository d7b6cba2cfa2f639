import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import t from "tap";
import { removeSnapshots } from "../support/log-reset.js";
import { type RunningMillrace, startMillrace, temporaryDir, waitFor, waitForSettled } from "../support/millrace.js";
import { seededRandom } from "../support/random.js";
import { differences, smallTables, type TableSums, tableSums } from "../support/table-sums.js";

const SEED = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);
const ARGS = ["--speed", "max", "--rebase", "none"];
const KILLS = 3;
/** The sample at full speed takes half a minute on two free cores. */
const SETTLED_MS = 300_000;
/** Plans depend on when the solver answered, and are left out by the claim. */
const PLANS = new Set(["plans", "plan_requests"]);

t.comment(`seed ${SEED}: MILLRACE_SEED=${SEED} repeats the moments of the kills`);
const random = seededRandom(SEED);

t.test("three kills of the whole tree in the middle of the replay change no table", async (t) => {
  const quiet = temporaryDir("quiet");
  const killed = temporaryDir("killed");
  const again = temporaryDir("again");
  let millrace = await startMillrace(quiet, ARGS);
  t.teardown(async () => {
    await millrace.killTree();
    await Promise.all([quiet, killed, again].map((path) => rm(path, { recursive: true, force: true })));
  });
  await waitForSettled(millrace, SETTLED_MS);
  const expected = await settledSums(millrace, false);
  const expectedRows = await smallTables(millrace, expected);
  await millrace.stop();

  for (let kill = 0; kill < KILLS; kill++) {
    millrace = await startMillrace(killed, ARGS);
    const at = (kill + 0.2 + 0.6 * random()) / KILLS;
    await waitFor(SETTLED_MS, async () => {
      const { replay } = await millrace.stats();
      return replay.total > 0 && replay.sent / replay.total >= at ? true : undefined;
    });
    await delay(random() * 300);
    const { replay } = await millrace.stats();
    await millrace.killTree();
    t.notOk(replay.done, `kill ${kill + 1} at ${((100 * replay.sent) / replay.total).toFixed(1)} % of the replay`);
  }
  millrace = await startMillrace(killed, ARGS);
  await waitForSettled(millrace, SETTLED_MS);

  const found = await settledSums(millrace, false);
  const foundRows = await smallTables(millrace, found);
  for (const [table, sums] of Object.entries(expected)) {
    if (PLANS.has(table)) continue;
    t.same(found[table], sums, `${table}: the same rows as the uninterrupted run`);
    t.same(differences(expectedRows.get(table), foundRows.get(table)), [], `${table}: no row differs`);
  }
  for (const table of Object.keys(found)) {
    t.same(await millrace.query(`SELECT count() - uniqExact(_id) FROM ${table}`), [[0]], `${table}: no id twice`);
  }

  t.comment("the log alone, run again into an empty store");
  const whole = await settledSums(millrace, true);
  await removeSnapshots(millrace);
  await millrace.killTree();
  await cp(join(killed, "nats"), join(again, "nats"), {
    recursive: true,
    filter: (path) => !/\.(ports|conf|json)$/.test(path) || path.includes("jetstream"),
  });
  millrace = await startMillrace(again, ["--no-replay", "--rebase", "none"]);
  await waitFor(SETTLED_MS, async () => {
    if (JSON.stringify(await tableSums(millrace, { whole: true })) === JSON.stringify(whole)) return true;
    await delay(1_000); // every row of every table: not over and over beside the work that is waited for
    return undefined;
  }).catch(() => undefined);
  t.same(
    await tableSums(millrace, { whole: true }),
    whole,
    "every table byte for byte, arrival columns and plans included",
  );
  await millrace.stop();
});

/** Sinks may still be writing when the counts agree: the sums stand still for a second. */
async function settledSums(millrace: RunningMillrace, whole: boolean): Promise<TableSums> {
  let before = "";
  return waitFor(60_000, async () => {
    const sums = await tableSums(millrace, { whole });
    const same = JSON.stringify(sums) === before;
    before = JSON.stringify(sums);
    if (same) return sums;
    await delay(1_000);
    return undefined;
  });
}

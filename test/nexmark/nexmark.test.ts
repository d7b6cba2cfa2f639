import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { duckdbOracle } from "../../bench/nexmark/oracle.js";
import { type Duckdb, loadDuckdb, writeNexmark } from "../bench/support/nexmark.js";
import { runNexmark } from "./run.js";

/** One or two of each group; `npm run test:nexmark` runs all of them over a longer file. */
const QUERIES = ["q2", "q5", "q8", "q11", "q16", "q20"];
const INPUT = { events: 12_000, seed: 11, ratePerS: 1_000 };

t.setTimeout(400_000);
const duckdb = await loadDuckdb();
const skip = duckdb === undefined ? "@duckdb/node-api is not installed" : false;
const directory = mkdtempSync(join(tmpdir(), "millrace-nexmark-"));
t.teardown(() => rmSync(directory, { recursive: true }));

for (const partitions of [1, 2, 3]) {
  t.test(`Nexmark through a real log, ${partitions} partitions, a kill in the middle`, { skip }, async (t) => {
    const oracle = await duckdbOracle(duckdb as Duckdb, writeNexmark(join(directory, "input.ndjson"), INPUT));
    const run = await runNexmark({ partitions, queries: QUERIES, input: INPUT, killAt01: 0.5 });
    for (const query of QUERIES) t.equal(run.answers[query], await oracle.answer(query), query);
    t.equal(run.idsTwice, 0, `${run.rows} rows, no id twice`);
    t.ok(run.rowsAtKill > 0, `killed when ${run.rowsAtKill} messages of rows were there`);
  });
}

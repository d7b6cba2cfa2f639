// npm run test:nexmark -- [--events N] [--partitions 1,2,3] [--seed N]: every Nexmark query through a real log, with a kill in the
// middle, against DuckDB over the same file.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { duckdbOracle } from "../../bench/nexmark/oracle.js";
import { loadDuckdb, writeNexmark } from "../bench/support/nexmark.js";
import { GROUPS } from "./groups.js";
import { runNexmark } from "./run.js";

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "60000" },
    partitions: { type: "string", default: "1,2,3" },
    seed: { type: "string", default: "1" },
  },
});
const duckdb = await loadDuckdb();
if (duckdb === undefined) throw new Error("the oracle is DuckDB: @duckdb/node-api is not installed");
const queries = GROUPS.flatMap(({ queries }) => queries);
const input = { events: Number(values.events), seed: Number(values.seed), ratePerS: 1_000 };
const directory = mkdtempSync(join(tmpdir(), "millrace-nexmark-"));
let wrong = 0;
try {
  const oracle = await duckdbOracle(duckdb, writeNexmark(join(directory, "input.ndjson"), input));
  for (const partitions of values.partitions.split(",").map(Number)) {
    const startedMs = performance.now();
    const run = await runNexmark({ partitions, queries, input, killAt01: 0.5 });
    for (const query of queries) {
      const expected = await oracle.answer(query);
      if (run.answers[query] === expected) continue;
      wrong++;
      process.stdout.write(`${query}, ${partitions} partitions: ${run.answers[query]}, DuckDB says ${expected}\n`);
    }
    wrong += run.idsTwice;
    const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
    process.stdout.write(
      `${partitions} partitions: ${queries.length} queries, ${run.rows} rows, ${run.idsTwice} ids twice, killed at ${run.rowsAtKill} messages of rows, ${seconds} s\n`,
    );
  }
} finally {
  rmSync(directory, { recursive: true });
}
process.stdout.write(wrong === 0 ? "every answer equals DuckDB's\n" : `${wrong} differences\n`);
process.exitCode = wrong === 0 ? 0 : 1;

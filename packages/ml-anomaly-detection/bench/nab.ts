/**
 * Scores every series of a folder laid out like the Numenta Anomaly Benchmark, causally and without labels.
 *
 *   node dist/bench/nab.js --data DIR --out DIR [--detector auto]
 *
 * Writes OUT/<category>/<series>.csv with timestamp,value,anomaly_score and prints one JSON object.
 * The alarm threshold is frozen in nab-threshold.json; this script reads it only to print it.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { columnOf, numberOf, readTable, timeOf } from "../src/cli/csv.js";
import { csvFiles, writeLines } from "./folder.js";
import { NAB_DETECTORS, nabScores } from "./nab-run.js";

const { values: args } = parseArgs({
  options: { data: { type: "string" }, out: { type: "string" }, detector: { type: "string", default: "auto" } },
});
const make = NAB_DETECTORS[args.detector];
if (args.data === undefined || args.out === undefined || make === undefined) {
  console.error(`usage: bench:nab -- --data DIR --out DIR [--detector ${Object.keys(NAB_DETECTORS).join("|")}]`);
  process.exit(2);
}

let rows = 0;
let ms = 0;
const files = csvFiles(args.data);
for (const { path, name } of files) {
  const table = readTable(path);
  const [at, of] = [columnOf(table, "timestamp"), columnOf(table, "value")];
  const values = table.rows.map((row) => numberOf(row[of]));
  const timesMs = table.rows.map((row) => timeOf(row[at] as string));
  const startMs = performance.now();
  const scores = nabScores(make, values, timesMs);
  ms += performance.now() - startMs;
  rows += values.length;
  const lines = table.rows.map((row, i) => `${row[at]},${row[of]},${scores[i]}`);
  writeLines(join(args.out, name), ["timestamp,value,anomaly_score", ...lines]);
}
const frozen = JSON.parse(readFileSync(new URL("../../nab-threshold.json", import.meta.url), "utf8")) as {
  standard: number;
};
console.log(
  JSON.stringify({
    bench: "nab",
    detector: args.detector,
    files: files.length,
    rows,
    rowsPerSecond: Math.round((rows / ms) * 1000),
    threshold: frozen.standard,
    out: args.out,
    node: process.version,
  }),
);

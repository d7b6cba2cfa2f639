/**
 * Scores every run of a folder laid out like the Skoltech Anomaly Benchmark: rows 1-400 are learned, the rest scored
 * one by one. Reads the eight sensor columns only, never labels, row numbers or times.
 *
 *   node dist/bench/skab.js --data DIR --out DIR [--detector auto]
 *
 * Writes OUT/<group>/<n>.csv with datetime,anomaly_score (alarm at >= 0.5) and prints one JSON object.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { columnOf, numberOf, readTable } from "../src/cli/csv.js";
import { csvFiles, writeLines } from "./folder.js";
import { SKAB_DETECTORS, SKAB_SENSORS, skabScores } from "./skab-run.js";

const { values: args } = parseArgs({
  options: { data: { type: "string" }, out: { type: "string" }, detector: { type: "string", default: "auto" } },
});
const make = SKAB_DETECTORS[args.detector];
if (args.data === undefined || args.out === undefined || make === undefined) {
  console.error(`usage: bench:skab -- --data DIR --out DIR [--detector ${Object.keys(SKAB_DETECTORS).join("|")}]`);
  process.exit(2);
}

let rows = 0;
let ms = 0;
const files = csvFiles(args.data);
for (const { path, name } of files) {
  const table = readTable(path);
  const at = columnOf(table, "datetime");
  const columns = SKAB_SENSORS.map((sensor) => columnOf(table, sensor));
  const inputs = table.rows.map((row) => Float64Array.from(columns, (column) => numberOf(row[column])));
  const startMs = performance.now();
  const scores = skabScores(make, inputs);
  ms += performance.now() - startMs;
  rows += inputs.length;
  writeLines(join(args.out, name), [
    "datetime,anomaly_score",
    ...table.rows.map((row, i) => `${row[at]},${scores[i]}`),
  ]);
}
console.log(
  JSON.stringify({
    bench: "skab",
    detector: args.detector,
    files: files.length,
    rows,
    rowsPerSecond: Math.round((rows / ms) * 1000),
    threshold: 0.5,
    out: args.out,
    node: process.version,
  }),
);

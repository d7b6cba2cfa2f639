/**
 * Event F1 of autoDetector on generated anomalies, by kind, against the stored baseline.
 *
 *   node dist/bench/generated.js [--write]      prints one JSON object; --write stores it as bench/generated-baseline.json
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { eventScoresOf } from "./generated-run.js";
import { KINDS } from "./generator.js";

const SEEDS = 12;
const { values: args } = parseArgs({ options: { write: { type: "boolean", default: false } } });
const path = new URL("../../bench/generated-baseline.json", import.meta.url);
const kinds = Object.fromEntries(KINDS.map((kind) => [kind, eventScoresOf(kind, SEEDS)]));
if (args.write) writeFileSync(path, `${JSON.stringify({ seeds: SEEDS, kinds }, null, 2)}\n`);
const baseline = JSON.parse(readFileSync(path, "utf8")) as { kinds: typeof kinds };
const regressed = KINDS.filter((kind) => (kinds[kind]?.f1 ?? 0) < (baseline.kinds[kind]?.f1 ?? 0) - 1e-9);
console.log(JSON.stringify({ bench: "generated", seeds: SEEDS, kinds, regressed }));
process.exitCode = regressed.length > 0 ? 1 : 0;

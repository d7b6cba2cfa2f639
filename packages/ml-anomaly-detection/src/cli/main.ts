#!/usr/bin/env node
import { parseArgs } from "node:util";
import { AnomalyError } from "../core/errors.js";
import { readTable } from "./csv.js";
import { DETECTORS } from "./detectors.js";
import { scoreTable } from "./score.js";

const USAGE = `usage: ml-anomaly-detection score --csv FILE [--detector NAME] [--columns A,B] [--time COLUMN] [--alarms]

Prints FILE (comma or semicolon separated, gzipped or not) with anomaly_score and alarm added to each row.
  --detector  ${Object.keys(DETECTORS).join(", ")} (default auto)
  --columns   columns to read; default: all that hold numbers
  --time      column with the time; default: timestamp, datetime, time or ts
  --alarms    print the alarms only, each with the reason
Scores are in (0, 1); an alarm is above 0.5; empty while warming up.`;

function main(argv: string[]): number {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      csv: { type: "string" },
      detector: { type: "string", default: "auto" },
      columns: { type: "string" },
      time: { type: "string" },
      alarms: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help || positionals[0] !== "score" || values.csv === undefined) {
    (values.help ? console.log : console.error)(USAGE);
    return values.help ? 0 : 2;
  }
  const table = readTable(values.csv);
  const { rows } = scoreTable(table, {
    detector: values.detector,
    ...(values.columns === undefined ? {} : { columns: values.columns.split(",") }),
    ...(values.time === undefined ? {} : { time: values.time }),
  });
  const lines = rows.flatMap(({ score, alarm, why }, i) => {
    if (values.alarms && !alarm) return [];
    const added = values.alarms ? [score ?? "", JSON.stringify(why ?? "")] : [score ?? "", alarm ? 1 : 0];
    return [[...(table.rows[i] as readonly string[]), ...added].join(",")];
  });
  const added = values.alarms ? ["anomaly_score", "reason"] : ["anomaly_score", "alarm"];
  process.stdout.write(`${[[...table.header, ...added].join(","), ...lines].join("\n")}\n`);
  return 0;
}

try {
  process.exitCode = main(process.argv.slice(2));
} catch (error) {
  // What the user can mend is said plainly; anything else is a fault of ours and keeps its trace.
  const mine = error instanceof AnomalyError || (error instanceof Error && "code" in error);
  if (!mine) throw error;
  console.error(`ml-anomaly-detection: ${(error as Error).message}`);
  process.exitCode = 2;
}

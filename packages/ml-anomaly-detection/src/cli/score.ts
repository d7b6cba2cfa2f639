import type { AutoDetector } from "../auto/auto-detector.js";
import { AnomalyError } from "../core/errors.js";
import { numberOf, type Table, timeOf } from "./csv.js";
import { DETECTORS } from "./detectors.js";

export interface ScoreOptions {
  /** A name in `DETECTORS`. */
  detector: string;
  /** Columns to read; absent: every column whose first row is a number, but not the time. */
  columns?: readonly string[];
  /** Column with the time; absent: `timestamp`, `datetime`, `time` or `ts` if there is one. */
  time?: string;
}

export interface ScoredRow {
  /** Calibrated score; `undefined` while warming up. */
  readonly score: number | undefined;
  readonly alarm: boolean;
  /** One sentence, for an alarm of a detector that explains itself. */
  readonly why: string | undefined;
}

/** Scores a table from its first row to its last. Errors: AD_OPTION_INVALID, AD_INPUT_INVALID. */
export function scoreTable(table: Table, options: ScoreOptions): { columns: readonly string[]; rows: ScoredRow[] } {
  const make = DETECTORS[options.detector];
  if (make === undefined)
    throw new AnomalyError(
      "AD_OPTION_INVALID",
      `no detector ${options.detector}; there are ${Object.keys(DETECTORS).join(", ")}`,
    );
  const time = timeColumn(table, options.time);
  const columns = options.columns ?? table.header.filter((_, i) => i !== time && isNumeric(table, i));
  if (columns.length === 0) throw new AnomalyError("AD_INPUT_INVALID", "no column holds numbers");
  const at = columns.map((name) => {
    const index = table.header.indexOf(name);
    if (index < 0)
      throw new AnomalyError("AD_INPUT_INVALID", `no column ${name}; there are ${table.header.join(", ")}`);
    return index;
  });
  const detector = make(columns);
  const row = new Float64Array(columns.length);
  const rows = table.rows.map((cells): ScoredRow => {
    for (let i = 0; i < at.length; i++) row[i] = numberOf(cells[at[i] as number]);
    const timeMs = time < 0 ? undefined : timeOf(cells[time] ?? "");
    return scoreRow(detector as AutoDetector, row, timeMs === undefined || Number.isNaN(timeMs) ? undefined : timeMs);
  });
  return { columns, rows };
}

/** Detectors that do not take a time ignore it. */
function scoreRow(detector: AutoDetector, row: Float64Array, timeMs: number | undefined): ScoredRow {
  const before = detector.scoreOne(row, timeMs);
  const alarm = before !== undefined && before > 0.5;
  const why = alarm && typeof detector.describe === "function" ? detector.describe(row, timeMs) : undefined;
  const score = detector.process(row, timeMs);
  return { score, alarm, why };
}

function timeColumn(table: Table, name: string | undefined): number {
  if (name === undefined) return table.header.findIndex((column) => /^(timestamp|datetime|time|ts)$/i.test(column));
  const at = table.header.indexOf(name);
  if (at < 0) throw new AnomalyError("AD_INPUT_INVALID", `no column ${name}; there are ${table.header.join(", ")}`);
  return at;
}

function isNumeric(table: Table, column: number): boolean {
  const first = table.rows[0]?.[column];
  return first !== undefined && first !== "" && Number.isFinite(Number(first));
}

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { AnomalyError } from "../core/errors.js";

/** A table of text cells, by column. */
export interface Table {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Reads a CSV file, gzipped or not, separated by commas or semicolons; no quoting (numbers and timestamps need none). */
export function readTable(path: string): Table {
  const raw = readFileSync(path);
  const text = (raw[0] === 0x1f && raw[1] === 0x8b ? gunzipSync(raw) : raw).toString("utf8");
  const lines = text.split(/\r?\n/).filter((line) => line !== "");
  const separator = (lines[0] ?? "").includes(";") ? ";" : ",";
  const [header = [], ...rows] = lines.map((line) => line.split(separator).map((cell) => cell.trim()));
  return { header, rows };
}

/** Index of the first of `names` the table has. Errors: AD_INPUT_INVALID when it has none. */
export function columnOf(table: Table, ...names: string[]): number {
  for (const name of names) {
    const at = table.header.indexOf(name);
    if (at >= 0) return at;
  }
  throw new AnomalyError("AD_INPUT_INVALID", `needs a column ${names.join(" or ")}, has ${table.header.join(", ")}`);
}

/** ms since the epoch of an ISO-like timestamp, taken as UTC unless it names a zone, or of an integer of ms; NaN else. */
export function timeOf(text: string): number {
  if (/^-?\d+$/.test(text)) return Number(text);
  const iso = text.replace(" ", "T");
  return Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(iso) ? iso : `${iso}${iso.includes("T") ? "Z" : ""}`);
}

/** A finite number, or NaN for anything else: missing. */
export function numberOf(text: string | undefined): number {
  return text === undefined || text === "" ? Number.NaN : Number(text);
}

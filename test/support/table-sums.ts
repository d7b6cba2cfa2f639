import { RESULT_TABLES } from "../../src/sinks/index.js";
import type { RunningMillrace } from "./millrace.js";

const SMALL_ROWS = 2_000;

/** Rows and two order-independent sums over their text, by table. */
export type TableSums = Readonly<Record<string, readonly unknown[]>>;

/** `whole`: every column; otherwise without the arrival columns, whose names begin with `_`. */
export async function tableSums(running: RunningMillrace, { whole }: { whole: boolean }): Promise<TableSums> {
  const sums: Record<string, readonly unknown[]> = {};
  for (const { name } of RESULT_TABLES) {
    const columns = whole ? "*" : "* EXCEPT '^_'";
    const rows = await running.query(
      `SELECT count(), toString(sum(h)), toString(groupBitXor(h)) FROM (SELECT cityHash64(toString(tuple(${columns}))) AS h FROM ${name})`,
    );
    sums[name] = rows[0] ?? [];
  }
  return sums;
}

/** The rows of the small tables, as text without arrival columns: to say what differs when a sum does. */
export async function smallTables(
  running: RunningMillrace,
  sums: TableSums,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const tables = new Map<string, readonly string[]>();
  for (const [name, [rows]] of Object.entries(sums)) {
    if (Number(rows) > SMALL_ROWS) continue;
    const answer = await running.query(`SELECT * EXCEPT '^_' FROM ${name} ORDER BY ALL`);
    tables.set(
      name,
      answer.map((row) => JSON.stringify(row)),
    );
  }
  return tables;
}

/** What only one of two lists has, at most ten of each. */
export function differences(before: readonly string[] = [], after: readonly string[] = []): readonly string[] {
  const [had, has] = [new Set(before), new Set(after)];
  const gone = before.filter((row) => !has.has(row)).slice(0, 10);
  const come = after.filter((row) => !had.has(row)).slice(0, 10);
  return [...gone.map((row) => `- ${row}`), ...come.map((row) => `+ ${row}`)];
}

import { RESULT_TABLES } from "../../src/sinks/index.js";
import type { RunningMillrace } from "./millrace.js";

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

/** What differs between two runs in one table, for the failure message: rows of either side that the other lacks. */
export async function sampleRows(running: RunningMillrace, table: string, limit: number): Promise<unknown[][]> {
  return running.query(`SELECT * EXCEPT '^_' FROM ${table} ORDER BY ALL LIMIT ${limit}`);
}

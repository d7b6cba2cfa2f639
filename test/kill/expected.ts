import { DuckDBInstance } from "@duckdb/node-api";
import { WINDOW_MS } from "./topologies.js";

/** What must stand in the tables after a round. */
export interface Rows {
  readonly readings: number;
  readonly late: number;
  /** `stage unit startMs events total`, sorted: the rows of the windows themselves, of both stages. */
  readonly windows: readonly string[];
}

/** Computed by DuckDB from the input file alone. */
export async function expectedRows(path: string): Promise<Rows> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    const columns = "{id: 'VARCHAR', unit: 'VARCHAR', ts: 'BIGINT', v: 'BIGINT', late: 'BOOLEAN'}";
    const file = `read_json('${path}', format = 'newline_delimited', columns = ${columns})`;
    await connection.run(`CREATE TABLE once AS SELECT DISTINCT id, unit, ts, v, late FROM ${file}`);
    const read = async (sql: string) => (await connection.runAndReadAll(sql)).getRows();
    const [counts] = await read("SELECT count(*), count(*) FILTER (WHERE late) FROM once");
    const windows = await read(
      `SELECT unit, ts // ${WINDOW_MS} * ${WINDOW_MS} AS s, count(*), sum(v) FROM once WHERE NOT late GROUP BY unit, s`,
    );
    return {
      readings: Number(counts?.[0]),
      late: Number(counts?.[1]),
      windows: ["first", "second"].flatMap((stage) => windows.map((row) => `${stage} ${row.join(" ")}`)).sort(),
    };
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

import type { MillraceError, Sink } from "../../core/index.js";
import { type FormerBlock, tokensOf } from "./announcer.js";
import type { Clickhouse } from "./connect.js";
import { addMissingColumns, type DdlOptions, ddl, onCluster, quoteText, structureOf, tableName } from "./ddl.js";
import { translate } from "./errors.js";
import { TABLES, type Table, tableNamed, writtenColumns } from "./tables.js";

/** A row the database cannot take, and why. */
export interface BadRow {
  /** Place in the array that was checked. */
  readonly at: number;
  readonly reason: string;
}

/** What the writer needs beyond the core's port. */
export interface TableSink extends Sink {
  /** Rows stored for `table` from this log, of the messages `from` to `to` if they are given. */
  count(table: string, incarnation: string, messages?: { readonly from: number; readonly to: number }): Promise<number>;
  /**
   * Finds the rows `write` refuses, without writing any; none when it would take them all. Costs one parse of all rows, and a
   * logarithmic number more for each bad one. Rejects with MR_SINK_UNAVAILABLE.
   */
  check(table: string, rows: readonly object[]): Promise<readonly BadRow[]>;
  /** The position up to which every table of `stream` was complete when it was last saved; 0 when it never was. */
  progress(stream: string, incarnation: string): Promise<number>;
  saveProgress(stream: string, incarnation: string, sequence: number): Promise<void>;
  /** Takes a block that may still be on its way for a repetition when it arrives. Leaves a row for `forget`. Safe to repeat. */
  refuse(table: string, block: FormerBlock): Promise<void>;
  /** Removes the rows of incarnations that a repartition has replaced: what they say is computed again. Safe to repeat. */
  forget(table: string, incarnations: readonly string[]): Promise<void>;
}

export type ClickhouseSinkOptions = Omit<DdlOptions, "database">;

/**
 * JSONCompactEachRow is as fast as TSV (0.45 M rows/s against 0.31 M for JSONEachRow, embedded) and keeps the escaping of JSON.
 */
const FORMAT = "JSONCompactEachRow";
const ROW_SETTINGS = {
  async_insert: 0, // on by default in newer servers: would acknowledge blocks in another grouping than ours
  insert_deduplicate: 1,
  input_format_null_as_default: 0, // a missing value is a fault to report, not a zero to store
} as const;

/** Results in ClickHouse tables. Does not own `clickhouse`: whoever connected closes it after the sink. */
export function createClickhouseSink(clickhouse: Clickhouse, options: ClickhouseSinkOptions = {}): TableSink {
  const { client, database, place } = clickhouse;
  const ddlOptions: DdlOptions = { ...options, database };
  /** On a cluster another replica may answer: it must have seen every acknowledged block before it says how far we are. */
  const readSettings = options.cluster === undefined ? {} : { select_sequential_consistency: "1" as const };

  async function attempt<T>(what: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw translate(error, `${what} at ${place}`);
    }
  }

  async function number(what: string, query: string): Promise<number> {
    return attempt(what, async () => {
      const answer = await client.query({ query, format: "JSONCompactEachRow", clickhouse_settings: readSettings });
      const [row] = await answer.json<[number | string]>();
      return Number(row?.[0] ?? 0);
    });
  }

  async function insert(
    target: string,
    table: Table,
    rows: readonly object[],
    settings: Record<string, string | number>,
    names = writtenColumns(table).map(({ name }) => name),
  ) {
    const lines = rows.map((row) => names.map((name) => (row as Record<string, unknown>)[name] ?? null));
    await client.insert({
      table: target,
      columns: names.map((name) => `\`${name}\``) as [string, ...string[]],
      values: lines,
      format: FORMAT,
      clickhouse_settings: { ...ROW_SETTINGS, ...settings },
    });
  }

  async function columnsByTable(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
    const answer = await client.query({
      query: `SELECT table, groupArray(name) AS names FROM system.columns WHERE database = ${quoteText(database)} GROUP BY table`,
      format: "JSONEachRow",
    });
    const rows = await answer.json<{ table: string; names: string[] }>();
    return new Map(rows.map(({ table, names }) => [table, new Set(names)]));
  }

  const self: TableSink = {
    async open() {
      await attempt("creating tables", async () => {
        const before = await columnsByTable();
        // Looking first: statements that change nothing still cost a lock each, or a round over the whole cluster.
        if (TABLES.some(({ name }) => !before.has(name)))
          for (const query of ddl(ddlOptions)) await client.command({ query });
        for (const table of TABLES) {
          const existing = before.get(table.name);
          if (!existing) continue;
          for (const query of addMissingColumns(table, existing, ddlOptions)) await client.command({ query });
        }
      });
    },

    position: (name, incarnation) =>
      number(
        `reading the position of ${name}`,
        `SELECT max(_seq) FROM ${tableName(database, tableNamed(name))} WHERE _incarnation = ${quoteText(incarnation)}`,
      ),

    count(name, incarnation, messages) {
      const counted = `SELECT count() FROM ${tableName(database, tableNamed(name))} WHERE _incarnation = ${quoteText(incarnation)}`;
      const which = messages === undefined ? "" : ` AND _seq BETWEEN ${messages.from} AND ${messages.to}`;
      return number(`counting ${name}`, counted + which);
    },

    async write(name, rows, token) {
      if (rows.length === 0) return;
      const table = tableNamed(name);
      await attempt(`writing ${rows.length} rows to ${name} as block ${token}`, () =>
        insert(tableName(database, table), table, rows, { insert_deduplication_token: token }),
      );
    },

    async check(name, rows) {
      const table = tableNamed(name);
      // Reads rows exactly as the table would, and forgets them.
      const nowhere = `FUNCTION null(${quoteText(structureOf(table))})`;
      const bad: BadRow[] = [];
      const halve = async (from: number, to: number): Promise<void> => {
        if (from >= to) return;
        const reason = await attempt(`checking rows for ${name}`, () =>
          insert(nowhere, table, rows.slice(from, to), {}),
        ).then(
          () => undefined,
          (error: MillraceError) => {
            if (error.code !== "MR_EVENT_MALFORMED") throw error;
            return error.message;
          },
        );
        if (reason === undefined) return;
        if (to - from === 1) {
          bad.push({ at: from, reason });
          return;
        }
        const middle = (from + to) >> 1;
        await halve(from, middle);
        await halve(middle, to);
      };
      await halve(0, rows.length);
      return bad;
    },

    progress: (stream, incarnation) =>
      number(
        `reading the progress of ${stream}`,
        `SELECT max(sequence) FROM ${tableName(database, tableNamed("sink_progress"))} ` +
          `WHERE stream = ${quoteText(stream)} AND incarnation = ${quoteText(incarnation)}`,
      ),

    async saveProgress(stream, incarnation, sequence) {
      const table = tableNamed("sink_progress");
      await attempt(`saving the progress of ${stream}`, () =>
        insert(tableName(database, table), table, [{ stream, incarnation, sequence }], {
          insert_deduplication_token: `sink_progress/${stream}/${incarnation}/${sequence}`,
        }),
      );
    },

    async refuse(name, block) {
      const table = tableNamed(name);
      for (const token of tokensOf(name, block))
        await attempt(`refusing block ${token}`, () =>
          insert(
            tableName(database, table),
            table,
            [{ _incarnation: block.incarnation }],
            { insert_deduplication_token: token },
            ["_incarnation"], // everything else as it is by default
          ),
        );
    },

    async forget(name, incarnations) {
      if (incarnations.length === 0) return;
      const table = tableName(database, tableNamed(name));
      const where = `_incarnation IN (${incarnations.map(quoteText).join(", ")})`;
      const what = `removing rows of former layouts from ${name}`;
      if ((await number(what, `SELECT count() FROM ${table} WHERE ${where}`)) === 0) return;
      const query = `ALTER TABLE ${table}${onCluster(ddlOptions)} DELETE WHERE ${where}`;
      await attempt(what, () => client.command({ query, clickhouse_settings: { mutations_sync: "2" } }));
    },

    close: async () => undefined, // nothing is buffered here; the connection belongs to whoever made it
  };
  return self;
}

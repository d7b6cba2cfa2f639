import { type Column, TABLES, type Table, writtenColumns } from "./tables.js";

export interface DdlOptions {
  readonly database: string;
  /** Name of the cluster all statements run on, with replicated engines; undefined: one server. */
  readonly cluster?: string;
  /** True: a block is on disk before it is acknowledged (survives a power cut, not only a crash). Costs a sync an insert. */
  readonly durable?: boolean;
}

/**
 * Blocks whose tokens a table remembers. A retry repeats the last block or two, so a small window would do; 1,000 costs some
 * 100 KB a table. The default of a plain MergeTree is 0: tokens would be ignored.
 */
const DEDUPLICATION_WINDOW_BLOCKS = 1_000;

/** Statements that make an empty database ready; repeating them changes nothing. One statement an item. */
export function ddl(options: DdlOptions): readonly string[] {
  const everywhere = onCluster(options);
  return [
    `CREATE DATABASE IF NOT EXISTS ${quoteName(options.database)}${everywhere}`,
    ...TABLES.map((table) => createTable(table, options, everywhere)),
  ];
}

/** Adds columns that a table made by an older build lacks. `existing`: names of the columns it has. */
export function addMissingColumns(table: Table, existing: ReadonlySet<string>, options: DdlOptions): readonly string[] {
  const everywhere = onCluster(options);
  return table.columns
    .filter(({ name }) => !existing.has(name))
    .map(
      (column) =>
        `ALTER TABLE ${tableName(options.database, table)}${everywhere} ADD COLUMN IF NOT EXISTS ${columnSql(column)}`,
    );
}

/** Ends the head of a statement that all servers of a cluster run. */
export function onCluster({ cluster }: DdlOptions): string {
  return cluster === undefined ? "" : ` ON CLUSTER ${quoteName(cluster)}`;
}

export function tableName(database: string, table: Table): string {
  return `${quoteName(database)}.${quoteName(table.name)}`;
}

/** `name Type, …` of the columns a row brings: what a table function needs to read rows as the table would. */
export function structureOf(table: Table): string {
  return writtenColumns(table)
    .map(({ name, type }) => `${quoteName(name)} ${type}`)
    .join(", ");
}

export function quoteName(name: string): string {
  return `\`${name.replaceAll("\\", "\\\\").replaceAll("`", "\\`")}\``;
}

export function quoteText(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

function createTable(table: Table, { database, cluster, durable }: DdlOptions, onCluster: string): string {
  const window = cluster === undefined ? "non_replicated_deduplication_window" : "replicated_deduplication_window";
  const settings = [
    `${window} = ${DEDUPLICATION_WINDOW_BLOCKS}`,
    ...(durable ? ["fsync_after_insert = 1", "fsync_part_directory = 1", "min_rows_to_fsync_after_merge = 1"] : []),
  ];
  return [
    `CREATE TABLE IF NOT EXISTS ${tableName(database, table)}${onCluster}`,
    `(\n${table.columns.map((column) => `    ${columnSql(column)}`).join(",\n")}\n)`,
    `ENGINE = ${cluster === undefined ? table.engine : replicated(table.engine)}`,
    `ORDER BY (${table.orderBy.map(quoteName).join(", ")})`,
    `SETTINGS ${settings.join(", ")}`,
    `COMMENT ${quoteText(table.about)}`,
  ].join("\n");
}

/** `{shard}` and `{replica}` are macros of the server's configuration, `{database}` and `{table}` are built in. */
function replicated(engine: Table["engine"]): string {
  const place = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'";
  return engine === "MergeTree" ? `ReplicatedMergeTree(${place})` : `ReplicatedReplacingMergeTree(${place}, sequence)`;
}

function columnSql({ name, type, unit, about, alias }: Column): string {
  const computed = alias === undefined ? "" : ` ALIAS ${alias}`;
  return `${quoteName(name)} ${type}${computed} COMMENT ${quoteText(unit === "" ? about : `${about} [${unit}]`)}`;
}

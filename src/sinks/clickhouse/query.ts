import { isMillraceError, MillraceError } from "../../core/index.js";
import type { Clickhouse } from "./connect.js";
import { quoteText } from "./ddl.js";
import { firstLine, isServerError, translate } from "./errors.js";
import { refused, refuseUnlessReading } from "./query-guard.js";

export interface QueryLimits {
  /** @default 10_000 */
  readonly maxRows: number;
  /** @default 10 */
  readonly maxSeconds: number;
  /** Size of the result in the server's memory, bytes. @default 16 MiB */
  readonly maxBytes: number;
  /** What the query may use while it runs, bytes; sorting and grouping go to disk from half of it. @default 192 MiB */
  readonly maxMemoryBytes: number;
}

export interface QueryColumn {
  readonly name: string;
  /** ClickHouse type. */
  readonly type: string;
}

export interface QueryResult {
  readonly columns: readonly QueryColumn[];
  /** Values in column order. 64-bit integers are numbers while exact (2^53), text beyond. NaN and infinities are null. */
  readonly rows: readonly (readonly unknown[])[];
  /** True: there were more rows than `maxRows`. */
  readonly truncated: boolean;
  readonly elapsedMs: number;
}

export interface QueryOptions extends Partial<QueryLimits> {
  readonly signal?: AbortSignal;
}

/** Runs one reading statement. See `createQueryRunner`. */
export type RunQuery = (sql: string, options?: QueryOptions) => Promise<QueryResult>;

const DEFAULTS: QueryLimits = {
  maxRows: 10_000,
  maxSeconds: 10,
  maxBytes: 16 * 1024 * 1024,
  maxMemoryBytes: 192 * 1024 * 1024,
};
const MAX_SQL_CHARACTERS = 64 * 1024;
/** The server stops a query at its limit by itself; one that does not is cancelled so much later. */
const GRACE_MS = 1_000;
const SYNTAX_ERROR = "62";
/** At the beginning, where text of the statement cannot stand. */
const MULTI_STATEMENT = /^Syntax error \(Multi-statements are not allowed\)/;
/** What ClickHouse's refusals mean to whoever asked, by error number. */
const REFUSALS: Readonly<Record<string, string>> = {
  159: "it ran longer than allowed. Narrow the time range or aggregate", // TIMEOUT_EXCEEDED
  160: "it would run longer than allowed. Narrow the time range or aggregate", // TOO_SLOW
  164: "it tries to change something. Queries only read", // READONLY
  241: "it needs more memory than allowed. Narrow the time range or aggregate", // MEMORY_LIMIT_EXCEEDED
  394: "it was cancelled", // QUERY_WAS_CANCELLED
  396: "the result is larger than allowed. Select fewer columns or rows", // TOO_MANY_ROWS_OR_BYTES
  497: "it asks for more than the database user may read", // ACCESS_DENIED
  735: "it was cancelled", // QUERY_WAS_CANCELLED_BY_CLIENT
};

/**
 * Read-only SQL for people: `POST /api/v1/query` and `millrace sql`.
 *
 * A statement passes three fences: the server's own parser must find exactly one statement in it; what it printed back must only
 * read tables (query-guard.ts); it runs in read-only mode with limits on rows, time and memory that it cannot change.
 * Errors: MR_REQUEST_INVALID when the statement is not understood or fails (unknown table), MR_QUERY_REFUSED when it would write,
 * reach outside or exceed a limit, MR_SINK_UNAVAILABLE when the database is not there.
 */
export function createQueryRunner(clickhouse: Clickhouse, defaults: Partial<QueryLimits> = {}): RunQuery {
  const { client, place } = clickhouse;
  let tableFunctions: Promise<ReadonlySet<string>> | undefined;

  async function ask(query: string, limits: QueryLimits, signal: AbortSignal): Promise<Answer> {
    const answer = await client.query({
      query,
      format: "JSONCompact",
      abort_signal: signal,
      clickhouse_settings: {
        limit: String(limits.maxRows + 1),
        max_execution_time: limits.maxSeconds,
        timeout_overflow_mode: "throw",
        max_result_bytes: String(limits.maxBytes),
        result_overflow_mode: "throw",
        max_memory_usage: String(limits.maxMemoryBytes),
        max_bytes_before_external_group_by: String(limits.maxMemoryBytes >> 1),
        max_bytes_before_external_sort: String(limits.maxMemoryBytes >> 1),
        max_threads: 2,
        output_format_json_quote_64bit_integers: 1,
        output_format_json_quote_denormals: 0,
        readonly: "1",
      },
    });
    return answer.json<unknown[]>() as Promise<Answer>;
  }

  async function knownTableFunctions(limits: QueryLimits, signal: AbortSignal): Promise<ReadonlySet<string>> {
    tableFunctions ??= ask(
      "SELECT lower(name) FROM system.table_functions",
      { ...DEFAULTS, maxSeconds: limits.maxSeconds },
      signal,
    ).then(({ data }) => new Set(data.map(([name]) => String(name))));
    try {
      return await tableFunctions;
    } catch (error) {
      tableFunctions = undefined; // not for ever because of one bad moment
      throw error;
    }
  }

  return async (sql, { signal, ...own } = {}) => {
    const limits = { ...DEFAULTS, ...defaults, ...own };
    const startedMs = performance.now();
    if (sql.length > MAX_SQL_CHARACTERS) throw refused(`the statement is longer than ${MAX_SQL_CHARACTERS} characters`);
    if (sql.includes("\0")) throw new MillraceError("MR_REQUEST_INVALID", "the statement contains a NUL character");
    const deadline = AbortSignal.timeout(limits.maxSeconds * 1_000 + GRACE_MS);
    const stop = signal ? AbortSignal.any([signal, deadline]) : deadline;
    try {
      const parsed = await ask(`SELECT formatQuerySingleLine(${quoteText(sql)})`, DEFAULTS, stop);
      const statement = String(parsed.data[0]?.[0]);
      refuseUnlessReading(statement, await knownTableFunctions(limits, stop));
      const { meta, data } = await ask(statement, limits, stop);
      const integers = meta.map(({ type }) => /^(?:Nullable\(|LowCardinality\()*U?Int64\)*$/.test(type));
      return {
        columns: meta,
        rows: data
          .slice(0, limits.maxRows)
          .map((row) => row.map((value, at) => (integers[at] ? exactNumber(value) : value))),
        truncated: data.length > limits.maxRows,
        elapsedMs: Math.round(performance.now() - startedMs),
      };
    } catch (error) {
      throw explain(error, stop, place);
    }
  };
}

interface Answer {
  readonly meta: readonly QueryColumn[];
  readonly data: readonly (readonly unknown[])[];
}

function exactNumber(value: unknown): unknown {
  const number = typeof value === "string" ? Number(value) : value;
  return Number.isSafeInteger(number) ? number : value;
}

function explain(error: unknown, stop: AbortSignal, place: string): MillraceError {
  if (isMillraceError(error)) return error;
  if (!isServerError(error)) {
    if (stop.aborted)
      return new MillraceError("MR_QUERY_REFUSED", "the query was stopped: it was cancelled or ran too long", {
        cause: error,
      });
    return translate(error, `querying ClickHouse at ${place}`);
  }
  if (error.code === SYNTAX_ERROR && MULTI_STATEMENT.test(error.message))
    return refused("several statements at once are refused: send one");
  const refusal = REFUSALS[error.code];
  if (refusal !== undefined) {
    return new MillraceError("MR_QUERY_REFUSED", `the query was refused: ${refusal}`, { cause: error });
  }
  const text = firstLine(error).replace(/: In scope SELECT formatQuerySingleLine\(.*$/s, "");
  return new MillraceError("MR_REQUEST_INVALID", `the query failed: ${text}`, { cause: error });
}

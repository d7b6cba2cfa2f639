import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import os from "node:os";
import type { ClickHouseClientConfigOptions, ClickHouseSettings } from "@clickhouse/client";
import type { ChdbConnection } from "chdb/connection";
import { MillraceError } from "../../core/index.js";
import { quoteText } from "./ddl.js";

/** The client's `connection` hook; the client does not export the type. */
export type ClientConnection = NonNullable<ClickHouseClientConfigOptions["connection"]>;

type ChdbSettings = NonNullable<Parameters<ChdbConnection["query"]>[0]["clickhouse_settings"]>;

/** An embedded engine as @clickhouse/client sees a server. */
export interface EmbeddedConnection extends ClientConnection {
  /** Ends everything that runs, waits for it, frees the directory. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * What the engine takes at most. It shares a process with the rest of Millrace: the defaults are those of a server that owns the
 * machine (5 GiB mark cache, 90 % of memory). Given as arguments because they are server settings, which `SET` cannot change.
 */
const ENGINE_ARGUMENTS = [
  `--max_server_memory_usage=${512 * 1024 * 1024}`,
  `--mark_cache_size=${32 * 1024 * 1024}`,
  `--index_mark_cache_size=${8 * 1024 * 1024}`,
  `--primary_index_cache_size=${32 * 1024 * 1024}`,
  `--query_condition_cache_size=${4 * 1024 * 1024}`,
  `--compiled_expression_cache_size=${8 * 1024 * 1024}`,
  "--background_pool_size=1",
  "--max_parts_cleaning_thread_pool_size=2", // 128 threads for removing merged parts by default
];

/** Native calls run on libuv's four threads, which file and DNS work needs too: one for inserts, two for queries, one is left. */
const MAX_QUERIES_AT_ONCE = 2;
const MAX_QUERIES_WAITING = 32;
/** After this a query that should have been cancelled is left to itself: the engine looks for a cancellation between blocks. */
const CLOSE_WAIT_MS = 1_500;

/**
 * Opens, or creates, a ClickHouse data directory inside this process (chdb).
 *
 * `chdb/connection` fits the client's hook, with gaps that are closed here:
 * - It turns settings into `SET` statements on its one session, where they stay: a deduplication token would leak into the next
 *   insert, and `readonly = 1` could never be taken back. Inserts get a `SETTINGS` clause instead; every query gets a session of
 *   its own (1 ms), so settings hold for one request, as over HTTP.
 * - It ignores the client's `database`.
 * - An abort rejects early but the engine goes on computing: here it is killed as well.
 * - It has no engine arguments: a session that only keeps the engine open brings them.
 * - Inserts on one session would queue inside libuv's threads: they queue here.
 *
 * One process can have a directory open, and one directory be open in a process.
 * Errors: MR_SINK_UNAVAILABLE when the directory is in use or unreadable; MR_BINARY_MISSING when chdb is not installed or has no
 * build for this platform.
 */
export async function openEmbedded(options: { path: string; database: string }): Promise<EmbeddedConnection> {
  const { Session, drainPending, createChdbConnection } = await loadChdb();
  const { path, database } = options;
  let keeper: InstanceType<typeof Session>;
  try {
    keeper = new Session(path, { connectionArgs: ENGINE_ARGUMENTS });
  } catch (cause) {
    const hint = "Another process may have it open: stop that one, or choose another directory.";
    throw new MillraceError("MR_SINK_UNAVAILABLE", `opening embedded ClickHouse in ${path} failed. ${hint}`, { cause });
  }
  await keeper.queryAsync(`CREATE DATABASE IF NOT EXISTS ${database}`); // sessions begin with USE
  const writer = createChdbConnection({ path });
  const writes = turnstile(1, Number.POSITIVE_INFINITY);
  const queries = turnstile(MAX_QUERIES_AT_ONCE, MAX_QUERIES_WAITING);
  let closing: Promise<void> | undefined;

  const open = () => {
    if (closing !== undefined)
      throw new MillraceError("MR_SINK_UNAVAILABLE", `embedded ClickHouse in ${path} is closed`);
  };
  const kill = (condition: string) =>
    keeper.queryAsync(`KILL QUERY WHERE ${condition} ASYNC`, { format: "Null" }).then(
      () => undefined,
      () => undefined, // it ended by itself
    );

  /** Runs `use` on a session of its own; an abort kills what runs there. */
  async function isolated<T>(
    settings: ClickHouseSettings | undefined,
    signal: AbortSignal | undefined,
    use: (connection: ChdbConnection, settings: ChdbSettings) => Promise<T>,
  ): Promise<T> {
    open();
    signal?.throwIfAborted();
    const mark = randomUUID();
    const connection = createChdbConnection({ path });
    const onAbort = () => void kill(`Settings['log_comment'] = ${quoteText(mark)}`);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      await connection.command({ query: `USE ${database}` });
      return await use(connection, readonlyLast({ ...settings, log_comment: mark }));
    } finally {
      signal?.removeEventListener("abort", onAbort);
      await connection.close();
    }
  }

  return {
    async query({ abort_signal: signal, clickhouse_settings: settings, ...params }) {
      return queries(() =>
        isolated(settings, signal, (connection, own) => connection.query({ ...params, clickhouse_settings: own })),
      );
    },
    async insert({ clickhouse_settings: settings, ...params }) {
      return writes(() => {
        open();
        return writer.insert({ ...params, query: withSettings(params.query, settings) });
      });
    },
    async command({ clickhouse_settings: settings, ...params }) {
      return writes(() =>
        isolated(settings, undefined, (connection, own) => connection.command({ ...params, clickhouse_settings: own })),
      );
    },
    async exec({ clickhouse_settings: settings, ...params }) {
      return writes(() =>
        isolated(settings, undefined, (connection, own) => connection.exec({ ...params, clickhouse_settings: own })),
      );
    },
    async ping({ select }) {
      if (closing !== undefined) return { success: false, error: new Error("closed") };
      return writer.ping({ select });
    },
    close() {
      closing ??= (async () => {
        // A native call cannot be interrupted from outside, and a thread that ends during one takes the process with it.
        await kill("query NOT LIKE 'KILL QUERY%'");
        await writer.close();
        keeper.close();
        await Promise.race([drainPending(), new Promise((resolve) => setTimeout(resolve, CLOSE_WAIT_MS).unref())]);
      })();
      return closing;
    },
  };
}

async function loadChdb() {
  try {
    keepLibraryLoaded();
    const [{ Session, drainPending }, { createChdbConnection }] = await Promise.all([
      import("chdb"),
      import("chdb/connection"),
    ]);
    return { Session, drainPending, createChdbConnection };
  } catch (cause) {
    throw new MillraceError(
      "MR_BINARY_MISSING",
      `loading embedded ClickHouse (chdb) for ${process.platform}-${process.arch} failed. Set CLICKHOUSE_URL to use a server instead.`,
      { cause },
    );
  }
}

/**
 * Loads the addon so that it is never unloaded. Node unloads a worker thread's addons when the thread ends; the engine's own
 * threads still run then, in memory that is gone: a segmentation fault at every exit.
 */
function keepLibraryLoaded(): void {
  const RTLD_NODELETE = { linux: 0x1000, darwin: 0x80 }[process.platform as string];
  if (RTLD_NODELETE === undefined) return;
  const fromHere = createRequire(import.meta.url);
  const platform = process.platform === "linux" ? `linux-${process.arch}-gnu` : `darwin-${process.arch}`;
  const addon = createRequire(fromHere.resolve("chdb")).resolve(`@chdb/lib-${platform}/chdb_node.node`);
  process.dlopen({ exports: {} }, addon, os.constants.dlopen.RTLD_LAZY | RTLD_NODELETE);
}

/** `INSERT INTO t (…) FORMAT F` with the settings as a clause of the statement. */
function withSettings(query: string, settings: ClickHouseSettings = {}): string {
  const assignments = Object.entries(settings)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} = ${typeof value === "string" ? quoteText(value) : Number(value)}`);
  if (assignments.length === 0) return query;
  return query.replace(/ FORMAT (\w+)$/, (_, format) => ` SETTINGS ${assignments.join(", ")} FORMAT ${format}`);
}

/** Settings become `SET` statements in this order, and after `readonly` none is accepted. */
function readonlyLast({ readonly, ...settings }: ClickHouseSettings): ChdbSettings {
  // The same type from two copies of the client's common package.
  return (readonly === undefined ? settings : { ...settings, readonly }) as object as ChdbSettings;
}

/** Lets `width` calls run at a time, in order of arrival. Errors: MR_QUERY_REFUSED when `maxWaiting` are waiting already. */
function turnstile(width: number, maxWaiting: number) {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async <T>(run: () => Promise<T>): Promise<T> => {
    if (running >= width) {
      if (waiting.length >= maxWaiting)
        throw new MillraceError("MR_QUERY_REFUSED", `${maxWaiting} queries are waiting already`);
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else {
      running += 1;
    }
    try {
      return await run();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}

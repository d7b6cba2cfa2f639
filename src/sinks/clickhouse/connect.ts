import { type ClickHouseClient, ClickHouseLogLevel, createClient } from "@clickhouse/client";
import { MillraceError } from "../../core/index.js";
import { openEmbedded } from "./embedded.js";
import { translate } from "./errors.js";

/** Where ClickHouse is: a server, or a directory this process opens itself. */
export type ClickhouseOptions = (
  | {
      /** `http(s)://user:password@host:port/database`; user default, database `millrace` when left out. */
      readonly url: string;
    }
  | {
      /** Directory of the embedded database; created when missing. One process at a time. */
      readonly path: string;
    }
) & {
  /** Longest time for one request, ms. @default 30_000 */
  readonly timeoutMs?: number;
};

/** A connected ClickHouse. The sink and queries use nothing else, so they are the same for a server and the embedded engine. */
export interface Clickhouse {
  readonly kind: "server" | "embedded";
  /** For people, without credentials. */
  readonly place: string;
  readonly database: string;
  readonly version: string;
  /** Its default database is `database`. */
  readonly client: ClickHouseClient;
  /** Within 2 s, whatever is running. Safe to call twice. */
  close(): Promise<void>;
}

/** The client would print every failure to standard output, with its stack; we get the same error thrown. */
const SILENT = { level: ClickHouseLogLevel.OFF };
const DEFAULT_DATABASE = "millrace";

/**
 * Connects and creates the database if it is missing.
 *
 * Errors: MR_OPTION_INVALID for a URL that is none, MR_SINK_UNAVAILABLE when nobody answers, MR_BINARY_MISSING when there is no
 * embedded engine for this platform.
 */
export async function connectClickhouse(options: ClickhouseOptions): Promise<Clickhouse> {
  const timeoutMs = options.timeoutMs ?? 30_000;
  return "url" in options ? connectServer(options.url, timeoutMs) : connectEmbedded(options.path);
}

async function connectServer(text: string, timeoutMs: number): Promise<Clickhouse> {
  const url = serverUrl(text);
  const database = decodeURIComponent(url.pathname.slice(1)) || DEFAULT_DATABASE;
  const place = `${url.protocol}//${url.host}/${database}`;
  if (!/^\w+$/.test(database))
    throw new MillraceError("MR_OPTION_INVALID", `ClickHouse database ${JSON.stringify(database)} is not a name`);
  const common = {
    url: url.origin,
    username: decodeURIComponent(url.username) || "default",
    password: decodeURIComponent(url.password),
    application: "millrace",
    request_timeout: timeoutMs,
    log: SILENT,
  };
  // The database may not exist yet, and a request that names a missing one is refused whatever it asks.
  const setup = createClient({ ...common, database: "default" });
  const { version } = await prepare(setup, database, place).finally(() => setup.close());
  const client = createClient({ ...common, database });
  return { kind: "server", place, database, version, client, close: once(() => client.close()) };
}

async function connectEmbedded(path: string): Promise<Clickhouse> {
  const database = DEFAULT_DATABASE;
  const connection = await openEmbedded({ path, database });
  const client = createClient({ connection, log: SILENT });
  try {
    const { version } = await prepare(client, database, path);
    return { kind: "embedded", place: path, database, version, client, close: once(() => client.close()) };
  } catch (error) {
    await client.close();
    throw error;
  }
}

async function prepare(client: ClickHouseClient, database: string, place: string): Promise<{ version: string }> {
  try {
    await client.command({ query: `CREATE DATABASE IF NOT EXISTS \`${database}\`` });
    const answer = await client.query({ query: "SELECT version() AS version", format: "JSONEachRow" });
    const [row] = await answer.json<{ version: string }>();
    return { version: row?.version ?? "" };
  } catch (error) {
    throw translate(error, `connecting to ClickHouse at ${place}`);
  }
}

function serverUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") return url;
  // The text may hold a password: it is not repeated.
  throw new MillraceError(
    "MR_OPTION_INVALID",
    "the ClickHouse URL must look like http://user:password@host:8123/database",
  );
}

function once(close: () => Promise<void>): () => Promise<void> {
  let closed: Promise<void> | undefined;
  return () => {
    closed ??= close();
    return closed;
  };
}

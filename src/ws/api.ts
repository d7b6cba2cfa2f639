import {
  type HttpReply,
  type HttpRoute,
  isMillraceError,
  jsonReply,
  MillraceError,
  type Stats,
} from "../core/index.js";
import { problem } from "./problem.js";

export interface QueryAnswer {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
  /** True when there were more rows than the limit. */
  readonly truncated: boolean;
  readonly elapsedMs: number;
}

/** Why the process is not ready; empty when it is. */
export type Readiness = readonly string[];

export interface ApiOptions {
  readonly readiness: () => Readiness | Promise<Readiness>;
  readonly stats: () => Stats | Promise<Stats>;
  /** Rejects with MR_QUERY_REFUSED or MR_REQUEST_INVALID. */
  readonly query: (sql: string) => Promise<QueryAnswer>;
  /** Prometheus text. */
  readonly metrics: () => Promise<string>;
}

const MAX_SQL_BYTES = 64 << 10;

/** What the gateway itself offers over HTTP, beside the doors mounted into it. */
export function apiRoutes({ readiness, stats, query, metrics }: ApiOptions): readonly HttpRoute[] {
  return [
    get("/healthz", async () => jsonReply(200, { status: "alive" })),
    get("/livez", async () => jsonReply(200, { status: "alive" })),
    get("/readyz", async () => {
      const reasons = await readiness();
      return jsonReply(reasons.length === 0 ? 200 : 503, { ready: reasons.length === 0, reasons });
    }),
    get("/metrics", async () => ({
      status: 200,
      type: "text/plain; version=0.0.4; charset=utf-8",
      body: await metrics(),
    })),
    get("/api/v1/stats", async () => jsonReply(200, await stats())),
    {
      method: "POST",
      path: "/api/v1/query",
      access: "key",
      needs: "query",
      maxBodyBytes: MAX_SQL_BYTES,
      async handle(request) {
        const { sql, format } = readQuery(request.header("content-type") ?? "", request.body);
        return answerQuery(query, sql, format);
      },
    },
  ];
}

function get(path: string, handle: () => Promise<HttpReply>): HttpRoute {
  return { method: "GET", path, access: "open", maxBodyBytes: 0, handle };
}

type Format = "json" | "csv";

/** `text/plain` is SQL as it stands; anything else is `{"sql": "…", "format"?: "json" | "csv"}`. */
function readQuery(type: string, body: Uint8Array): { sql: string; format: Format } {
  const text = decode(body);
  if (/^text\/plain\b/i.test(type)) return { sql: nonEmpty(text), format: "json" };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new MillraceError(
      "MR_REQUEST_INVALID",
      'the body must be {"sql": "…"}, or SQL with content-type text/plain',
      { cause },
    );
  }
  const { sql, format = "json" } = (value ?? {}) as Record<string, unknown>;
  if (typeof sql !== "string") throw new MillraceError("MR_REQUEST_INVALID", "sql must be a string");
  if (format !== "json" && format !== "csv")
    throw new MillraceError("MR_REQUEST_INVALID", 'format must be "json" or "csv"');
  return { sql: nonEmpty(sql), format };
}

function decode(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch (cause) {
    throw new MillraceError("MR_REQUEST_INVALID", "the body is not UTF-8", { cause });
  }
}

function nonEmpty(sql: string): string {
  if (sql.trim() === "") throw new MillraceError("MR_REQUEST_INVALID", "sql is empty");
  return sql;
}

async function answerQuery(query: ApiOptions["query"], sql: string, format: Format): Promise<HttpReply> {
  try {
    const answer = await query(sql);
    if (format === "json") return jsonReply(200, answer);
    const headers = { "millrace-truncated": String(answer.truncated) };
    return { status: 200, type: "text/csv; charset=utf-8; header=present", headers, body: csv(answer) };
  } catch (error) {
    // Refused queries are the caller's to understand, whatever else the code means elsewhere.
    if (isMillraceError(error, "MR_QUERY_REFUSED")) return problem(403, error.message, { code: error.code });
    throw error;
  }
}

/** RFC 4180: CRLF, and quotes where a field needs them. */
function csv({ columns, rows }: QueryAnswer): string {
  return [columns, ...rows].map((row) => `${row.map(csvField).join(",")}\r\n`).join("");
}

function csvField(value: unknown): string {
  if (value === null || value === undefined) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

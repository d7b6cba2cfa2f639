import type { z } from "zod";
import {
  type HttpReply,
  type HttpRoute,
  isMillraceError,
  jsonReply,
  type Log,
  MillraceError,
  type Stats,
} from "../core/index.js";
import type { MayRead } from "./access/channels.js";
import { problem } from "./problem.js";
import { alertsRoute } from "./rest/alerts.js";
import { commandsRoute } from "./rest/commands.js";
import { describingRoutes } from "./rest/openapi.js";
import { apiPage } from "./rest/page.js";
import { parse, parseBody, queryRequest } from "./rest/schemas.js";

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
  /** What waits for something outside and goes on by itself: a look worth, no reason to send callers elsewhere. @default nothing */
  readonly waits?: () => readonly string[];
  readonly stats: () => Stats | Promise<Stats>;
  /** Rejects with MR_QUERY_REFUSED or MR_REQUEST_INVALID. */
  readonly query: (sql: string) => Promise<QueryAnswer>;
  /** Prometheus text. */
  readonly metrics: () => Promise<string>;
  /** Takes commands. */
  readonly log: Log;
  readonly mayRead: MayRead;
}

const MAX_SQL_BYTES = 64 << 10;

/** What the gateway itself offers over HTTP, beside the doors mounted into it. */
export function apiRoutes({ readiness, waits, stats, query, metrics, log, mayRead }: ApiOptions): readonly HttpRoute[] {
  return [
    get("/healthz", async () => jsonReply(200, { status: "alive" })),
    get("/livez", async () => jsonReply(200, { status: "alive" })),
    get("/readyz", async () => {
      const reasons = await readiness();
      return jsonReply(reasons.length === 0 ? 200 : 503, {
        ready: reasons.length === 0,
        reasons,
        waits: waits?.() ?? [],
      });
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
    alertsRoute(query, mayRead),
    commandsRoute(log),
    ...describingRoutes(apiPage),
  ];
}

function get(path: string, handle: () => Promise<HttpReply>): HttpRoute {
  return { method: "GET", path, access: "open", maxBodyBytes: 0, handle };
}

/** `text/plain` is SQL as it stands; anything else is JSON. */
function readQuery(type: string, body: Uint8Array): z.output<typeof queryRequest> {
  if (!/^text\/plain\b/i.test(type))
    return parseBody(queryRequest, body, "; SQL as it stands goes with content-type text/plain");
  try {
    return parse(queryRequest, { sql: new TextDecoder("utf-8", { fatal: true }).decode(body) });
  } catch (cause) {
    if (cause instanceof TypeError) throw new MillraceError("MR_REQUEST_INVALID", "the body is not UTF-8", { cause });
    throw cause;
  }
}

async function answerQuery(query: ApiOptions["query"], sql: string, format: "json" | "csv"): Promise<HttpReply> {
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

import type { z } from "zod";
import { type Alert, type Caller, formatTime, type HttpRoute, jsonReply, MillraceError } from "../../core/index.js";
import type { QueryAnswer } from "../api.js";
import { problem } from "../problem.js";
import { alertSearch, DOMAINS, parse } from "./schemas.js";

/** Whether the caller may read a channel: a domain of alerts is shown to those who may read `alerts` or `alerts.<domain>`. */
type MayRead = (caller: Caller, channel: string) => boolean;
type Search = z.output<typeof alertSearch>;
type Found = Alert & { readonly id: string };

/** Times as integers: what ClickHouse writes as text depends on its settings. */
const COLUMNS = [
  "_id",
  "fingerprint",
  "revision",
  "state",
  "rule",
  "pipeline",
  "severity",
  "domain",
  "key",
  "labels",
  "title",
  "toUnixTimestamp64Milli(ts)",
  "toUnixTimestamp64Milli(window_start)",
  "toUnixTimestamp64Milli(window_end)",
  "detector",
  "score",
  "value",
  "expected_low",
  "expected_high",
  "_evidence",
];

/**
 * `GET /api/v1/alerts`: the newest revision of each alert, newest first, by page. A cursor holds the place of the last one shown, so
 * pages stay right while alerts arrive; one that changes meanwhile moves to the front and is not shown again behind.
 */
export function alertsRoute(query: (sql: string) => Promise<QueryAnswer>, mayRead: MayRead): HttpRoute {
  return {
    method: "GET",
    path: "/api/v1/alerts",
    access: "key",
    needs: "read",
    maxBodyBytes: 0,
    async handle({ query: parameters, caller }) {
      const search = parse(alertSearch, Object.fromEntries([...parameters].filter(isOurs)));
      const readable = DOMAINS.filter((domain) => mayRead(caller, "alerts") || mayRead(caller, `alerts.${domain}`));
      const domains = search.domain === undefined ? readable : readable.filter((domain) => domain === search.domain);
      if (domains.length === 0)
        return problem(403, `your role may not read alerts of ${search.domain ?? "any domain"}`);
      const { rows } = await query(searchSql(search, domains));
      const alerts = rows.slice(0, search.limit).map(toAlert);
      const last = rows.length > search.limit ? alerts.at(-1) : undefined;
      return jsonReply(200, { alerts, next: last ? cursorOf(last) : null });
    },
  };
}

/** The credential may travel in the address. */
function isOurs([name]: [string, string]): boolean {
  return name !== "key" && name !== "token";
}

/** Text from outside stands in the statement as hexadecimal digits only, so there is nothing to escape. */
export function searchSql(search: Search, domains: readonly string[]): string {
  const { severity, state, from, to, q, limit, cursor } = search;
  const conditions = [
    severity && `severity = ${literal(severity)}`,
    state && `state = ${literal(state)}`,
    from !== undefined && `toUnixTimestamp64Milli(ts) >= ${from}`,
    to !== undefined && `toUnixTimestamp64Milli(ts) < ${to}`,
    q && `(${["title", "key", "rule"].map((column) => contains(column, q)).join(" OR ")})`,
    cursor && beyond(cursor),
  ].filter(Boolean);
  const newest = `SELECT * FROM alerts WHERE domain IN (${domains.map(literal).join(", ")}) ORDER BY fingerprint, revision DESC LIMIT 1 BY fingerprint`;
  const where = conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`;
  return `SELECT ${COLUMNS.join(", ")} FROM (${newest})${where} ORDER BY ts DESC, fingerprint DESC LIMIT ${limit + 1}`;
}

function literal(text: string): string {
  return `unhex('${Buffer.from(text).toString("hex")}')`;
}

function contains(column: string, text: string): string {
  return `positionCaseInsensitiveUTF8(${column}, ${literal(text)}) > 0`;
}

function cursorOf({ ts, fingerprint }: Found): string {
  return Buffer.from(JSON.stringify([Date.parse(ts), fingerprint])).toString("base64url");
}

function beyond(cursor: string): string {
  let place: unknown;
  try {
    place = JSON.parse(Buffer.from(cursor, "base64url").toString());
  } catch {
    place = undefined;
  }
  const [tsMs, fingerprint] = Array.isArray(place) ? place : [];
  if (!Number.isSafeInteger(tsMs) || typeof fingerprint !== "string")
    throw new MillraceError("MR_REQUEST_INVALID", "cursor: must be `next` of the page before");
  return `(toUnixTimestamp64Milli(ts), fingerprint) < (${tsMs}, ${literal(fingerprint)})`;
}

function toAlert(row: readonly unknown[]): Found {
  const [id, fingerprint, revision, state, rule, pipeline, severity, domain, key, labels, title, ...rest] = row;
  const [tsMs, startMs, endMs, detector, score, value, low, high, evidence] = rest;
  const alert = {
    id,
    schema: "millrace.alert/1",
    fingerprint,
    revision,
    state,
    rule,
    pipeline,
    severity,
    domain,
    key,
    labels,
    title,
  };
  return {
    ...alert,
    ts: formatTime(tsMs as number),
    window: { start: formatTime(startMs as number), end: formatTime(endMs as number) },
    detector,
    score,
    value,
    expected: low === null || high === null ? null : { low, high },
    // 64-bit integers inside a column arrive as text.
    evidence: (evidence as Alert["evidence"]).map((origin) => ({ ...origin, sequence: Number(origin.sequence) })),
  } as Found;
}

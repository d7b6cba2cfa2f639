import { type ErrorCode, type HttpReply, isMillraceError } from "../core/index.js";
import type { Refusal } from "./access/identity.js";

/** Codes a caller may see, and the status that goes with each. Every other failure is ours: 500, without its message. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  MR_REQUEST_INVALID: 400,
  MR_EVENT_MALFORMED: 400,
  MR_UNAUTHORIZED: 401,
  MR_QUERY_REFUSED: 403,
  MR_TOO_LARGE: 413,
  MR_LOG_FULL: 503,
  MR_LOG_UNAVAILABLE: 503,
  MR_SINK_UNAVAILABLE: 503,
};

const TITLES: Readonly<Record<number, string>> = {
  400: "The request cannot be understood",
  401: "A key is needed",
  403: "Not allowed",
  404: "There is nothing here",
  405: "The method is not offered here",
  408: "The request came too slowly",
  413: "The body is too large",
  415: "The body's encoding is not offered",
  417: "The expectation cannot be met",
  422: "The request contradicts an earlier one",
  426: "This is a WebSocket",
  429: "Too many requests",
  431: "The head of the request is too large",
  500: "Something failed inside Millrace",
  503: "Not available right now",
  505: "The version of HTTP is not spoken here",
};

/** Every answer has these unless it says otherwise. */
export const DEFAULT_HEADERS = { "cache-control": "no-store", "x-content-type-options": "nosniff" } as const;

/** An RFC 9457 answer: `{type, title, status, detail, code}`. */
export function problem(
  status: number,
  detail: string,
  { code = null, headers = {} }: { code?: ErrorCode | null; headers?: Readonly<Record<string, string>> } = {},
): HttpReply {
  const body = { type: "about:blank", title: TITLES[status] ?? "Error", status, detail, code };
  return {
    status,
    type: "application/problem+json",
    headers: { ...DEFAULT_HEADERS, ...headers },
    body: JSON.stringify(body),
  };
}

/** What a thrown error looks like from outside. */
export function problemOf(error: unknown): HttpReply {
  if (isMillraceError(error)) {
    const status = STATUS[error.code];
    if (status === 503) return problem(503, error.message, { code: error.code, headers: { "retry-after": "1" } });
    if (status !== undefined) return problem(status, error.message, { code: error.code });
  }
  return problem(500, "the log of the server says what happened");
}

/** The answer to a caller who was not let through. */
export function refusalReply({ status, detail }: Refusal): HttpReply {
  if (status === 401)
    return problem(401, detail, {
      code: "MR_UNAUTHORIZED",
      headers: { "www-authenticate": 'Bearer realm="millrace"' },
    });
  return problem(status, detail, status === 403 ? {} : { headers: { "retry-after": "1" } });
}

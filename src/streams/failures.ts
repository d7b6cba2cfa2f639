import { JetStreamApiError, JetStreamError } from "@nats-io/jetstream";
import { InvalidArgumentError, NoRespondersError, RequestError, TimeoutError } from "nats";
import { type ErrorCode, MillraceError } from "../core/index.js";

/** nats-server's own numbers for refusals (its errors.json); branching on text would break with the next release. */
const WRONG_LAST_SEQUENCE = new Set([10071, 10164]);
const FULL = new Set([10023, 10028, 10047, 10077]);
const NOT_FOUND = new Set([10014, 10037, 10059]);
const EXISTS_DIFFERENTLY = new Set([10052, 10058, 10065]);
const ATOMIC_DISABLED = 10174;
const TOO_LARGE = 10054;

/** What the server says in the body of an answer it refuses with. */
export interface ApiFailure {
  readonly code: number;
  readonly err_code: number;
  readonly description: string;
}

export function isNotFound(cause: unknown): boolean {
  return NOT_FOUND.has(apiCode(cause));
}

export function isWrongLastSequence(cause: unknown): boolean {
  return WRONG_LAST_SEQUENCE.has(apiCode(cause));
}

export function existsDifferently(cause: unknown): boolean {
  return EXISTS_DIFFERENTLY.has(apiCode(cause));
}

/** Nobody takes the subject: no process answers it, there is no stream for it, or its server has switched JetStream off. */
export function isNobody(cause: unknown): boolean {
  return cause instanceof NoRespondersError || (cause instanceof RequestError && cause.isNoResponders());
}

/** Translates whatever the NATS client throws; `attempt` says what was being done, with the values. */
export function logError(attempt: string, cause: unknown): MillraceError {
  if (cause instanceof MillraceError) return cause;
  if (cause instanceof JetStreamApiError) return refusal(attempt, cause.apiError());
  if (isNobody(cause)) {
    return new MillraceError(
      "MR_LOG_UNAVAILABLE",
      `${attempt}: no stream answers; is jetstream enabled on the server?`,
      { cause },
    );
  }
  if (cause instanceof TimeoutError)
    return new MillraceError("MR_LOG_UNAVAILABLE", `${attempt}: no answer in time`, { cause });
  if (cause instanceof InvalidArgumentError && cause.message.includes("max_payload")) {
    return new MillraceError("MR_TOO_LARGE", `${attempt}: the message is larger than the server's max_payload`, {
      cause,
    });
  }
  const reason = cause instanceof Error || cause instanceof JetStreamError ? cause.message : String(cause);
  return new MillraceError("MR_LOG_UNAVAILABLE", `${attempt}: ${reason}`, { cause });
}

/** Translates a refusal in an acknowledgement. */
export function refusal(attempt: string, failure: ApiFailure): MillraceError {
  const message = `${attempt}: ${failure.description} (nats error ${failure.err_code})`;
  return new MillraceError(codeOf(failure.err_code), message);
}

function codeOf(number: number): ErrorCode {
  if (WRONG_LAST_SEQUENCE.has(number)) return "MR_LOG_CONFLICT";
  if (FULL.has(number)) return "MR_LOG_FULL";
  if (number === TOO_LARGE) return "MR_TOO_LARGE";
  if (number === ATOMIC_DISABLED || EXISTS_DIFFERENTLY.has(number)) return "MR_STREAM_MISMATCH";
  return "MR_LOG_UNAVAILABLE";
}

function apiCode(cause: unknown): number {
  return cause instanceof JetStreamApiError ? cause.apiError().err_code : 0;
}

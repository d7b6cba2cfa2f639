import { MillraceError } from "../../core/index.js";

/** An answer of ClickHouse itself, as the client throws it. By shape: the embedded engine brings its own copy of the class. */
export interface ServerError extends Error {
  readonly code: string;
  readonly type: string;
}

export function isServerError(error: unknown): error is ServerError {
  return (
    error instanceof Error &&
    "type" in error &&
    typeof error.type === "string" &&
    "code" in error &&
    /^\d+$/.test(String(error.code))
  );
}

/** The rows are wrong and will be just as wrong next time. */
const ROW_ERRORS =
  /^(?:CANNOT_(?:PARSE|READ|CONVERT|INSERT_NULL)|INCORRECT_DATA|TYPE_MISMATCH|ARGUMENT_OUT_OF_BOUND|DECIMAL_OVERFLOW|VALUE_IS_OUT_OF_RANGE|TOO_LARGE_STRING_SIZE|VIOLATED_CONSTRAINT|UNKNOWN_ELEMENT_OF_ENUM|ILLEGAL_COLUMN)/;

/**
 * Names the failure of `attempt` in our words; an error that already is ours passes unchanged.
 *
 * MR_EVENT_MALFORMED: ClickHouse read the rows and found one it cannot take. MR_SINK_UNAVAILABLE: anything else; a later attempt
 * may go through.
 */
export function translate(error: unknown, attempt: string): MillraceError {
  if (error instanceof MillraceError) return error;
  const message = firstLine(error);
  if (isServerError(error) && ROW_ERRORS.test(error.type)) {
    return new MillraceError("MR_EVENT_MALFORMED", `${attempt} failed: ${message}`, { cause: error });
  }
  return new MillraceError("MR_SINK_UNAVAILABLE", `${attempt} failed: ${message}`, { cause: error });
}

/** ClickHouse explains a bad row over dozens of lines. */
export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.trim().split("\n", 1)[0]?.slice(0, 500) ?? "";
}

import { MillraceError } from "../../core/index.js";

/**
 * An answer of ClickHouse itself, as the client throws it. By shape: the embedded engine brings its own copy of the class.
 * Its `type` is not to be trusted: the client looks for it in the message, where text of a row or a query may stand before it.
 */
export interface ServerError extends Error {
  /** Number of the error in ClickHouse, as text. */
  readonly code: string;
}

export function isServerError(error: unknown): error is ServerError {
  return error instanceof Error && "code" in error && /^\d+$/.test(String(error.code));
}

/** The rows are wrong and will be just as wrong next time. Names as in ClickHouse's ErrorCodes.cpp. */
const ROW_ERRORS = new Set([
  "6", // CANNOT_PARSE_TEXT
  "25", // CANNOT_PARSE_ESCAPE_SEQUENCE
  "26", // CANNOT_PARSE_QUOTED_STRING
  "27", // CANNOT_PARSE_INPUT_ASSERTION_FAILED
  "38", // CANNOT_PARSE_DATE
  "41", // CANNOT_PARSE_DATETIME
  "53", // TYPE_MISMATCH
  "69", // ARGUMENT_OUT_OF_BOUND
  "70", // CANNOT_CONVERT_TYPE
  "72", // CANNOT_PARSE_NUMBER
  "117", // INCORRECT_DATA
  "130", // CANNOT_READ_ARRAY_FROM_TEXT
  "131", // TOO_LARGE_STRING_SIZE
  "321", // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
  "349", // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
  "376", // CANNOT_PARSE_UUID
  "407", // DECIMAL_OVERFLOW
  "467", // CANNOT_PARSE_BOOL
  "469", // VIOLATED_CONSTRAINT
  "563", // CANNOT_READ_MAP_FROM_TEXT
  "632", // UNEXPECTED_DATA_AFTER_PARSED_VALUE
  "691", // UNKNOWN_ELEMENT_OF_ENUM
]);

/**
 * Names the failure of `attempt` in our words; an error that already is ours passes unchanged.
 *
 * MR_EVENT_MALFORMED: ClickHouse read the rows and found one it cannot take. MR_SINK_UNAVAILABLE: anything else; a later attempt
 * may go through.
 */
export function translate(error: unknown, attempt: string): MillraceError {
  if (error instanceof MillraceError) return error;
  const message = firstLine(error);
  if (isServerError(error) && ROW_ERRORS.has(error.code)) {
    return new MillraceError("MR_EVENT_MALFORMED", `${attempt} failed: ${message}`, { cause: error });
  }
  return new MillraceError("MR_SINK_UNAVAILABLE", `${attempt} failed: ${message}`, { cause: error });
}

/** ClickHouse explains a bad row over dozens of lines. */
export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.trim().split("\n", 1)[0]?.slice(0, 500) ?? "";
}

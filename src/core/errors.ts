/**
 * What the pipeline does about each kind of failure; docs/ERRORS.md explains every code and a test keeps both lists equal.
 *
 * fatal: refuse to start, or stop this task. deadLetter: set the event aside with its reason. retry: back off with jitter and
 * keep the order. refuse: answer the caller with an error, nothing of ours is wrong.
 */
export const DISPOSITIONS = {
  MR_OPTION_INVALID: "fatal",
  MR_BINARY_MISSING: "fatal",
  MR_PORT_IN_USE: "fatal",
  MR_DATA_DIR_IN_USE: "fatal",
  MR_SERVER_FAILED: "fatal",
  MR_SERVER_TOO_OLD: "fatal",
  MR_STREAM_MISMATCH: "fatal",
  MR_LOG_TRUNCATED: "fatal",
  MR_LOG_LOST_DATA: "fatal",
  MR_STATE_INCOMPATIBLE: "fatal",
  MR_FENCED: "fatal",
  MR_LOG_CONFLICT: "fatal",
  MR_EVENT_MALFORMED: "deadLetter",
  MR_LOG_UNAVAILABLE: "retry",
  MR_LOG_FULL: "retry",
  MR_SINK_UNAVAILABLE: "retry",
  MR_SOLVER_FAILED: "retry",
  MR_TOO_LARGE: "refuse",
  MR_UNAUTHORIZED: "refuse",
  MR_REQUEST_INVALID: "refuse",
  MR_QUERY_REFUSED: "refuse",
} as const satisfies Record<`MR_${string}`, "fatal" | "deadLetter" | "retry" | "refuse">;

export type ErrorCode = keyof typeof DISPOSITIONS;

/** The only error class. Branch on `code`, never on the message; the message says what was attempted, with the values. */
export class MillraceError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "MillraceError";
    this.code = code;
  }

  get disposition(): (typeof DISPOSITIONS)[ErrorCode] {
    return DISPOSITIONS[this.code];
  }
}

export function isMillraceError(error: unknown, code?: ErrorCode): error is MillraceError {
  return error instanceof MillraceError && (code === undefined || error.code === code);
}

/** What a thrown thing says. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

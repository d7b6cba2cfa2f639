import { MillraceError } from "../../../core/index.js";

export const milliseconds = (n: number): number => n;
export const seconds = (n: number): number => n * 1_000;
export const minutes = (n: number): number => n * 60_000;
export const hours = (n: number): number => n * 3_600_000;
export const days = (n: number): number => n * 86_400_000;

interface Lateness {
  /** How long after its end a window still takes corrections, ms. @default 0 */
  readonly latenessMs?: number;
}

export interface TumblingSpec extends Lateness {
  readonly kind: "tumbling";
  readonly sizeMs: number;
  readonly offsetMs: number;
  readonly earlyEveryMs?: number;
  readonly earlyEveryCount?: number;
  readonly retract: boolean;
}

export interface HoppingSpec extends Lateness {
  readonly kind: "hopping";
  readonly sizeMs: number;
  readonly slideMs: number;
  readonly offsetMs: number;
}

export interface SessionSpec extends Lateness {
  readonly kind: "session";
  readonly gapMs: number;
  readonly maxLengthMs: number;
}

export interface CountSpec {
  readonly kind: "count";
  readonly size: number;
}

export type WindowSpec = TumblingSpec | HoppingSpec | SessionSpec | CountSpec;

export interface TumblingOptions extends Lateness {
  readonly sizeMs: number;
  /** Shifts the alignment to the Unix epoch, ms: 5 h for days that begin at 05:00 UTC. @default 0 */
  readonly offsetMs?: number;
  /** Says what is known so far at every multiple of this after the start, for keys that changed. @default never */
  readonly earlyEveryMs?: number;
  /** Says what is known so far at every so many events of a key. @default never */
  readonly earlyEveryCount?: number;
  /** Precede every update by a `retract` of the row it replaces. @default false */
  readonly retract?: boolean;
}

/** Fixed, gap-free windows `[startMs, endMs)`, aligned to the Unix epoch. Errors: MR_OPTION_INVALID. */
export function tumbling({ offsetMs = 0, retract = false, ...options }: TumblingOptions): TumblingSpec {
  positive("tumbling sizeMs", options.sizeMs);
  checkLateness(options.latenessMs);
  if (options.earlyEveryMs !== undefined) positive("tumbling earlyEveryMs", options.earlyEveryMs);
  if (options.earlyEveryCount !== undefined) positive("tumbling earlyEveryCount", options.earlyEveryCount);
  return { kind: "tumbling", offsetMs, retract, ...options };
}

/** Overlapping windows of `sizeMs`, one every `slideMs`, aligned to the Unix epoch. Errors: MR_OPTION_INVALID unless slideMs <= sizeMs. */
export function hopping(options: {
  readonly sizeMs: number;
  readonly slideMs: number;
  readonly offsetMs?: number;
  readonly latenessMs?: number;
}): HoppingSpec {
  positive("hopping sizeMs", options.sizeMs);
  noEarly("hopping", options, "a shorter slideMs says as much");
  positive("hopping slideMs", options.slideMs);
  checkLateness(options.latenessMs);
  if (options.slideMs > options.sizeMs) {
    throw new MillraceError(
      "MR_OPTION_INVALID",
      `hopping slideMs must not exceed sizeMs, got ${options.slideMs} > ${options.sizeMs}`,
    );
  }
  return { kind: "hopping", offsetMs: 0, ...options };
}

/**
 * Activity of a key without a pause of `gapMs`: `[first event, last event + gapMs)`, no longer than `maxLengthMs` (an event beyond
 * that opens the next session). Errors: MR_OPTION_INVALID.
 */
export function session(options: {
  readonly gapMs: number;
  /** @default one day: a device that never pauses must not keep one window open for ever */
  readonly maxLengthMs?: number;
  readonly latenessMs?: number;
}): SessionSpec {
  positive("session gapMs", options.gapMs);
  noEarly("session", options, "a session has no end to be early for; process() says what it likes as it goes");
  checkLateness(options.latenessMs);
  const maxLengthMs = options.maxLengthMs ?? Math.max(86_400_000, options.gapMs);
  if (!(maxLengthMs >= options.gapMs)) {
    throw new MillraceError("MR_OPTION_INVALID", `session maxLengthMs must be at least gapMs, got ${maxLengthMs}`);
  }
  return { kind: "session", ...options, maxLengthMs };
}

/** Every `size` events of a key, as they come; from the first one's time to just after the last one's. Errors: MR_OPTION_INVALID. */
export function countOf(size: number): CountSpec {
  positive("countOf size", size);
  return { kind: "count", size };
}

function positive(what: string, value: number): void {
  if (!Number.isSafeInteger(value) || value <= 0) {
    throw new MillraceError("MR_OPTION_INVALID", `${what} must be a positive integer, got ${value}`);
  }
}

/** Early rows are for windows whose end is known and far. The types say so already; a caller without types hears it here. */
function noEarly(what: string, options: object, instead: string): void {
  const early = Object.keys(options).find((name) => name.startsWith("early"));
  if (early !== undefined) {
    throw new MillraceError("MR_OPTION_INVALID", `${what} windows have no ${early}: ${instead}; tumbling() has it`);
  }
}

function checkLateness(latenessMs = 0): void {
  if (!(Number.isSafeInteger(latenessMs) && latenessMs >= 0)) {
    throw new MillraceError("MR_OPTION_INVALID", `latenessMs must be a non-negative integer, got ${latenessMs}`);
  }
}

/** Time is an integer of ms since the Unix epoch everywhere inside; RFC 3339 outside. */
export const SECOND_MS = 1_000;
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;

const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/** Reads an integer of ms or an RFC 3339 text with offset. Anything else, also a time without a zone, is undefined. */
export function parseTimeMs(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isSafeInteger(value) ? value : undefined;
  if (typeof value !== "string" || !RFC_3339.test(value)) return undefined;
  const ms = Date.parse(value);
  return Number.isNaN(ms) ? undefined : ms;
}

/** RFC 3339 in UTC with milliseconds. `ms` must lie within ±8.64e15. */
export function formatTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** Axes: where values fall on the screen, and where to write numbers. */

export interface Scale {
  /** Value at the low end. */
  readonly min: number;
  readonly max: number;
  /** Pixels from the origin. */
  at(value: number): number;
}

/** Maps [min, max] to [fromPx, toPx]; an empty range maps to the middle. */
export function linear(min: number, max: number, fromPx: number, toPx: number): Scale {
  const perUnit = max > min ? (toPx - fromPx) / (max - min) : 0;
  const middle = (fromPx + toPx) / 2;
  return { min, max, at: (value) => (perUnit === 0 ? middle : fromPx + (value - min) * perUnit) };
}

/** The smallest range of round numbers around the values, and its ticks. Starts at 0 where values are near it. */
export function niceRange(
  min: number,
  max: number,
  wanted: number,
): { min: number; max: number; ticks: readonly number[] } {
  if (!(Number.isFinite(min) && Number.isFinite(max))) return { min: 0, max: 1, ticks: [0, 1] };
  let low = Math.min(min, max);
  let high = Math.max(min, max);
  if (low >= 0 && low < (high - low) * 1.5) low = 0;
  // Also when they differ by rounding only: ticks that close could not be told apart, nor written.
  if (high - low <= 1e-9 * Math.max(Math.abs(low), Math.abs(high), 1e-9)) {
    const tenth = Math.abs(low) * 0.1;
    const half = tenth > 1e-300 ? tenth : 1; // smaller ones have no digits left to divide
    low -= half;
    high += half;
  }
  const step = niceStep((high - low) / Math.max(1, wanted));
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  // Multiples of the step by multiplication: adding it up would drift into 0.30000000000000004.
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
  return { min: first * step, max: last * step, ticks };
}

function niceStep(raw: number): number {
  const power = 10 ** Math.floor(Math.log10(raw));
  const ratio = raw / power;
  return (ratio <= 1 ? 1 : ratio <= 2 ? 2 : ratio <= 5 ? 5 : 10) * power;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  MINUTE,
  5 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  2 * DAY,
  7 * DAY,
  14 * DAY,
  28 * DAY,
  56 * DAY,
  91 * DAY,
  364 * DAY,
];

/** At most `most` times on whole UTC steps within [startMs, endMs]; `daily` when steps are of a day or more. */
export function timeTicks(
  startMs: number,
  endMs: number,
  most: number,
): { readonly ticks: readonly number[]; readonly daily: boolean } {
  const fits = (step: number) => (endMs - startMs) / step <= Math.max(1, most);
  const step = STEPS.find(fits) ?? Math.ceil((endMs - startMs) / most / DAY) * DAY;
  const ticks: number[] = [];
  for (let t = Math.ceil(startMs / step) * step; t <= endMs && step > 0; t += step) ticks.push(t);
  return { ticks, daily: step >= DAY };
}

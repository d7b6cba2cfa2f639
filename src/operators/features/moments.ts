/** Count, mean, spread, extremes and newest of the numbers of a window. JSON; an empty one holds nulls, not infinities. */
export interface Moments {
  count: number;
  mean: number;
  /** Sum of squared deviations from the mean. */
  m2: number;
  min: number | null;
  max: number | null;
  last: number | null;
  lastMs: number | null;
}

export function emptyMoments(): Moments {
  return { count: 0, mean: 0, m2: 0, min: null, max: null, last: null, lastMs: null };
}

/**
 * Adds a finite number. `last` is the number with the latest time; of equal times the larger one, so that the order of arrival
 * cannot decide. O(1).
 *
 * Source: Welford, Technometrics 4(3), 1962: the naive sum of squares loses every digit when the mean is large.
 */
export function addMoment(moments: Moments, value: number, timeMs: number): void {
  moments.count++;
  const gap = value - moments.mean;
  moments.mean += gap / moments.count;
  moments.m2 += gap * (value - moments.mean);
  if (moments.min === null || value < moments.min) moments.min = value;
  if (moments.max === null || value > moments.max) moments.max = value;
  const { last, lastMs } = moments;
  if (last === null || lastMs === null || timeMs > lastMs || (timeMs === lastMs && value > last)) {
    moments.last = value;
    moments.lastMs = timeMs;
  }
}

/** Standard deviation of the sample (n - 1); 0 for fewer than two numbers. */
export function standardDeviation({ count, m2 }: Moments): number {
  return count < 2 ? 0 : Math.sqrt(Math.max(0, m2) / (count - 1));
}

/**
 * The q-quantile of sorted numbers, linear between neighbours (numpy's default); `q` in [0, 1]. Undefined when there are none.
 */
export function quantileOfSorted(sorted: ArrayLike<number>, q: number): number | undefined {
  const at = q * (sorted.length - 1);
  const low = sorted[Math.floor(at)];
  if (low === undefined) return undefined;
  const high = sorted[Math.ceil(at)] ?? low;
  return low + (high - low) * (at - Math.floor(at));
}

/** The median of a few numbers in any order; leaves them as they are. Undefined when there are none. O(n log n). */
export function median(numbers: readonly number[]): number | undefined {
  return quantileOfSorted(
    [...numbers].sort((a, b) => a - b),
    0.5,
  );
}

/** Mean and spread of each number of a vector, as they run. JSON. */
export interface RunningScale {
  count: number;
  /** No spread is ever taken to be smaller: the noise that is there even when all is well, in units of the vector. */
  readonly leastSpread: number;
  readonly mean: number[];
  readonly variance: number[];
  /** The smallest and largest numbers learned. */
  readonly least: (number | null)[];
  readonly most: (number | null)[];
}

/** Rows after which old ones fade: the scale follows a machine whose normal drifts over weeks. */
const MEMORY = 128;
/** A spread below this share of the mean is taken for noise of the measurement. */
const LEAST_SHARE = 0.01;

export function emptyScale(width: number, leastSpread: number): RunningScale {
  const zeros = (): number[] => new Array<number>(width).fill(0);
  const none = (): null[] => new Array<null>(width).fill(null);
  return { count: 0, leastSpread, mean: zeros(), variance: zeros(), least: none(), most: none() };
}

/** The vector in spreads from the mean, under what was learned so far. O(width). */
export function scaled(scale: RunningScale, vector: readonly number[]): number[] {
  return vector.map((value, i) => (value - (scale.mean[i] as number)) / spreadOf(scale, i));
}

/** Learns the vector: the plain mean and variance of the first rows, exponentially fading ones after 128. O(width). */
export function learnScale(scale: RunningScale, vector: readonly number[]): void {
  scale.count++;
  const share = 1 / Math.min(scale.count, MEMORY);
  vector.forEach((value, i) => {
    const gap = value - (scale.mean[i] as number);
    scale.mean[i] = (scale.mean[i] as number) + share * gap;
    scale.variance[i] = (1 - share) * ((scale.variance[i] as number) + share * gap * gap);
    scale.least[i] = Math.min(scale.least[i] ?? value, value);
    scale.most[i] = Math.max(scale.most[i] ?? value, value);
  });
}

/** What is usual for number `i`: two spreads around the mean, as far as it ever went (a spread knows of no zero to stop at). */
export function usualRange(scale: RunningScale, i: number): { readonly low: number; readonly high: number } {
  const mean = scale.mean[i] as number;
  const reach = 2 * spreadOf(scale, i);
  return { low: Math.max(mean - reach, scale.least[i] ?? mean), high: Math.min(mean + reach, scale.most[i] ?? mean) };
}

function spreadOf(scale: RunningScale, i: number): number {
  const least = Math.max(LEAST_SHARE * Math.abs(scale.mean[i] as number), scale.leastSpread);
  return Math.max(Math.sqrt(scale.variance[i] as number), least);
}

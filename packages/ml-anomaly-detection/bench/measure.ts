/** One row of a speed table. */
export interface Measured {
  readonly name: string;
  /** Score and learn, rows a second, best and median of the runs. */
  readonly best: number;
  readonly median: number;
  readonly bytes: number;
}

/**
 * Rows a second of processor time (a shared machine makes wall time meaningless) of `step(i)` over `runs` runs of about `ms` each, after as long a warm-up.
 * `step` must use its result; the sum it returns is folded into a sink so that nothing is optimised away.
 */
export function rate(step: (i: number) => number, { ms = 400, runs = 3 } = {}): { best: number; median: number } {
  let sink = 0;
  let rows = 64;
  let i = 0;
  const run = (count: number) => {
    const start = process.cpuUsage();
    for (const end = i + count; i < end; i++) sink += step(i);
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000;
  };
  for (let spent = run(rows); spent < ms / 2 && rows < MOST_ROWS; spent = run(rows)) rows *= 2;
  const rates = Array.from({ length: runs }, () => (rows / run(rows)) * 1000).sort((a, b) => b - a);
  if (Number.isNaN(sink)) throw new Error("a score was NaN");
  return { best: rates[0] as number, median: rates[runs >> 1] as number };
}

const MOST_ROWS = 1 << 22;

/** Rows of independent bell-shaped features, the same for every detector and every run. */
export function seededRows(count: number, dimensions: number): Float64Array[] {
  let state = 12_345;
  const next = () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  return Array.from({ length: count }, () =>
    Float64Array.from({ length: dimensions }, () => next() + next() + next() + next() - 2),
  );
}

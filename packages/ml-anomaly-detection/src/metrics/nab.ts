/** A series as the Numenta Anomaly Benchmark scores it. */
export interface NabSeries {
  readonly scores: ArrayLike<number>;
  /** First and last row of each labelled window, in order, both inside. */
  readonly windows: readonly (readonly [number, number])[];
}

export type NabProfile = "standard" | "rewardLowFpRate" | "rewardLowFnRate";

/** What an alarm in a window, a false alarm and a missed window count. */
const WEIGHTS: Record<NabProfile, { hit: number; falseAlarm: number; miss: number }> = {
  standard: { hit: 1, falseAlarm: 0.11, miss: 1 },
  rewardLowFpRate: { hit: 1, falseAlarm: 0.22, miss: 1 },
  rewardLowFnRate: { hit: 1, falseAlarm: 0.11, miss: 2 },
};

export interface NabResult {
  /** 0 for no alarms at all, 100 for an alarm on the first row of every window and no other; may be negative. */
  readonly score: number;
  /** The threshold asked for, or the best one; Infinity when no alarm at all is best. */
  readonly threshold: number;
}

/**
 * The score of the Numenta Anomaly Benchmark over a set of series: one threshold for all, an alarm when
 * `score >= threshold`, the first `min(floor(0.15 n), 750)` rows of a series not counted.
 *
 * Without `threshold` the best one for the profile is searched with the labels: an upper bound, not a result.
 * Source: Lavin & Ahmad, "Evaluating real-time anomaly detection algorithms", 2015. O(rows log rows).
 */
export function nabScore(
  series: readonly NabSeries[],
  { profile = "standard" as NabProfile, threshold = undefined as number | undefined } = {},
): NabResult {
  const { hit, falseAlarm, miss } = WEIGHTS[profile];
  const rows = series.flatMap((one, ordinal) => rowsOf(one, ordinal));
  rows.sort((a, b) => b.score - a.score);
  const windows = series.reduce((sum, one) => sum + one.windows.length, 0);
  const best = { raw: -miss * windows, threshold: Number.POSITIVE_INFINITY };
  const found = new Map<string, number>();
  let [hits, falses] = [0, 0];
  for (let i = 0; i < rows.length; ) {
    const level = (rows[i] as Row).score;
    if (threshold !== undefined && level < threshold) break;
    for (; i < rows.length && (rows[i] as Row).score === level; i++) {
      const { window, value, series: ordinal } = rows[i] as Row;
      if (window < 0) falses += value;
      else {
        const key = `${ordinal}/${window}`;
        const before = found.get(key);
        if (before !== undefined && before >= value) continue;
        found.set(key, value);
        hits += value - (before ?? 0);
      }
    }
    const raw = hit * hits + falseAlarm * falses - miss * (windows - found.size);
    if (threshold !== undefined || raw > best.raw) {
      best.raw = raw;
      best.threshold = level;
    }
  }
  const score = windows === 0 ? Number.NaN : (100 * (best.raw + miss * windows)) / (windows * (hit + miss));
  return { score, threshold: threshold ?? best.threshold };
}

interface Row {
  readonly score: number;
  /** Ordinal of the window it lies in, or -1. */
  readonly window: number;
  /** Worth of an alarm here, at unit weights: up to 1 in a window, down to -1 outside. */
  readonly value: number;
  /** Ordinal of its series. */
  readonly series: number;
}

function sigmoid(y: number): number {
  return 2 / (1 + Math.exp(5 * y)) - 1;
}

function rowsOf({ scores, windows }: NabSeries, series: number): Row[] {
  const skip = Math.min(Math.floor(0.15 * scores.length), 750);
  const rows: Row[] = [];
  let upcoming = 0;
  for (let i = 0; i < scores.length; i++) {
    while (upcoming < windows.length && i > (windows[upcoming] as readonly [number, number])[1]) upcoming++;
    if (i < skip) continue;
    const [first, last] = windows[upcoming] ?? [Number.POSITIVE_INFINITY, 0];
    const inside = i >= first;
    const value = inside
      ? sigmoid(-(last - i + 1) / (last - first + 1)) / sigmoid(-1)
      : outside(i, windows[upcoming - 1]);
    rows.push({ score: scores[i] as number, window: inside ? upcoming : -1, value, series });
  }
  return rows;
}

/** A false alarm costs less shortly after a window than anywhere else. */
function outside(row: number, past: readonly [number, number] | undefined): number {
  if (past === undefined) return -1;
  const y = (row - past[1]) / Math.max(past[1] - past[0], 1);
  return y <= 3 ? sigmoid(y) : -1;
}

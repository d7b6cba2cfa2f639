import { AnomalyError, integerOption } from "../core/errors.js";

export interface VusOptions {
  /** Widest buffer around a labelled stretch, in rows: a typical length of an anomaly or a period of the series. @default 20 */
  buffer?: number;
  /** Points of each curve. @default 250 */
  thresholds?: number;
}

/** First and last row of a stretch, both inside. */
type Stretch = readonly [number, number];

/**
 * Volume under the precision-recall surface: the area under a range-aware precision-recall curve, averaged over buffers of
 * 0 to `buffer` rows around the labels, so that an alarm near a stretch earns a part and no width has to be chosen.
 *
 * In [0, 1], higher is better; NaN without a labelled row. O(buffer x thresholds x rows near labels).
 * Errors: AD_OPTION_INVALID, AD_INPUT_INVALID.
 * Source: Paparrizos et al., "Volume under the surface", PVLDB 15(11), 2022; equal to the `vus` package 0.0.6.
 */
export function vusPr(truth: ArrayLike<boolean | number>, scores: ArrayLike<number>, options: VusOptions = {}): number {
  const widest = integerOption("buffer", options.buffer ?? 20, 0, 1_000_000);
  const points = integerOption("thresholds", options.thresholds ?? 250, 2, 1_000_000);
  if (truth.length !== scores.length)
    throw new AnomalyError("AD_INPUT_INVALID", `truth has ${truth.length} rows, the scores ${scores.length}`);
  const stretches = stretchesOf(truth);
  if (stretches.length === 0) return Number.NaN;
  const levels = thresholdsOf(scores, points);
  const flagged = levels.map((level) => countAtLeast(scores, level));
  const near = widen(stretches, widest, truth.length);
  let volume = 0;
  for (let buffer = 0; buffer <= widest; buffer++) {
    const weights = bufferedLabels(stretches, buffer, truth.length);
    const ranges = widen(stretches, buffer, truth.length);
    let before = 0;
    let area = 0;
    levels.forEach((level, j) => {
      const { hits, labels } = hitsAt(level, { truth, scores, weights, near });
      const positives = (rowsIn(stretches) + labels) / 2;
      const seen = ranges.filter(([first, last]) => reaches(scores, level, first, last)).length;
      const recall = (Math.min(hits / positives, 1) * seen) / ranges.length;
      area += (recall - before) * (hits / (flagged[j] as number));
      before = recall;
    });
    volume += area;
  }
  return volume / (widest + 1);
}

function stretchesOf(truth: ArrayLike<boolean | number>): Stretch[] {
  const found: Stretch[] = [];
  for (let i = 0; i < truth.length; i++) {
    if (!truth[i]) continue;
    const first = i;
    while (i + 1 < truth.length && truth[i + 1]) i++;
    found.push([first, i]);
  }
  return found;
}

/** The scores at evenly spaced ranks, highest first. */
function thresholdsOf(scores: ArrayLike<number>, points: number): number[] {
  const sorted = Float64Array.from(scores).sort().reverse();
  return Array.from({ length: points }, (_, i) => {
    // numpy.linspace: the last point is exact, the others i times the step.
    const at = i === points - 1 ? sorted.length - 1 : Math.floor(i * ((sorted.length - 1) / (points - 1)));
    return sorted[at] as number;
  });
}

function countAtLeast(scores: ArrayLike<number>, level: number): number {
  let count = 0;
  for (let i = 0; i < scores.length; i++) if ((scores[i] as number) >= level) count++;
  return count;
}

function reaches(scores: ArrayLike<number>, level: number, first: number, last: number): boolean {
  for (let i = first; i <= last; i++) if ((scores[i] as number) >= level) return true;
  return false;
}

function rowsIn(stretches: readonly Stretch[]): number {
  return stretches.reduce((sum, [first, last]) => sum + last - first + 1, 0);
}

/** Stretches with half a buffer on each side; those that then touch become one. */
function widen(stretches: readonly Stretch[], buffer: number, rows: number): Stretch[] {
  const half = buffer >> 1;
  const wide: [number, number][] = [];
  for (const [first, last] of stretches) {
    const from = Math.max(first - half, 0);
    const to = Math.min(last + half, rows - 1);
    const previous = wide[wide.length - 1];
    if (previous !== undefined && previous[1] >= from) previous[1] = to;
    else wide.push([from, to]);
  }
  return wide;
}

/** 1 inside a stretch, falling as a square root over half a buffer on both sides. */
function bufferedLabels(stretches: readonly Stretch[], buffer: number, rows: number): Float64Array {
  const weights = new Float64Array(rows);
  const half = buffer >> 1;
  for (const [first, last] of stretches) {
    weights.fill(1, first, last + 1);
    for (let away = 1; away <= half; away++) {
      const weight = Math.sqrt(1 - away / buffer);
      if (last + away < rows) weights[last + away] = Math.min((weights[last + away] as number) + weight, 1);
      if (first - away >= 0) weights[first - away] = Math.min((weights[first - away] as number) + weight, 1);
    }
  }
  return weights;
}

interface Curve {
  truth: ArrayLike<boolean | number>;
  scores: ArrayLike<number>;
  weights: Float64Array;
  near: readonly Stretch[];
}

/** Weight of the flagged rows near labels, and with it that of the labelled rows that were not flagged. */
function hitsAt(level: number, { truth, scores, weights, near }: Curve): { hits: number; labels: number } {
  let hits = 0;
  let labels = 0;
  for (const [first, last] of near) {
    for (let i = first; i <= last; i++) {
      const weight = truth[i] ? 1 : (weights[i] as number);
      if ((scores[i] as number) >= level) {
        hits += weight;
        labels += weight;
      } else if (truth[i]) labels += 1;
    }
  }
  return { hits, labels };
}

import { AnomalyError } from "../core/errors.js";

/** What became of rows that were or were not anomalous, and were or were not flagged. */
export interface PointScores {
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly falseNegatives: number;
  readonly trueNegatives: number;
  /** 2 TP / (2 TP + FP + FN); 0 without positives of either kind. */
  readonly f1: number;
  /** False-alarm rate: share of normal rows flagged, in [0, 1]. */
  readonly far: number;
  /** Missed-alarm rate: share of anomalous rows not flagged, in [0, 1]. */
  readonly mar: number;
}

/** Counts row by row. Errors: AD_INPUT_INVALID unless both have the same length. */
export function pointScores(truth: ArrayLike<boolean | number>, alarms: ArrayLike<boolean | number>): PointScores {
  sameLength(truth, alarms);
  let [tp, fp, fn, tn] = [0, 0, 0, 0];
  for (let i = 0; i < truth.length; i++) {
    if (truth[i]) alarms[i] ? tp++ : fn++;
    else alarms[i] ? fp++ : tn++;
  }
  return {
    truePositives: tp,
    falsePositives: fp,
    falseNegatives: fn,
    trueNegatives: tn,
    f1: (2 * tp) / Math.max(2 * tp + fp + fn, 1),
    far: fp / Math.max(fp + tn, 1),
    mar: fn / Math.max(fn + tp, 1),
  };
}

/**
 * Area under the ROC curve: chance that an anomalous row scores above a normal one, ties counting half.
 * NaN when one kind is absent. O(n log n).
 */
export function rocAuc(truth: ArrayLike<boolean | number>, scores: ArrayLike<number>): number {
  sameLength(truth, scores);
  const order = Array.from({ length: scores.length }, (_, i) => i);
  order.sort((a, b) => (scores[a] as number) - (scores[b] as number));
  let [rankSum, positives] = [0, 0];
  for (let i = 0; i < order.length; ) {
    let end = i;
    while (end < order.length && scores[order[end] as number] === scores[order[i] as number]) end++;
    for (let j = i; j < end; j++) {
      if (!truth[order[j] as number]) continue;
      positives++;
      rankSum += (i + end + 1) / 2; // the mean rank, from 1, of the tied group
    }
    i = end;
  }
  const negatives = scores.length - positives;
  return positives === 0 || negatives === 0
    ? Number.NaN
    : (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}

export interface EventScores {
  /** True stretches with at least one alarm in or up to `tolerance` rows around them. */
  readonly found: number;
  readonly events: number;
  /** Alarm onsets that lie near no true stretch; a run of alarms is one onset. */
  readonly falseAlarms: number;
  /** found / (found + falseAlarms); 0 when both are 0. */
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

/**
 * Counts events instead of rows: a stretch of anomalous rows is one event, a run of flagged rows one alarm.
 * `tolerance`: an alarm this many rows before or after a stretch still belongs to it.
 */
export function eventScores(
  truth: ArrayLike<boolean | number>,
  alarms: ArrayLike<boolean | number>,
  { tolerance = 0 } = {},
): EventScores {
  sameLength(truth, alarms);
  const near = new Uint8Array(truth.length);
  let [events, found, falseAlarms] = [0, 0, 0];
  for (let i = 0; i < truth.length; i++) {
    if (!truth[i] || truth[i - 1]) continue;
    let end = i;
    while (end < truth.length && truth[end]) end++;
    events++;
    let hit = false;
    for (let j = Math.max(0, i - tolerance); j < Math.min(truth.length, end + tolerance); j++) {
      near[j] = 1;
      if (alarms[j]) hit = true;
    }
    if (hit) found++;
  }
  for (let i = 0; i < alarms.length; i++) if (alarms[i] && !alarms[i - 1] && near[i] === 0) falseAlarms++;
  const precision = found === 0 ? 0 : found / (found + falseAlarms);
  const recall = events === 0 ? 0 : found / events;
  const f1 = precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall);
  return { found, events, falseAlarms, precision, recall, f1 };
}

function sameLength(a: { readonly length: number }, b: { readonly length: number }): void {
  if (a.length !== b.length)
    throw new AnomalyError("AD_INPUT_INVALID", `truth has ${a.length} rows, the other ${b.length}`);
}

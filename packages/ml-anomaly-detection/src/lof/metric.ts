import { AnomalyError } from "../core/errors.js";

/** How far apart two rows are. */
export type Metric = "euclidean" | "manhattan" | "chebyshev";

/** Throws AD_OPTION_INVALID for a metric this build does not have. */
export function metricOption(metric: Metric): Metric {
  if (metric !== "euclidean" && metric !== "manhattan" && metric !== "chebyshev")
    throw new AnomalyError("AD_OPTION_INVALID", `metric must be euclidean, manhattan or chebyshev, got ${metric}`);
  return metric;
}

/**
 * Distances from `row` to the `count` rows of `points` from row `from` on, into `out[from..]`.
 * `points` is row-major, `row.length` numbers a row. The loops are apart so that each stays monomorphic.
 */
export function distances(
  metric: Metric,
  points: Float64Array,
  row: Float64Array,
  from: number,
  count: number,
  out: Float64Array,
): void {
  if (metric === "euclidean") euclidean(points, row, from, count, out);
  else if (metric === "manhattan") manhattan(points, row, from, count, out);
  else chebyshev(points, row, from, count, out);
}

function euclidean(points: Float64Array, row: Float64Array, from: number, count: number, out: Float64Array): void {
  const dims = row.length;
  for (let i = from, at = from * dims; i < from + count; i++) {
    let sum = 0;
    for (let f = 0; f < dims; f++, at++) {
      const gap = (points[at] as number) - (row[f] as number);
      sum += gap * gap;
    }
    out[i] = Math.sqrt(sum);
  }
}

function manhattan(points: Float64Array, row: Float64Array, from: number, count: number, out: Float64Array): void {
  const dims = row.length;
  for (let i = from, at = from * dims; i < from + count; i++) {
    let sum = 0;
    for (let f = 0; f < dims; f++, at++) sum += Math.abs((points[at] as number) - (row[f] as number));
    out[i] = sum;
  }
}

function chebyshev(points: Float64Array, row: Float64Array, from: number, count: number, out: Float64Array): void {
  const dims = row.length;
  for (let i = from, at = from * dims; i < from + count; i++) {
    let most = 0;
    for (let f = 0; f < dims; f++, at++) {
      const gap = Math.abs((points[at] as number) - (row[f] as number));
      if (gap > most) most = gap;
    }
    out[i] = most;
  }
}

import { AnomalyError, integerOption, numberOption } from "../core/errors.js";
import { distances, type Metric, metricOption } from "./metric.js";

export interface LofOptions {
  /** k, how many neighbours describe a point. @default 20; above n - 1 it becomes n - 1. */
  neighbours?: number;
  /** @default "euclidean" */
  metric?: Metric;
  /** Share of the fitted points to call outliers, in (0, 0.5]; absent: the fixed boundary 1.5. */
  contamination?: number;
  /** Reachability distances are never below this, in units of the data; 0 is scikit-learn. @default 0 */
  resolution?: number;
}

export interface LofBatch {
  /** LOF of each fitted row: about 1 inside a cluster, higher is more anomalous. = -`negative_outlier_factor_`. */
  readonly scores: Float64Array;
  /** Outlier when the score is above it. = -`offset_`. */
  readonly boundary: number;
}

export interface LofNovelty extends LofBatch {
  /** LOF of a row that was not fitted (a fitted one finds itself as neighbour). = -`score_samples`. */
  scoreOne(x: ArrayLike<number>): number;
}

const LRD_EPSILON = 1e-10; // scikit-learn's guard against a division by zero

/**
 * Local outlier factors of a set of rows, as scikit-learn's `LocalOutlierFactor().fit(rows)`.
 *
 * Ties:   exactly k neighbours; which of several rows at the k-th distance is kept is decided as scikit-learn's
 *         brute-force search does (a bounded max-heap fed in row order).
 * Cost:   O(n^2 d) time, O(n k) memory.
 * Errors: AD_OPTION_INVALID; AD_INPUT_INVALID for fewer than 2 rows, ragged rows or a value that is not finite.
 * Source: Breunig et al., "LOF", SIGMOD 2000; scikit-learn 1.9.1.
 */
export function lofBatch(rows: readonly ArrayLike<number>[], options: LofOptions = {}): LofBatch {
  const fit = fitLof(rows, options);
  return { scores: fit.scores, boundary: fit.boundary };
}

/**
 * Fits once, then scores new rows against the frozen fit, as scikit-learn's `LocalOutlierFactor(novelty=True)`.
 * Scoring costs O(n d). See `lofBatch`.
 */
export function lofNovelty(rows: readonly ArrayLike<number>[], options: LofOptions = {}): LofNovelty {
  const fit = fitLof(rows, options);
  const { k, metric, floor, points, kDistance, lrd } = fit;
  const n = rows.length;
  const row = new Float64Array(points.length / n);
  const to = new Float64Array(n);
  const heap = new NearestHeap(k);
  return {
    scores: fit.scores,
    boundary: fit.boundary,
    scoreOne(x) {
      if (x.length !== row.length)
        throw new AnomalyError("AD_INPUT_INVALID", `expected ${row.length} features, got ${x.length}`);
      for (let f = 0; f < row.length; f++) row[f] = finite(x[f]);
      distances(metric, points, row, 0, n, to);
      heap.clear();
      for (let i = 0; i < n; i++) heap.push(to[i] as number, i);
      let reach = 0;
      let density = 0;
      for (let i = 0; i < k; i++) {
        const o = heap.rows[i] as number;
        reach += Math.max(kDistance[o] as number, heap.values[i] as number, floor);
        density += lrd[o] as number;
      }
      return (density / k) * (reach / k + LRD_EPSILON);
    },
  };
}

function fitLof(rows: readonly ArrayLike<number>[], options: LofOptions) {
  const metric = metricOption(options.metric ?? "euclidean");
  const floor = numberOption("resolution", options.resolution ?? 0, 0);
  const n = rows.length;
  if (n < 2) throw new AnomalyError("AD_INPUT_INVALID", `LOF needs at least 2 rows, got ${n}`);
  const k = Math.min(integerOption("neighbours", options.neighbours ?? 20, 1), n - 1);
  const points = flatten(rows);
  const { index, distance } = neighboursWithin(points, n, k, metric);
  const kDistance = new Float64Array(n);
  for (let i = 0; i < n; i++) kDistance[i] = distance[i * k + k - 1] as number;
  const lrd = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let reach = 0;
    for (let j = i * k; j < i * k + k; j++)
      reach += Math.max(kDistance[index[j] as number] as number, distance[j] as number, floor);
    lrd[i] = 1 / (reach / k + LRD_EPSILON);
  }
  const scores = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let density = 0;
    for (let j = i * k; j < i * k + k; j++) density += lrd[index[j] as number] as number;
    scores[i] = density / k / (lrd[i] as number);
  }
  return { k, metric, floor, points, kDistance, lrd, scores, boundary: boundaryOf(scores, options.contamination) };
}

/** The k nearest other rows of each row, nearest first. */
function neighboursWithin(points: Float64Array, n: number, k: number, metric: Metric) {
  const dims = points.length / n;
  const index = new Int32Array(n * k);
  const distance = new Float64Array(n * k);
  const to = new Float64Array(n);
  // scikit-learn asks for k + 1 and then removes the row itself, or, when duplicates crowded it out, the first found.
  const heap = new NearestHeap(k + 1);
  for (let i = 0; i < n; i++) {
    distances(metric, points, points.subarray(i * dims, (i + 1) * dims), 0, n, to);
    heap.clear();
    for (let j = 0; j < n; j++) heap.push(to[j] as number, j);
    heap.sort();
    const self = Math.max(heap.rows.indexOf(i), 0);
    for (let j = 0, at = i * k; j <= k; j++) {
      if (j === self) continue;
      index[at] = heap.rows[j] as number;
      distance[at++] = heap.values[j] as number;
    }
  }
  return { index, distance };
}

/** 1.5, or the value below which `1 - contamination` of the scores lie (linear interpolation, as numpy.percentile). */
function boundaryOf(scores: Float64Array, contamination: number | undefined): number {
  if (contamination === undefined) return 1.5;
  numberOption("contamination", contamination, Number.MIN_VALUE, 0.5);
  const sorted = scores.slice().sort();
  const at = (1 - contamination) * (sorted.length - 1);
  const low = Math.floor(at);
  const a = sorted[low] as number;
  const b = sorted[Math.min(low + 1, sorted.length - 1)] as number;
  return a + (b - a) * (at - low);
}

function flatten(rows: readonly ArrayLike<number>[]): Float64Array {
  const dims = rows[0]?.length ?? 0;
  const points = new Float64Array(rows.length * dims);
  for (let i = 0, at = 0; i < rows.length; i++) {
    const row = rows[i] as ArrayLike<number>;
    if (row.length !== dims || dims === 0)
      throw new AnomalyError("AD_INPUT_INVALID", `row ${i} has ${row.length} values, the first has ${dims}`);
    for (let f = 0; f < dims; f++) points[at++] = finite(row[f]);
  }
  return points;
}

function finite(value: number | undefined): number {
  if (value === undefined || !Number.isFinite(value))
    throw new AnomalyError("AD_INPUT_INVALID", `batch LOF needs finite values, got ${value}`);
  return value;
}

/**
 * The `size` smallest values pushed, as a max-heap. A value equal to the largest kept is refused, and eviction follows
 * the sift-down of scikit-learn's `heap_push`, so that ties fall as they fall there.
 */
class NearestHeap {
  readonly values: Float64Array;
  readonly rows: Int32Array;
  private readonly order: number[];

  constructor(size: number) {
    this.values = new Float64Array(size);
    this.rows = new Int32Array(size);
    this.order = Array.from({ length: size }, (_, i) => i);
  }

  clear(): void {
    this.values.fill(Number.MAX_VALUE);
    this.rows.fill(0);
  }

  push(value: number, row: number): void {
    const { values, rows } = this;
    if (value >= (values[0] as number)) return;
    const size = values.length;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      if (left >= size) break;
      const larger = right >= size || (values[left] as number) >= (values[right] as number) ? left : right;
      if (value >= (values[larger] as number)) break;
      values[at] = values[larger] as number;
      rows[at] = rows[larger] as number;
      at = larger;
    }
    values[at] = value;
    rows[at] = row;
  }

  /** Nearest first, equal values in row order. */
  sort(): void {
    const values = this.values.slice();
    const rows = this.rows.slice();
    for (let i = 0; i < this.order.length; i++) this.order[i] = i;
    this.order.sort(
      (a, b) => (values[a] as number) - (values[b] as number) || (rows[a] as number) - (rows[b] as number),
    );
    for (let i = 0; i < this.order.length; i++) {
      this.values[i] = values[this.order[i] as number] as number;
      this.rows[i] = rows[this.order[i] as number] as number;
    }
  }
}

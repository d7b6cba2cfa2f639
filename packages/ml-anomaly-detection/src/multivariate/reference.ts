import type { ByteReader, ByteWriter } from "../core/bytes.js";
import { fQuantile } from "../core/special.js";

/**
 * Rows that make a fair training: 100, twice the features, or, smoothed, as many as are worth 3.5 independent rows more
 * than there are features (with fewer the prediction limit runs off to infinity); and 5/3 `span` to settle before.
 */
export function trainingRows(dimensions: number, span: number): number {
  return settlingRows(span) + Math.max(100, 2 * dimensions, Math.ceil(span * (dimensions + 3.5)));
}

function settlingRows(span: number): number {
  return span > 1 ? Math.ceil((5 / 3) * span) : 0;
}

/**
 * What is normal for rows of several features: the mean and covariance of exponentially smoothed rows.
 *
 * The first `train` rows teach it; the smoothed row needs 5/3 `span` of them to settle and those teach nothing.
 * Afterwards the covariance stands and the mean follows with a memory of `memory` rows, while `follow` is true.
 */
export class Reference {
  readonly dimensions: number;
  /** Smoothed row. */
  readonly smooth: Float64Array;
  readonly mean: Float64Array;
  /** Sum of products of deviations, row-major. */
  readonly scatter: Float64Array;
  /** Rows behind `scatter`. */
  taught = 0;
  private rows = 0;
  private readonly span: number;
  private readonly train: number;
  private readonly memory: number;
  private readonly settle: number;

  constructor(dimensions: number, { span, train, memory }: { span: number; train: number; memory: number }) {
    this.dimensions = dimensions;
    this.span = span;
    this.train = train;
    this.memory = memory;
    this.settle = settlingRows(span);
    this.smooth = new Float64Array(dimensions);
    this.mean = new Float64Array(dimensions);
    this.scatter = new Float64Array(dimensions * dimensions);
  }

  get trained(): boolean {
    return this.rows >= this.train;
  }

  /** Weight of the newest row in the smoothed one. */
  get weight(): number {
    return 2 / (this.span + 1);
  }

  /** How many independent rows the training is worth: smoothing makes neighbours alike. */
  get effectiveRows(): number {
    return (this.taught * this.weight) / (2 - this.weight);
  }

  /** Deviation from the mean of the smoothed row that `row` would give, into `out`. Changes nothing. */
  deviation(row: Float64Array, out: Float64Array): void {
    const weight = this.rows === 0 ? 1 : this.weight;
    for (let f = 0; f < this.dimensions; f++) {
      const before = this.smooth[f] as number;
      out[f] = before + weight * ((row[f] as number) - before) - (this.mean[f] as number);
    }
  }

  /** Takes the row in; `follow`: whether a trained mean may move towards it. */
  add(row: Float64Array, follow: boolean): void {
    const { smooth, mean, scatter, dimensions } = this;
    const weight = this.rows === 0 ? 1 : this.weight;
    for (let f = 0; f < dimensions; f++)
      smooth[f] = (smooth[f] as number) + weight * ((row[f] as number) - (smooth[f] as number));
    this.rows++;
    if (this.rows > this.train) {
      if (!follow) return;
      for (let f = 0; f < dimensions; f++)
        mean[f] = (mean[f] as number) + ((smooth[f] as number) - (mean[f] as number)) / this.memory;
    } else if (this.rows > this.settle) {
      this.taught++;
      const share = 1 - 1 / this.taught;
      for (let f = 0; f < dimensions; f++) {
        const gap = share * ((smooth[f] as number) - (mean[f] as number));
        for (let g = 0; g < dimensions; g++) {
          const other = (smooth[g] as number) - (mean[g] as number);
          scatter[f * dimensions + g] = (scatter[f * dimensions + g] as number) + gap * other;
        }
      }
      for (let f = 0; f < dimensions; f++)
        mean[f] = (mean[f] as number) + ((smooth[f] as number) - (mean[f] as number)) / this.taught;
    }
  }

  memoryBytes(): number {
    return (3 * this.dimensions + this.dimensions ** 2) * 8 + 64;
  }

  save(to: ByteWriter): void {
    to.f64(this.rows).f64(this.taught).f64s(this.smooth).f64s(this.mean).f64s(this.scatter);
  }

  load(from: ByteReader): void {
    this.rows = from.f64();
    this.taught = from.f64();
    from.f64s(this.smooth);
    from.f64s(this.mean);
    from.f64s(this.scatter);
  }
}

/**
 * Limit of T-squared for one new row when mean and covariance of `p` features come from `n` independent rows: it is
 * exceeded with probability `risk` if nothing changed. Far above the chi-square limit while n is small.
 *
 * Source: Hotelling 1931; prediction form p (n+1)(n-1) / (n (n-p)) F(p, n-p).
 */
export function hotellingLimit(risk: number, p: number, n: number): number {
  // With hardly more rows than features the limit is infinite in theory: half a degree of freedom keeps it a number.
  const rest = Math.max(n - p, 0.5);
  const rows = p + rest;
  return ((p * (rows + 1) * (rows - 1)) / (rows * rest)) * fQuantile(risk, p, rest);
}

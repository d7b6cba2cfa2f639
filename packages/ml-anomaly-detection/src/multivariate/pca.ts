import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Detector, Input } from "../core/detector.js";
import { integerOption, numberOption } from "../core/errors.js";
import { type FeatureOption, FeatureReader } from "../core/features.js";
import { chiSquareQuantile } from "../core/special.js";
import { symmetricEigen } from "./linear.js";
import type { MahalanobisOptions } from "./mahalanobis.js";
import { hotellingLimit, Reference, trainingRows } from "./reference.js";

export interface PcaOptions extends MahalanobisOptions {
  features?: FeatureOption;
  /** Share of the variance of the standardised features that the kept components explain. @default 0.9 */
  explained?: number;
}

/**
 * Two statistics of rows against the principal components of the training: T-squared, how far out a row lies within
 * the usual pattern, and Q, how far it lies off the pattern (squared residual). Features are standardised first.
 *
 * Score:   max(T-squared / limit, Q / limit): above 1 one of them is beyond its limit of `risk`.
 * Missing: the last learned value of that feature.
 * State:   O(d^2); O(d^2) a row, O(d^3) once after training.
 * Errors:  AD_OPTION_INVALID, AD_INPUT_INVALID, AD_STATE_INVALID.
 * Source:  Jackson & Mudholkar, Technometrics 1979; limit of Q after Box 1954 (g times chi-square with h degrees).
 */
export function pcaMonitor(options: PcaOptions = {}): Detector {
  return new PcaMonitor(options);
}

class PcaMonitor implements Detector {
  readonly kind = "pcaMonitor";
  readonly dimensions: number;
  private readonly reader: FeatureReader;
  private readonly reference: Reference;
  private readonly risk: number;
  private readonly explained: number;
  private readonly optionText: string;
  private readonly scale: Float64Array;
  private vectors: Float64Array;
  private values: Float64Array;
  private kept = 0;
  private limitT = Number.NaN;
  private limitQ = Number.NaN;
  private readonly gap: Float64Array;
  private readonly residual: Float64Array;
  private readonly shares: Float64Array;

  constructor(options: PcaOptions) {
    this.reader = new FeatureReader(options.features);
    const d = this.reader.dimensions;
    this.dimensions = d;
    const span = numberOption("span", options.span ?? 1, 1, 1e6);
    const train = integerOption("train", options.train ?? trainingRows(d, span), d + 2 + Math.ceil(2 * span));
    const memory = options.memory ?? 4000;
    if (memory !== Number.POSITIVE_INFINITY) numberOption("memory", memory, 1);
    this.risk = numberOption("risk", options.risk ?? 0.03, 1e-12, 0.5);
    this.explained = numberOption("explained", options.explained ?? 0.9, 0.01, 1);
    this.reference = new Reference(d, { span, train, memory });
    this.optionText = JSON.stringify([this.reader.describe(), span, train, String(memory), this.risk, this.explained]);
    this.scale = new Float64Array(d);
    this.vectors = new Float64Array(d * d);
    this.values = new Float64Array(d);
    this.gap = new Float64Array(d);
    this.residual = new Float64Array(d);
    this.shares = new Float64Array(d);
  }

  scoreOne(x: Input): number | undefined {
    return this.score(this.reader.read(x));
  }

  learnOne(x: Input): void {
    this.process(x);
  }

  process(x: Input): number | undefined {
    const row = this.reader.learn(x);
    const score = this.score(row);
    this.reference.add(row, score !== undefined && score <= 1);
    return score;
  }

  /** Each feature's share of the squared standardised residual, or of the deviation when the residual is small. */
  explain(x: Input): Float64Array {
    const { shares, residual, gap, dimensions } = this;
    shares.fill(0);
    const row = this.reader.read(x);
    if (this.score(row) === undefined) return shares;
    const offPattern = this.lastQ / this.limitQ >= this.lastT / this.limitT;
    const source = offPattern ? residual : gap;
    let total = 0;
    for (let f = 0; f < dimensions; f++) {
      shares[f] = (source[f] as number) ** 2;
      total += shares[f] as number;
    }
    for (let f = 0; f < dimensions; f++) shares[f] = total > 0 ? (shares[f] as number) / total : 0;
    return shares;
  }

  private lastT = 0;
  private lastQ = 0;

  private score(row: Float64Array): number | undefined {
    const { reference, dimensions, gap, residual, vectors, values, kept } = this;
    if (!reference.trained) return undefined;
    if (Number.isNaN(this.limitT)) {
      this.freeze();
      return this.score(row);
    }
    reference.deviation(row, gap);
    for (let f = 0; f < dimensions; f++) {
      gap[f] = (gap[f] as number) / (this.scale[f] as number);
      residual[f] = gap[f] as number;
    }
    let t = 0;
    for (let c = 0; c < kept; c++) {
      let along = 0;
      for (let f = 0; f < dimensions; f++) along += (gap[f] as number) * (vectors[c * dimensions + f] as number);
      t += (along * along) / (values[c] as number);
      for (let f = 0; f < dimensions; f++)
        residual[f] = (residual[f] as number) - along * (vectors[c * dimensions + f] as number);
    }
    let q = 0;
    for (let f = 0; f < dimensions; f++) q += (residual[f] as number) ** 2;
    this.lastT = t;
    this.lastQ = q;
    return Math.min(Math.max(t / this.limitT, q / this.limitQ), Number.MAX_VALUE);
  }

  private freeze(): void {
    const { reference, dimensions, scale } = this;
    const n = reference.taught;
    for (let f = 0; f < dimensions; f++) {
      const sd = Math.sqrt((reference.scatter[f * dimensions + f] as number) / n);
      scale[f] = sd > 0 ? sd : 1;
    }
    const correlation = reference.scatter.map((sum, at) => {
      const [f, g] = [Math.floor(at / dimensions), at % dimensions];
      const value = sum / n / (scale[f] as number) / (scale[g] as number);
      return Number.isFinite(value) ? value : 0;
    });
    const { values, vectors } = symmetricEigen(correlation, dimensions);
    this.values = values.map((value) => Math.max(value, 1e-9));
    this.vectors = vectors;
    const total = this.values.reduce((sum, value) => sum + value, 0);
    let sum = 0;
    for (this.kept = 0; this.kept < dimensions && sum < this.explained * total; this.kept++)
      sum += this.values[this.kept] as number;
    this.limitT = hotellingLimit(this.risk, this.kept, reference.effectiveRows);
    this.limitQ = this.limitOfResidual(reference.effectiveRows);
  }

  private limitOfResidual(rows: number): number {
    const left = this.values.subarray(this.kept);
    if (left.length === 0) return Number.MAX_VALUE; // nothing lies off a pattern that has every component
    const first = left.reduce((sum, value) => sum + value, 0);
    const second = left.reduce((sum, value) => sum + value * value, 0);
    const degrees = (first * first) / second;
    // The smallest eigenvalues from few rows are far too small: the widening of T-squared over all of the features.
    const wide = hotellingLimit(this.risk, this.dimensions, rows) / chiSquareQuantile(this.risk, this.dimensions);
    return (second / first) * chiSquareQuantile(this.risk, degrees) * wide;
  }

  memoryBytes(): number {
    return this.reference.memoryBytes() + this.vectors.byteLength + 7 * 8 * this.dimensions;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText);
    this.reader.save(to);
    this.reference.save(to);
    return to.done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.reader.load(from);
    this.reference.load(from);
    this.limitT = Number.NaN;
    from.done();
  }
}

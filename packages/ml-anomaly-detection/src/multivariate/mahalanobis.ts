import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Detector, Input } from "../core/detector.js";
import { integerOption, numberOption } from "../core/errors.js";
import { type FeatureOption, FeatureReader } from "../core/features.js";
import { choleskyOf, solveLower, solveUpper } from "./linear.js";
import { hotellingLimit, Reference, trainingRows } from "./reference.js";

export interface MahalanobisOptions {
  /** Number of features, or their names. @default 1 */
  features?: FeatureOption;
  /** Rows an exponential smoothing spans; 1 is none. Smoothing finds small lasting changes, later. @default 1 */
  span?: number;
  /** Rows that say what is normal; scores begin after them. @default `trainingRows(features, span)` */
  train?: number;
  /** Chance that an unchanged row is beyond the limit, in (0, 1). @default 0.03 */
  risk?: number;
  /** Rows over which the mean follows slow drift after training; Infinity: not at all. @default 4000 */
  memory?: number;
}

/**
 * Mahalanobis distance (Hotelling's T-squared) of smoothed rows from the rows of the training.
 *
 * Score:   T-squared / limit: above 1 the row is beyond the prediction limit of `risk`. The limit knows how few
 *          independent rows smoothing left to learn from, so a short training gives a wide limit, not false alarms.
 * Missing: the last learned value of that feature.
 * Drift:   after training the covariance stands; the mean follows rows below the limit.
 * State:   O(d^2); O(d^2) a row.
 * Errors:  AD_OPTION_INVALID, AD_INPUT_INVALID, AD_STATE_INVALID.
 */
export function mahalanobis(options: MahalanobisOptions = {}): Detector {
  return new Mahalanobis(options);
}

class Mahalanobis implements Detector {
  readonly kind = "mahalanobis";
  readonly dimensions: number;
  private readonly reader: FeatureReader;
  private readonly reference: Reference;
  private readonly risk: number;
  private readonly optionText: string;
  private readonly factor: Float64Array;
  private readonly gap: Float64Array;
  private readonly shares: Float64Array;
  private limit = Number.NaN;

  constructor(options: MahalanobisOptions) {
    this.reader = new FeatureReader(options.features);
    const d = this.reader.dimensions;
    this.dimensions = d;
    const span = numberOption("span", options.span ?? 1, 1, 1e6);
    const train = integerOption("train", options.train ?? trainingRows(d, span), d + 2 + Math.ceil(2 * span));
    const memory = options.memory ?? 4000;
    if (memory !== Number.POSITIVE_INFINITY) numberOption("memory", memory, 1);
    this.risk = numberOption("risk", options.risk ?? 0.03, 1e-12, 0.5);
    this.reference = new Reference(d, { span, train, memory });
    this.optionText = JSON.stringify([this.reader.describe(), span, train, String(memory), this.risk]);
    this.factor = new Float64Array(d * d);
    this.gap = new Float64Array(d);
    this.shares = new Float64Array(d);
  }

  scoreOne(x: Input): number | undefined {
    return this.score(this.reader.read(x));
  }

  learnOne(x: Input): void {
    const row = this.reader.learn(x);
    const score = this.score(row);
    this.reference.add(row, score !== undefined && score <= 1);
  }

  process(x: Input): number | undefined {
    const row = this.reader.learn(x);
    const score = this.score(row);
    this.reference.add(row, score !== undefined && score <= 1);
    return score;
  }

  /** Each feature's share: deviation times its entry in (inverse covariance x deviation), where that is positive. */
  explain(x: Input): Float64Array {
    const { gap, shares, dimensions } = this;
    shares.fill(0);
    const row = this.reader.read(x);
    if (this.score(row) === undefined) return shares;
    this.reference.deviation(row, shares);
    solveUpper(this.factor, dimensions, gap); // score() left the half-solved deviation there
    let total = 0;
    for (let f = 0; f < dimensions; f++) {
      const part = Math.max((shares[f] as number) * (gap[f] as number), 0);
      shares[f] = part;
      total += part;
    }
    for (let f = 0; f < dimensions; f++) shares[f] = total > 0 ? (shares[f] as number) / total : 0;
    return shares;
  }

  private score(row: Float64Array): number | undefined {
    const { reference, dimensions } = this;
    if (!reference.trained) return undefined;
    if (Number.isNaN(this.limit)) this.freeze();
    reference.deviation(row, this.gap);
    return Math.min(solveLower(this.factor, dimensions, this.gap) / this.limit, Number.MAX_VALUE);
  }

  private freeze(): void {
    const { reference, dimensions } = this;
    choleskyOf(reference.scatter, reference.taught, dimensions, this.factor);
    this.limit = hotellingLimit(this.risk, dimensions, reference.effectiveRows);
  }

  memoryBytes(): number {
    return this.reference.memoryBytes() + this.factor.byteLength + 4 * 8 * this.dimensions;
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
    this.limit = Number.NaN; // factor and limit follow from the reference
    from.done();
  }
}

import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Detector, Input } from "../core/detector.js";
import { integerOption } from "../core/errors.js";
import { type FeatureOption, FeatureReader } from "../core/features.js";

export interface DiscordOptions {
  /** A name for the one feature, or 1. @default 1 */
  features?: FeatureOption;
  /** Values of a subsequence: about the length of what repeats, or of what may go wrong. */
  length: number;
  /** Earlier values searched, at least 4 x length. @default 16 x length, at least 1,000 */
  window?: number;
}

/** A product that leaves a sum this many times smaller than itself leaves rounding behind: the sum is made anew. */
const SWAMPED = 1e6;
/** Spreads below this share of the size of the values are rounding: such a subsequence is constant. */
const FLAT = 1e-10;

/**
 * Distance of the newest `length` values, as a shape, from the most similar earlier shape: the left matrix profile, value
 * by value. Level and size are taken out (z-normalised), so only the form counts.
 *
 * Score:   z-normalised Euclidean distance to the nearest subsequence that ended at least `length` / 4 rows before, in
 *          [0, 2 sqrt(length)]; `undefined` for the first 2 x length rows. Calibrate by quantile.
 * Flat:    a constant subsequence is at distance 0 of another and sqrt(length) of any other.
 * Missing: the last learned value.
 * State:   5 x window numbers. O(window) a row: what earlier products of sums are known is carried over, and one of them
 *          is computed anew each row so that rounding never gathers.
 * Errors:  AD_OPTION_INVALID, AD_INPUT_INVALID, AD_STATE_INVALID.
 * Source:  Yeh et al., "Matrix profile I", ICDM 2016; left and streaming as in STUMPY's `stumpi`.
 */
export function discord(options: DiscordOptions): Detector {
  return new Discord(options);
}

class Discord implements Detector {
  readonly kind = "discord";
  readonly dimensions = 1;
  private readonly reader: FeatureReader;
  private readonly length: number;
  private readonly window: number;
  private readonly optionText: string;
  /** Values since the first one, which is taken off all: what is large and common would cost digits. */
  private origin = 0;
  private rows = 0;
  private readonly values: Float64Array;
  /** Mean and deviation of the subsequence that ends at each value; deviation 0 means flat. */
  private readonly mean: Float64Array;
  private readonly deviation: Float64Array;
  /** Products of the newest subsequence with the one that ends `lag` rows before, by lag. */
  private readonly products: Float64Array;
  private readonly swamped: Int32Array;
  private readonly share = new Float64Array(1);
  // Of the subsequence looked at last.
  private newMean = 0;
  private newDeviation = 0;

  constructor(options: DiscordOptions) {
    this.reader = new FeatureReader(options.features);
    integerOption("features", this.reader.dimensions, 1, 1);
    this.length = integerOption("length", options.length, 3, 100_000);
    const window = options.window ?? Math.max(16 * this.length, 1000);
    this.window = integerOption("window", window, 4 * this.length, 10_000_000);
    this.optionText = JSON.stringify([this.reader.describe(), this.length, this.window]);
    this.values = new Float64Array(this.window);
    this.mean = new Float64Array(this.window);
    this.deviation = new Float64Array(this.window);
    this.products = new Float64Array(this.window);
    this.swamped = new Int32Array(this.window);
  }

  scoreOne(x: Input): number | undefined {
    const value = this.reader.read(x)[0] as number;
    return this.rows < 2 * this.length ? undefined : this.score(value - this.origin);
  }

  learnOne(x: Input): void {
    this.learn(this.reader.learn(x)[0] as number);
  }

  process(x: Input): number | undefined {
    const value = this.reader.learn(x)[0] as number;
    const score = this.rows < 2 * this.length ? undefined : this.score(value - this.origin);
    this.learn(value);
    return score;
  }

  explain(x: Input): Float64Array {
    this.share[0] = (this.scoreOne(x) ?? 0) > 0 ? 1 : 0;
    return this.share;
  }

  /** The value `back` rows before the one to come; 1 is the newest learned. */
  private slot(back: number): number {
    return (this.rows - back) % this.window;
  }

  private score(value: number): number {
    const { length, mean, deviation } = this;
    this.describe(value);
    const furthest = Math.min(this.rows, this.window) - length + 1; // the whole subsequence must still be held
    let best = Number.NEGATIVE_INFINITY;
    for (let lag = Math.ceil(length / 4) + 1; lag <= furthest; lag++) {
      const at = this.slot(lag);
      const other = deviation[at] as number;
      let likeness: number;
      if (this.newDeviation === 0 || other === 0) likeness = this.newDeviation === other ? 1 : 0.5;
      else {
        const product = lag < furthest ? this.productWith(value, lag) : this.productWithOldest(value, lag);
        likeness = (product / length - this.newMean * (mean[at] as number)) / (this.newDeviation * other);
      }
      if (likeness > best) best = likeness;
    }
    return Math.sqrt(2 * length * (1 - Math.min(Math.max(best, -1), 1))); // rounding may pass either end
  }

  /** Mean and deviation of the subsequence that `value` would end. */
  private describe(value: number): void {
    const { length, values } = this;
    this.newMean = 0;
    this.newDeviation = 0;
    if (this.rows < length - 1) return;
    let sum = value;
    let most = Math.abs(value);
    for (let back = 1; back < length; back++) {
      const other = values[this.slot(back)] as number;
      sum += other;
      most = Math.max(most, Math.abs(other));
    }
    const mean = sum / length;
    let squares = (value - mean) ** 2;
    for (let back = 1; back < length; back++) squares += ((values[this.slot(back)] as number) - mean) ** 2;
    const deviation = Math.sqrt(squares / length);
    this.newMean = mean;
    this.newDeviation = deviation > FLAT * most ? deviation : 0;
  }

  /** Product of the subsequence that `value` would end with the one `lag` rows before, from that of the newest two. */
  private productWith(value: number, lag: number): number {
    const { values, length } = this;
    const leaving = (values[this.slot(length)] as number) * (values[this.slot(length + lag)] as number);
    return (this.products[lag] as number) + value * (values[this.slot(lag)] as number) - leaving;
  }

  /** The same from the values: before the oldest subsequence there is none to go on from. */
  private productWithOldest(value: number, lag: number): number {
    let sum = value * (this.values[this.slot(lag)] as number);
    for (let back = 1; back < this.length; back++)
      sum += (this.values[this.slot(back)] as number) * (this.values[this.slot(back + lag)] as number);
    return sum;
  }

  private learn(raw: number): void {
    if (this.rows === 0) this.origin = raw;
    const value = raw - this.origin;
    const { length, values, products, window } = this;
    this.describe(value);
    const furthest = Math.min(this.rows, window) - length;
    const size = SWAMPED * length * (Math.abs(this.newMean) + this.newDeviation);
    let swamped = 0;
    for (let lag = 1; lag <= furthest; lag++) {
      const other = this.slot(lag);
      const leaving = Math.abs((values[this.slot(length)] as number) * (values[this.slot(length + lag)] as number));
      products[lag] = this.productWith(value, lag);
      if (leaving > size * (Math.abs(this.mean[other] as number) + (this.deviation[other] as number)))
        this.swamped[swamped++] = lag;
    }
    const at = this.rows % window;
    values[at] = value;
    this.mean[at] = this.newMean;
    this.deviation[at] = this.newDeviation;
    this.rows++;
    // From the values themselves: the longest lag, which is new while the window fills, and one more in turn.
    if (furthest >= 0) this.renew(furthest + 1);
    if (furthest >= 1) this.renew(1 + (this.rows % furthest));
    for (let i = 0; i < swamped; i++) this.renew(this.swamped[i] as number);
  }

  private renew(lag: number): void {
    const { values, length } = this;
    if (lag + length > Math.min(this.rows, this.window)) return;
    let sum = 0;
    for (let back = 1; back <= length; back++)
      sum += (values[this.slot(back)] as number) * (values[this.slot(back + lag)] as number);
    this.products[lag] = sum;
  }

  memoryBytes(): number {
    return 4 * this.values.byteLength + this.swamped.byteLength + 96;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText).f64(this.rows).f64(this.origin);
    this.reader.save(to);
    const held = Math.min(this.rows, this.window);
    to.f64s(this.values, 0, held).f64s(this.mean, 0, held).f64s(this.deviation, 0, held);
    return to.f64s(this.products).done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.rows = from.f64();
    this.origin = from.f64();
    this.reader.load(from);
    from.f64s(this.values);
    from.f64s(this.mean);
    from.f64s(this.deviation);
    from.f64s(this.products);
    from.done();
  }
}

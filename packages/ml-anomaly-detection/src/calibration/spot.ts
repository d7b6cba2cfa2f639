import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Detector, Input } from "../core/detector.js";
import { integerOption, numberOption } from "../core/errors.js";
import { type FeatureOption, FeatureReader } from "../core/features.js";
import { fitTail } from "./pareto.js";

export interface SpotOptions {
  /** Name of the one feature, or nothing. @default 1 */
  features?: FeatureOption;
  /** Chance that an unchanged value alarms, in (0, 0.1]. @default 1e-4 */
  risk?: number;
  /** Quantile of the first values above which the tail is modelled, in (0.5, 1). @default 0.98 */
  level?: number;
  /** Values before the first score. @default 1000 */
  warmUp?: number;
  /** Values are taken relative to the mean of the last `depth` normal ones (DSPOT); 0: as they are. @default 0 */
  depth?: number;
  /** Newest excesses the tail is fitted to. @default 512 */
  excesses?: number;
}

export interface Spot extends Detector {
  /** The value above which the next one alarms, in units of the data; `undefined` while warming up. */
  readonly threshold: number | undefined;
  /** The score of that value: -log10(risk). */
  readonly boundary: number;
}

const GREATEST = 300;

/**
 * SPOT: a threshold for a chosen risk, from the theory of extreme values; it fits the tail of whatever comes in, raw
 * scores of another detector included, and follows it.
 *
 * Score:   -log10 of the chance of a value as large, 0 to 300: above `boundary` exactly when above `threshold`. Below the
 *          tail (`level`) it only orders. `undefined` for the warm-up and for a missing value.
 * Learns:  every value, but an alarm as one at most twice as far into the tail as the threshold. The paper leaves alarms
 *          out; then each true one cuts the tail, and alarms come 3 to 5 times as often as `risk` (measured; so: 1.0 to 1.3).
 * Trap:    the theory wants independent values. In autocorrelated data alarms come in clusters.
 * State:   warm-up values, `excesses` and `depth` numbers. O(1) a value; O(excesses) logarithms x 100 for one in the tail.
 * Errors:  AD_OPTION_INVALID, AD_INPUT_INVALID, AD_STATE_INVALID.
 * Source:  Siffer et al., "Anomaly detection in streams with extreme value theory", KDD 2017.
 */
export function spot(options: SpotOptions = {}): Spot {
  return new StreamingTail(options);
}

class StreamingTail implements Spot {
  readonly kind = "spot";
  readonly dimensions = 1;
  readonly boundary: number;
  private readonly reader: FeatureReader;
  private readonly risk: number;
  private readonly level: number;
  private readonly depth: number;
  private readonly optionText: string;
  private readonly early: Float64Array;
  private readonly recent: Float64Array;
  private recentSum = 0;
  private recentCount = 0;
  private gathered = 0;
  private readonly excess: Float64Array;
  private excessCount = 0;
  /** Values taken since the start, and how many of them were in the tail. */
  private taken = 0;
  private inTail = 0;
  private start = 0;
  private scale = 0;
  private shape = 0;
  private readonly share = new Float64Array(1);

  constructor(options: SpotOptions) {
    this.reader = new FeatureReader(options.features, true);
    if (this.reader.dimensions !== 1) integerOption("features", this.reader.dimensions, 1, 1);
    this.risk = numberOption("risk", options.risk ?? 1e-4, 1e-12, 0.1);
    this.level = numberOption("level", options.level ?? 0.98, 0.5, 0.9999);
    const warmUp = integerOption("warmUp", options.warmUp ?? 1000, 20, 10_000_000);
    this.depth = integerOption("depth", options.depth ?? 0, 0, 10_000_000);
    const excesses = integerOption("excesses", options.excesses ?? 512, 10, 1_000_000);
    this.optionText = JSON.stringify([this.reader.describe(), this.risk, this.level, warmUp, this.depth, excesses]);
    this.boundary = -Math.log10(this.risk);
    this.early = new Float64Array(warmUp);
    this.recent = new Float64Array(this.depth);
    this.excess = new Float64Array(excesses);
  }

  get threshold(): number | undefined {
    return this.gathered < this.early.length ? undefined : this.level0() + this.limit();
  }

  scoreOne(x: Input): number | undefined {
    const value = this.reader.read(x)[0] as number;
    if (Number.isNaN(value) || this.gathered < this.early.length) return undefined;
    return this.score(value - this.level0());
  }

  learnOne(x: Input): void {
    const value = this.reader.read(x)[0] as number;
    if (!Number.isNaN(value)) this.learn(value);
  }

  process(x: Input): number | undefined {
    const value = this.reader.read(x)[0] as number;
    if (Number.isNaN(value)) return undefined;
    const score = this.gathered < this.early.length ? undefined : this.score(value - this.level0());
    this.learn(value);
    return score;
  }

  explain(x: Input): Float64Array {
    this.share[0] = (this.scoreOne(x) ?? 0) > this.boundary ? 1 : 0;
    return this.share;
  }

  /** What values are taken relative to. */
  private level0(): number {
    return this.recentCount === 0 ? 0 : this.recentSum / this.recentCount;
  }

  private score(x: number): number {
    const tail = Math.max(this.inTail, 1) / Math.max(this.taken, 1);
    const atStart = -Math.log10(tail);
    const over = x - this.start;
    const unit = this.scale > 0 ? this.scale : 1;
    if (over <= 0) return atStart / (1 - over / unit);
    let nepers = over / unit;
    if (Math.abs(this.shape) > 1e-9) {
      const base = 1 + (this.shape * over) / unit;
      nepers = base > 0 ? Math.log(base) / this.shape : Number.POSITIVE_INFINITY;
    }
    const score = Math.min(atStart + nepers / Math.LN10, GREATEST);
    // The formula and its inverse must not disagree about a value at the threshold itself.
    if (x > this.limit()) return Math.max(score, this.boundary + 1e-12);
    return Math.min(score, this.boundary);
  }

  /** Value, relative to `level0`, that is exceeded with chance `risk`. */
  private limit(): number {
    const ratio = (this.risk * this.taken) / Math.max(this.inTail, 1);
    const unit = this.scale > 0 ? this.scale : 1e-9 * Math.abs(this.start) || Number.MIN_VALUE * 1e16;
    if (Math.abs(this.shape) <= 1e-9) return this.start - unit * Math.log(Math.min(ratio, 1));
    return this.start + (unit / this.shape) * (Math.min(ratio, 1) ** -this.shape - 1);
  }

  private learn(value: number): void {
    const x = value - this.level0();
    if (this.gathered < this.early.length) {
      this.early[this.gathered++] = x;
      this.remember(value);
      if (this.gathered === this.early.length) this.begin();
      return;
    }
    const most = this.start + 2 * (this.limit() - this.start);
    this.remember(Math.min(x, most) + this.level0());
    this.taken++;
    if (x <= this.start) return;
    this.inTail++;
    this.excess[this.excessCount++ % this.excess.length] = Math.min(x, most) - this.start;
    this.refit();
  }

  private begin(): void {
    const sorted = this.early.slice().sort(); // once in a detector's life
    this.start = sorted[Math.min(Math.floor(this.level * sorted.length), sorted.length - 1)] as number;
    this.taken = sorted.length;
    for (const x of this.early) {
      if (x <= this.start) continue;
      this.inTail++;
      this.excess[this.excessCount++ % this.excess.length] = x - this.start;
    }
    this.refit();
  }

  private refit(): void {
    const { scale, shape } = fitTail(this.excess, Math.min(this.excessCount, this.excess.length));
    this.scale = scale;
    this.shape = shape;
  }

  private remember(value: number): void {
    if (this.depth === 0) return;
    const slot = this.recentCount < this.depth ? this.recentCount : this.taken % this.depth;
    if (this.recentCount < this.depth) this.recentCount++;
    this.recent[slot] = value;
    let sum = 0; // summed anew: a running sum would keep the rounding of every value that ever passed
    for (let i = 0; i < this.recentCount; i++) sum += this.recent[i] as number;
    this.recentSum = sum;
  }

  memoryBytes(): number {
    return (this.early.length + this.recent.length + this.excess.length) * 8 + 128;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText);
    to.u32(this.gathered).f64(this.taken).f64(this.inTail).f64(this.start).f64(this.scale).f64(this.shape);
    to.f64(this.excessCount).f64(this.recentSum).u32(this.recentCount);
    to.f64s(this.recent, 0, this.recentCount);
    to.f64s(this.excess, 0, Math.min(this.excessCount, this.excess.length));
    if (this.gathered < this.early.length) to.f64s(this.early, 0, this.gathered);
    return to.done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.gathered = from.u32();
    this.taken = from.f64();
    this.inTail = from.f64();
    this.start = from.f64();
    this.scale = from.f64();
    this.shape = from.f64();
    this.excessCount = from.f64();
    this.recentSum = from.f64();
    this.recentCount = from.u32();
    from.f64s(this.recent);
    from.f64s(this.excess);
    if (this.gathered < this.early.length) from.f64s(this.early);
    from.done();
  }
}

import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { DriftDetector } from "../core/detector.js";
import { AnomalyError, integerOption, numberOption } from "../core/errors.js";
import { plainNumber } from "../core/features.js";
import { Random } from "../core/random.js";

export interface WassersteinDriftOptions {
  /** Values that say what is usual. @default 500 */
  reference?: number;
  /** Values compared with them at a time; windows do not overlap. @default 100 */
  window?: number;
  /** Chance of a false change at one window, at least 0.001. @default 0.002 */
  alpha?: number;
  /** @default 1 */
  seed?: number;
}

/** Resampled windows beyond the limit: enough for it to lie within about a third of its chance. */
const BEYOND = 10;

/**
 * Wasserstein distance (p = 1) of two samples: how far, on average, values must move to turn one into the other; in
 * units of the data. O(n log n).
 *
 * Errors: AD_INPUT_INVALID when a sample is empty or holds NaN.
 */
export function wassersteinDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const sorted = [a, b].map((sample) => {
    const values = Float64Array.from(sample);
    if (values.length === 0 || values.some(Number.isNaN))
      throw new AnomalyError("AD_INPUT_INVALID", "a sample needs numbers, and no NaN");
    return values.sort();
  });
  return betweenSorted(sorted[0] as Float64Array, sorted[1] as Float64Array);
}

/** Area between the two empirical distribution functions. */
function betweenSorted(a: Float64Array, b: Float64Array): number {
  let area = 0;
  let i = 0;
  let j = 0;
  let at = Math.min(a[0] as number, b[0] as number);
  while (i < a.length || j < b.length) {
    const next = Math.min(
      i < a.length ? (a[i] as number) : Number.POSITIVE_INFINITY,
      j < b.length ? (b[j] as number) : Number.POSITIVE_INFINITY,
    );
    area += Math.abs(i / a.length - j / b.length) * (next - at);
    while (i < a.length && (a[i] as number) <= next) i++;
    while (j < b.length && (b[j] as number) <= next) j++;
    at = next;
  }
  return area;
}

/**
 * Wasserstein distance between the first values and each following window: sees how far values moved, not only that
 * they did, and needs no bins.
 *
 * Fires when the distance exceeds what windows drawn from the reference itself exceed with chance `alpha` (bootstrap,
 * seeded, once per reference; widened by sqrt(1 + window / reference) because the reference is a sample too). After a
 * change a new reference begins with the window that revealed it.
 * Score:  distance / limit; above 1 exactly when it fires.
 * State:  `reference` + `window` numbers. O(1) a value, O(reference + window log window) a window, and a bootstrap of
 *         10 / alpha windows once per reference.
 * Errors: AD_OPTION_INVALID, AD_STATE_INVALID.
 */
export function wassersteinDrift(options: WassersteinDriftOptions = {}): DriftDetector {
  return new WassersteinDrift(options);
}

class WassersteinDrift implements DriftDetector {
  readonly kind = "wassersteinDrift";
  width = 0;
  score: number | undefined;
  private readonly reference: number;
  private readonly window: number;
  private readonly alpha: number;
  private readonly seed: number;
  private readonly optionText: string;
  /** In order of arrival while it fills, then sorted. */
  private readonly usual: Float64Array;
  private readonly latest: Float64Array;
  private limit = 0;

  constructor(options: WassersteinDriftOptions) {
    this.reference = integerOption("reference", options.reference ?? 500, 20, 100_000);
    this.window = integerOption("window", options.window ?? 100, 10, this.reference);
    this.alpha = numberOption("alpha", options.alpha ?? 2e-3, 1e-3, 0.5);
    this.seed = options.seed ?? 1;
    new Random(this.seed); // refuses a bad seed now
    this.optionText = JSON.stringify([this.reference, this.window, this.alpha, this.seed]);
    this.usual = new Float64Array(this.reference);
    this.latest = new Float64Array(this.window);
  }

  update(x: number): boolean {
    const value = plainNumber(x);
    if (Number.isNaN(value)) return false;
    if (this.width < this.reference) {
      this.usual[this.width++] = value;
      if (this.width === this.reference) this.freeze();
      return false;
    }
    this.latest[(this.width - this.reference) % this.window] = value;
    this.width++;
    return (this.width - this.reference) % this.window === 0 && this.compare();
  }

  private compare(): boolean {
    this.latest.sort();
    this.score = betweenSorted(this.usual, this.latest) / this.limit;
    if (this.score <= 1) return false;
    this.width = this.window;
    this.usual.set(this.latest);
    if (this.width === this.reference) this.freeze();
    return true;
  }

  private freeze(): void {
    const { usual, latest } = this;
    usual.sort();
    const random = new Random(this.seed);
    const rounds = Math.ceil(BEYOND / this.alpha);
    const drawn = Float64Array.from({ length: rounds }, () => {
      for (let i = 0; i < latest.length; i++) latest[i] = usual[random.below(usual.length)] as number;
      return betweenSorted(usual, latest.sort());
    }).sort();
    const quantile = drawn[rounds - BEYOND] as number;
    // A constant has no spread to draw from: any movement that is more than rounding is a change.
    const least = Math.max(Math.abs(usual[0] as number), Math.abs(usual[usual.length - 1] as number)) * 1e-12;
    this.limit = Math.max(quantile * Math.sqrt(1 + this.window / this.reference), least, Number.MIN_VALUE * 1e16);
  }

  memoryBytes(): number {
    return this.usual.byteLength + this.latest.byteLength + 64;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText).f64(this.width).optional(this.score).f64(this.limit);
    const filling = this.width < this.reference;
    to.f64s(this.usual, 0, filling ? this.width : this.reference);
    to.f64s(this.latest, 0, filling ? 0 : (this.width - this.reference) % this.window);
    return to.done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.width = from.f64();
    this.score = from.optional();
    this.limit = from.f64();
    from.f64s(this.usual);
    from.f64s(this.latest);
    from.done();
  }
}

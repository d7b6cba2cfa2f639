import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { DriftDetector } from "../core/detector.js";
import { AnomalyError, integerOption, numberOption } from "../core/errors.js";
import { plainNumber } from "../core/features.js";
import { chiSquareQuantile } from "../core/special.js";

export interface PsiDriftOptions {
  /** Values that say what is usual. @default 500 */
  reference?: number;
  /** Values compared with them at a time; windows do not overlap. @default 100 */
  window?: number;
  /** Bins of about equally many values of the reference. @default 10 */
  bins?: number;
  /** Chance of a false change at one window. @default 0.001 */
  alpha?: number;
}

const SMOOTHING = 0.5; // added to every count: an empty bin would make the index infinite

/**
 * Population stability index of two lists of counts over the same bins, 0.5 added to every count: 0 when the shares are
 * equal; by custom 0.1 is a small and 0.25 a large change, which small samples reach by chance.
 *
 * Errors: AD_INPUT_INVALID unless both have the same number of bins, at least 1.
 */
export function stabilityIndex(expected: ArrayLike<number>, actual: ArrayLike<number>): number {
  const bins = expected.length;
  if (bins === 0 || actual.length !== bins)
    throw new AnomalyError("AD_INPUT_INVALID", `needs as many bins in both, got ${bins} and ${actual.length}`);
  let n = bins * SMOOTHING;
  let m = n;
  for (let i = 0; i < bins; i++) {
    n += expected[i] as number;
    m += actual[i] as number;
  }
  let sum = 0;
  for (let i = 0; i < bins; i++) {
    const p = ((expected[i] as number) + SMOOTHING) / n;
    const q = ((actual[i] as number) + SMOOTHING) / m;
    sum += (q - p) * Math.log(q / p);
  }
  return sum;
}

/**
 * Population stability index between the first values and each following window.
 *
 * Fires when it exceeds the chi-square limit for samples of these sizes: about PSI x n m / (n + m) ~ chi-square with
 * bins - 1 degrees. (The customary 0.25 would fire by chance in small windows and miss much in large ones.) After a
 * change a new reference begins with the window that revealed it.
 * Score:  index / limit; above 1 exactly when it fires.
 * State:  `reference` + 2 bins numbers. O(log bins) a value, O(bins) a window.
 * Errors: AD_OPTION_INVALID, AD_STATE_INVALID.
 * Source: Yurdakul & Naranjo, "Statistical properties of the population stability index", J. Risk Model Validation 2020.
 */
export function psiDrift(options: PsiDriftOptions = {}): DriftDetector {
  return new PsiDrift(options);
}

class PsiDrift implements DriftDetector {
  readonly kind = "psiDrift";
  width = 0;
  score: number | undefined;
  private readonly reference: number;
  private readonly window: number;
  private readonly bins: number;
  private readonly alpha: number;
  private readonly optionText: string;
  /** The reference while it fills; then the values of the window, to begin the next reference with. */
  private readonly values: Float64Array;
  /** Upper edges of all bins but the last; the first `edgeCount`. */
  private readonly edges: Float64Array;
  private edgeCount = 0;
  private limit = 0;
  private readonly expected: Float64Array;
  private readonly actual: Float64Array;

  constructor(options: PsiDriftOptions) {
    this.reference = integerOption("reference", options.reference ?? 500, 20, 1_000_000);
    this.window = integerOption("window", options.window ?? 100, 10, this.reference);
    this.bins = integerOption("bins", options.bins ?? 10, 2, 1_000);
    this.alpha = numberOption("alpha", options.alpha ?? 1e-3, 1e-12, 0.5);
    this.optionText = JSON.stringify([this.reference, this.window, this.bins, this.alpha]);
    this.values = new Float64Array(this.reference);
    this.edges = new Float64Array(this.bins);
    this.expected = new Float64Array(this.bins + 1);
    this.actual = new Float64Array(this.bins + 1);
  }

  update(x: number): boolean {
    const value = plainNumber(x);
    if (Number.isNaN(value)) return false;
    if (this.width < this.reference) {
      this.values[this.width++] = value;
      if (this.width === this.reference) this.freeze();
      return false;
    }
    this.values[(this.width - this.reference) % this.window] = value;
    const bin = this.binOf(value);
    this.actual[bin] = (this.actual[bin] as number) + 1;
    this.width++;
    return (this.width - this.reference) % this.window === 0 && this.compare();
  }

  private compare(): boolean {
    const bins = this.edgeCount + 1;
    this.score = stabilityIndex(this.expected.subarray(0, bins), this.actual.subarray(0, bins)) / this.limit;
    this.actual.fill(0);
    if (this.score <= 1) return false;
    this.width = this.window;
    if (this.width === this.reference) this.freeze();
    return true;
  }

  /** Bins of about equally many values; fewer where values repeat, at least one on either side of a constant. */
  private freeze(): void {
    const sorted = this.values.slice().sort();
    const { edges, bins, expected, reference } = this;
    this.edgeCount = 0;
    for (let i = 1; i < bins; i++) {
      const edge = sorted[Math.ceil((i * reference) / bins) - 1] as number;
      if (this.edgeCount === 0 || edge > (edges[this.edgeCount - 1] as number)) edges[this.edgeCount++] = edge;
    }
    const only = edges[0] as number;
    if (this.edgeCount === 1 && only === sorted[0]) {
      edges[0] = only - Math.max(Math.abs(only) * Number.EPSILON, Number.MIN_VALUE);
      edges[this.edgeCount++] = only;
    }
    expected.fill(0);
    this.actual.fill(0);
    for (const value of sorted) expected[this.binOf(value)] = (expected[this.binOf(value)] as number) + 1;
    let filled = 0;
    for (const count of expected) if (count > 0) filled++;
    const degrees = Math.max(filled - 1, 1);
    this.limit = chiSquareQuantile(this.alpha, degrees) * (1 / this.reference + 1 / this.window);
  }

  /** Index of the bin: the number of edges below `value`. */
  private binOf(value: number): number {
    let low = 0;
    let high = this.edgeCount;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.edges[middle] as number) < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  memoryBytes(): number {
    return this.values.byteLength + this.edges.byteLength + 2 * this.expected.byteLength + 64;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText).f64(this.width).optional(this.score);
    const filling = this.width < this.reference;
    to.f64s(this.values, 0, filling ? this.width : (this.width - this.reference) % this.window);
    if (!filling) to.f64(this.limit).f64s(this.edges, 0, this.edgeCount).f64s(this.expected).f64s(this.actual);
    return to.done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.width = from.f64();
    this.score = from.optional();
    from.f64s(this.values);
    if (this.width >= this.reference) {
      this.limit = from.f64();
      this.edgeCount = from.f64s(this.edges);
      from.f64s(this.expected);
      from.f64s(this.actual);
    }
    from.done();
  }
}

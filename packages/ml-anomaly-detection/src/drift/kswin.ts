import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { DriftDetector } from "../core/detector.js";
import { AnomalyError, integerOption, numberOption } from "../core/errors.js";
import { plainNumber } from "../core/features.js";
import { Random } from "../core/random.js";
import { logGamma } from "../core/special.js";

export interface KswinOptions {
  /** Chance of a false change at one test, in (0, 1). @default 0.005 */
  alpha?: number;
  /** @default 100 */
  window?: number;
  /** How many of the newest values are compared with as many drawn from the older. @default 30 */
  sample?: number;
  /** @default 1 */
  seed?: number;
}

/**
 * KSWIN: a two-sample Kolmogorov-Smirnov test of the newest values against a random sample of the older ones, at every
 * value once the window is full. After a change only the newest are kept.
 *
 * Fires when the exact p-value is at most alpha and the largest gap of the distributions exceeds 0.1, as River's rule
 * (the draws differ). Tests at every value: expect a false alarm now and then even at a small alpha.
 * Score:  gap / smallest gap that fires; above 1 exactly when it fires.
 * State:  `window` numbers and a generator. O(sample^2) a value.
 * Errors: AD_OPTION_INVALID, AD_STATE_INVALID.
 * Source: Raab, Heusinger & Schleif, Neurocomputing 2020.
 */
export function kswin(options: KswinOptions = {}): DriftDetector {
  return new Kswin(options);
}

/** Chance that two samples of `n` from one distribution differ by at least `steps` / n somewhere (no ties). Exact. */
export function ksTail(steps: number, n: number): number {
  if (steps <= 0) return 1;
  let sum = 0;
  const whole = logChoose(2 * n, n);
  for (let k = 1; k * steps <= n; k++)
    sum += (k % 2 === 1 ? 2 : -2) * Math.exp(logChoose(2 * n, n - k * steps) - whole);
  return Math.min(Math.max(sum, 0), 1);
}

function logChoose(n: number, k: number): number {
  return logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1);
}

class Kswin implements DriftDetector {
  readonly kind = "kswin";
  width = 0;
  score: number | undefined;
  private readonly window: number;
  private readonly sample: number;
  private readonly optionText: string;
  private readonly random: Random;
  /** Fewest steps of 1 / sample between the distributions that are a change. */
  private readonly critical: number;
  private head = 0;
  private readonly ring: Float64Array;
  private readonly older: Float64Array;
  private readonly newer: Float64Array;
  private readonly order: Int32Array;

  constructor(options: KswinOptions) {
    const alpha = numberOption("alpha", options.alpha ?? 0.005, 1e-12, 1);
    this.window = integerOption("window", options.window ?? 100, 4, 1_000_000);
    this.sample = integerOption("sample", options.sample ?? 30, 2, this.window >> 1);
    const seed = options.seed ?? 1;
    this.random = new Random(seed);
    this.optionText = JSON.stringify([alpha, this.window, this.sample, seed]);
    let steps = Math.floor(0.1 * this.sample) + 1;
    while (steps <= this.sample && ksTail(steps, this.sample) > alpha) steps++;
    if (steps > this.sample)
      throw new AnomalyError("AD_OPTION_INVALID", `no gap between samples of ${this.sample} is as rare as ${alpha}`);
    this.critical = steps;
    this.ring = new Float64Array(this.window);
    this.older = new Float64Array(this.sample);
    this.newer = new Float64Array(this.sample);
    this.order = new Int32Array(this.window - this.sample);
  }

  update(x: number): boolean {
    const value = plainNumber(x);
    if (Number.isNaN(value)) return false;
    this.ring[(this.head + this.width) % this.window] = value;
    if (this.width === this.window) this.head = (this.head + 1) % this.window;
    else this.width++;
    if (this.width < this.window) return false;
    const steps = this.gap();
    this.score = steps / (this.critical - 0.5);
    if (steps < this.critical) return false;
    this.head = (this.head + this.window - this.sample) % this.window;
    this.width = this.sample;
    return true;
  }

  /** Largest difference of the two empirical distributions, in steps of 1 / sample. */
  private gap(): number {
    const { ring, window, sample, older, newer, order, head } = this;
    for (let i = 0; i < order.length; i++) order[i] = i;
    for (let i = 0; i < sample; i++) {
      const j = i + this.random.below(order.length - i);
      const chosen = order[j] as number;
      order[j] = order[i] as number;
      insertSorted(older, i, ring[(head + chosen) % window] as number);
      insertSorted(newer, i, ring[(head + window - sample + i) % window] as number);
    }
    let most = 0;
    for (let a = 0, b = 0; a < sample && b < sample; ) {
      const at = Math.min(older[a] as number, newer[b] as number);
      while (a < sample && (older[a] as number) <= at) a++; // equal values step together
      while (b < sample && (newer[b] as number) <= at) b++;
      most = Math.max(most, Math.abs(a - b));
    }
    return most;
  }

  memoryBytes(): number {
    return this.ring.byteLength + this.older.byteLength * 2 + this.order.byteLength + 64;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText);
    this.random.save(to);
    to.optional(this.score).u32(this.width);
    for (let i = 0; i < this.width; i++) to.f64(this.ring[(this.head + i) % this.window] as number);
    return to.done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.random.load(from);
    this.score = from.optional();
    this.width = from.u32();
    this.head = 0;
    for (let i = 0; i < this.width; i++) this.ring[i] = from.f64();
    from.done();
  }
}

function insertSorted(into: Float64Array, count: number, value: number): void {
  let at = count;
  for (; at > 0 && (into[at - 1] as number) > value; at--) into[at] = into[at - 1] as number;
  into[at] = value;
}

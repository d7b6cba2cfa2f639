import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { DriftDetector } from "../core/detector.js";
import { AnomalyError, integerOption, numberOption } from "../core/errors.js";
import { plainNumber } from "../core/features.js";

export interface PageHinkleyOptions {
  /** No alarm before this many values. @default 30 */
  minInstances?: number;
  /** Change of the mean that is let pass, in units of the data. @default 0.005 */
  delta?: number;
  /** Cumulated deviation that is a change, in units of the data. @default 50 */
  threshold?: number;
  /** Forgetting: what a deviation keeps of its weight at each value, in (0, 1]. @default 0.9999 */
  alpha?: number;
  /** Which change of the mean counts. @default "both" */
  mode?: "up" | "down" | "both";
}

/**
 * Page-Hinkley: cumulated deviations from the running mean that leave their extreme by more than `threshold`.
 *
 * Score:  the larger cumulated deviation / threshold; above 1 exactly when it fires. Starts anew after firing.
 * State:  six numbers, O(1) a value.
 * Errors: AD_OPTION_INVALID, AD_STATE_INVALID.
 * Source: Page, Biometrika 1954; fires where River 0.26 fires.
 */
export function pageHinkley(options: PageHinkleyOptions = {}): DriftDetector {
  return new PageHinkley(options);
}

class PageHinkley implements DriftDetector {
  readonly kind = "pageHinkley";
  width = 0;
  score: number | undefined;
  private readonly minInstances: number;
  private readonly delta: number;
  private readonly threshold: number;
  private readonly alpha: number;
  private readonly mode: "up" | "down" | "both";
  private readonly optionText: string;
  private mean = 0;
  private rise = 0;
  private fall = 0;
  private least = Number.POSITIVE_INFINITY;
  private most = -1; // the reference starts its maximum here, not at -Infinity
  private fired = false;

  constructor(options: PageHinkleyOptions) {
    this.minInstances = integerOption("minInstances", options.minInstances ?? 30, 1);
    this.delta = numberOption("delta", options.delta ?? 0.005, 0);
    this.threshold = numberOption("threshold", options.threshold ?? 50, Number.MIN_VALUE);
    this.alpha = numberOption("alpha", options.alpha ?? 0.9999, Number.MIN_VALUE, 1);
    this.mode = options.mode ?? "both";
    if (!["up", "down", "both"].includes(this.mode))
      throw new AnomalyError("AD_OPTION_INVALID", `mode must be up, down or both, got ${this.mode}`);
    this.optionText = JSON.stringify([this.minInstances, this.delta, this.threshold, this.alpha, this.mode]);
  }

  update(x: number): boolean {
    const value = plainNumber(x);
    if (Number.isNaN(value)) return false;
    if (this.fired) this.reset();
    this.width++;
    this.mean += (value - this.mean) / this.width;
    const deviation = value - this.mean;
    this.rise = this.alpha * this.rise + deviation - this.delta;
    this.fall = this.alpha * this.fall + deviation + this.delta;
    if (this.rise < this.least) this.least = this.rise;
    if (this.fall > this.most) this.most = this.fall;
    if (this.width < this.minInstances) return false;
    const up = this.mode === "down" ? 0 : this.rise - this.least;
    const down = this.mode === "up" ? 0 : this.most - this.fall;
    const statistic = Math.max(up, down);
    this.fired = statistic > this.threshold;
    const ratio = Math.min(statistic / this.threshold, Number.MAX_VALUE);
    this.score = this.fired ? Math.max(ratio, 1 + Number.EPSILON) : Math.min(ratio, 1);
    return this.fired;
  }

  private reset(): void {
    this.width = this.mean = this.rise = this.fall = 0;
    this.least = Number.POSITIVE_INFINITY;
    this.most = -1;
    this.fired = false;
    this.score = undefined;
  }

  memoryBytes(): number {
    return 128;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText);
    to.f64(this.width).f64(this.mean).f64(this.rise).f64(this.fall).f64(this.least).f64(this.most);
    return to.bool(this.fired).optional(this.score).done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.width = from.f64();
    this.mean = from.f64();
    this.rise = from.f64();
    this.fall = from.f64();
    this.least = from.f64();
    this.most = from.f64();
    this.fired = from.bool();
    this.score = from.optional();
    from.done();
  }
}

import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Detector, Input } from "../core/detector.js";
import { integerOption, numberOption } from "../core/errors.js";
import { type FeatureOption, FeatureReader } from "../core/features.js";
import { SortedWindow } from "../core/sorted-window.js";
import { TO_DEVIATION } from "./robust-z.js";

export interface SeasonalProfileOptions {
  /** A name for the one feature, or 1. @default 1 */
  features?: FeatureOption;
  /** Rows of one period: 288 for a day of five-minute readings, 24 for one of hours. */
  period: number;
  /** How many earlier periods say what is usual at a phase. @default 7 */
  depth?: number;
  /** Deviations that say how much is usual. @default 500 */
  window?: number;
  /** The spread is never taken below this, in units of the data: the resolution of the measurement. @default 1e-10 */
  resolution?: number;
}

/** Values of a phase, and deviations of any, before a row is judged. */
const LEAST_VALUES = 2;
const LEAST_DEVIATIONS = 30;

/**
 * Deviation from the median of the same phase in the last `depth` periods, in robust standard deviations of the last
 * deviations: for a period that is known. (`autoDetector` with times finds a day or a week by itself.)
 *
 * Phase:   rows since the first, modulo `period`: a missing value must be handed in as NaN, not left out.
 * Score:   |deviation| / max(1.4826 median |deviation|, resolution), from 0; 3.5 to 6 is a usual boundary. `undefined`
 *          in the first two periods.
 * Missing: `undefined`, and not learned; the phase goes on.
 * State:   period x depth + 2 x window numbers; O(depth^2 + log window) a row.
 * Errors:  AD_OPTION_INVALID, AD_INPUT_INVALID, AD_STATE_INVALID.
 */
export function seasonalProfile(options: SeasonalProfileOptions): Detector {
  return new SeasonalProfile(options);
}

class SeasonalProfile implements Detector {
  readonly kind = "seasonalProfile";
  readonly dimensions = 1;
  private readonly reader: FeatureReader;
  private readonly period: number;
  private readonly depth: number;
  private readonly resolution: number;
  private readonly optionText: string;
  private phase = 0;
  /** Values of each phase, a ring each, and how many each ever took. */
  private readonly values: Float64Array;
  private readonly taken: Float64Array;
  private readonly deviations: SortedWindow;
  private readonly sorted: Float64Array;
  private readonly share = new Float64Array(1);

  constructor(options: SeasonalProfileOptions) {
    this.reader = new FeatureReader(options.features, true);
    integerOption("features", this.reader.dimensions, 1, 1);
    this.period = integerOption("period", options.period, 2, 1_000_000);
    this.depth = integerOption("depth", options.depth ?? 7, LEAST_VALUES, 100);
    const window = integerOption("window", options.window ?? 500, LEAST_DEVIATIONS, 1_000_000);
    this.resolution = numberOption("resolution", options.resolution ?? 1e-10, 1e-100);
    this.optionText = JSON.stringify([this.reader.describe(), this.period, this.depth, window, this.resolution]);
    this.values = new Float64Array(this.period * this.depth);
    this.taken = new Float64Array(this.period);
    this.deviations = new SortedWindow(window);
    this.sorted = new Float64Array(this.depth);
  }

  scoreOne(x: Input): number | undefined {
    return this.score(this.deviation(this.reader.read(x)[0] as number));
  }

  learnOne(x: Input): void {
    const value = this.reader.read(x)[0] as number;
    this.learn(value, this.deviation(value));
  }

  process(x: Input): number | undefined {
    const value = this.reader.read(x)[0] as number;
    const deviation = this.deviation(value);
    const score = this.score(deviation);
    this.learn(value, deviation);
    return score;
  }

  explain(x: Input): Float64Array {
    this.share[0] = (this.scoreOne(x) ?? 0) > 0 ? 1 : 0;
    return this.share;
  }

  /** Distance from what is usual at this phase; NaN when nothing is, or the value is missing. */
  private deviation(value: number): number {
    const held = Math.min(this.taken[this.phase] as number, this.depth);
    if (held < LEAST_VALUES) return Number.NaN;
    const { sorted, values } = this;
    for (let i = 0; i < held; i++) {
      const next = values[this.phase * this.depth + i] as number;
      let at = i;
      for (; at > 0 && (sorted[at - 1] as number) > next; at--) sorted[at] = sorted[at - 1] as number;
      sorted[at] = next;
    }
    const upper = sorted[held >> 1] as number;
    return Math.abs(value - (held % 2 === 1 ? upper : (upper + (sorted[(held >> 1) - 1] as number)) / 2));
  }

  private score(deviation: number): number | undefined {
    if (Number.isNaN(deviation) || this.deviations.size < LEAST_DEVIATIONS) return undefined;
    return deviation / Math.max(TO_DEVIATION * this.deviations.quantile(0.5), this.resolution);
  }

  private learn(value: number, deviation: number): void {
    if (!Number.isNaN(deviation)) this.deviations.add(deviation);
    if (!Number.isNaN(value)) {
      const taken = this.taken[this.phase] as number;
      this.values[this.phase * this.depth + (taken % this.depth)] = value;
      this.taken[this.phase] = taken + 1;
    }
    this.phase = this.phase + 1 === this.period ? 0 : this.phase + 1;
  }

  memoryBytes(): number {
    return this.values.byteLength + this.taken.byteLength + this.deviations.memoryBytes() + this.sorted.byteLength + 64;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText).u32(this.phase).f64s(this.taken).f64s(this.values);
    this.deviations.save(to);
    return to.done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.phase = from.u32();
    from.f64s(this.taken);
    from.f64s(this.values);
    this.deviations.load(from);
    from.done();
  }
}

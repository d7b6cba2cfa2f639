import type { ByteReader, ByteWriter } from "../core/bytes.js";

export interface SeasonOptions {
  /** A day or a week: what starts with it is decided by UTC (weeks by the epoch's Thursday), so no start matters. */
  periodMs: number;
  /** Parts a period is cut into. */
  slots: number;
  /** Values of earlier periods remembered for each part. */
  depth: number;
  /** Rows over which the misses are averaged. @default 2000 */
  memory?: number;
}

/**
 * What is usual at this time of a period: the median of the last values of the same part of earlier periods, and how
 * much that is worth. `ratio` is what the median misses by, divided by what the plain mean misses by: below 2/3 the
 * period explains more than half of the variance; noise and slow drift stay near or above 1.
 *
 * Time:  ms since the epoch; a shift by whole periods changes nothing. Values of the current period do not count: an
 *        anomaly does not become usual an hour later. Steps back in time count as the current one.
 * State: `slots` x `depth` values. O(1) a row, O(depth^2) once a part and period.
 */
export class Season {
  private readonly periodMs: number;
  private readonly slots: number;
  private readonly depth: number;
  private readonly memory: number;
  private readonly values: Float64Array;
  private readonly counts: Float64Array;
  /** Period for which `medians` holds, by slot; NaN before there is one. */
  private readonly periods: Float64Array;
  private readonly medians: Float64Array;
  private readonly scratch: Float64Array;
  private compared = 0;
  private missByMedian = 0;
  private missByMean = 0;

  constructor({ periodMs, slots, depth, memory = 2000 }: SeasonOptions) {
    this.periodMs = periodMs;
    this.slots = slots;
    this.depth = depth;
    this.memory = memory;
    this.values = new Float64Array(slots * depth);
    this.counts = new Float64Array(slots);
    this.periods = new Float64Array(slots).fill(Number.NaN);
    this.medians = new Float64Array(slots).fill(Number.NaN);
    this.scratch = new Float64Array(depth);
  }

  /** Misses of the median over those of the mean; Infinity before as many comparisons as there are parts. */
  get ratio(): number {
    if (this.compared < this.slots || !(this.missByMean > 0)) return Number.POSITIVE_INFINITY;
    return this.missByMedian / this.missByMean;
  }

  /** The usual value at this time; NaN before an earlier period has one. Never changes what later calls return. */
  usual(timeMs: number): number {
    const slot = this.slotOf(timeMs);
    const period = Math.floor(timeMs / this.periodMs);
    if (!(period > (this.periods[slot] as number))) return this.medians[slot] as number;
    return this.median(slot);
  }

  /** `mean` is the long-run mean before this value: the rival prediction. */
  learn(timeMs: number, value: number, mean: number): void {
    const slot = this.slotOf(timeMs);
    const period = Math.floor(timeMs / this.periodMs);
    if (!(period <= (this.periods[slot] as number))) {
      this.medians[slot] = this.median(slot);
      this.periods[slot] = period;
    }
    const usual = this.medians[slot] as number;
    if (!Number.isNaN(usual)) {
      const step = 1 / Math.min(++this.compared, this.memory);
      this.missByMedian += step * (Math.abs(value - usual) - this.missByMedian);
      this.missByMean += step * (Math.abs(value - mean) - this.missByMean);
    }
    const count = this.counts[slot] as number;
    this.values[slot * this.depth + (count % this.depth)] = value;
    this.counts[slot] = count + 1;
  }

  private slotOf(timeMs: number): number {
    const into = timeMs - Math.floor(timeMs / this.periodMs) * this.periodMs;
    return Math.min(Math.floor((into / this.periodMs) * this.slots), this.slots - 1); // a fraction of a ms may round up
  }

  private median(slot: number): number {
    const { scratch, depth } = this;
    const held = Math.min(this.counts[slot] as number, depth);
    if (held === 0) return Number.NaN;
    for (let i = 0; i < held; i++) {
      const value = this.values[slot * depth + i] as number;
      let at = i;
      for (; at > 0 && (scratch[at - 1] as number) > value; at--) scratch[at] = scratch[at - 1] as number;
      scratch[at] = value;
    }
    return scratch[held >> 1] as number;
  }

  memoryBytes(): number {
    return this.values.byteLength + 3 * this.counts.byteLength + this.scratch.byteLength;
  }

  save(to: ByteWriter): void {
    to.f64(this.compared)
      .f64(this.missByMedian)
      .f64(this.missByMean)
      .f64s(this.periods)
      .f64s(this.medians)
      .f64s(this.counts);
    for (let slot = 0; slot < this.slots; slot++) {
      const from = slot * this.depth;
      to.f64s(this.values, from, from + Math.min(this.counts[slot] as number, this.depth));
    }
  }

  load(from: ByteReader): void {
    this.compared = from.f64();
    this.missByMedian = from.f64();
    this.missByMean = from.f64();
    from.f64s(this.periods);
    from.f64s(this.medians);
    from.f64s(this.counts);
    for (let slot = 0; slot < this.slots; slot++)
      from.f64s(this.values.subarray(slot * this.depth, (slot + 1) * this.depth));
  }
}

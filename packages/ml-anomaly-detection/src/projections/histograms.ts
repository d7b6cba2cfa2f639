import type { ByteReader, ByteWriter } from "../core/bytes.js";

/** No bin is narrower: below, widths would lose digits and in the end be 0. */
const NARROWEST = 1e-290;

/**
 * Histograms of equally wide bins whose range grows on demand: a value outside doubles the width, merging bins in
 * pairs, until it fits. No value is ever redistributed; nothing is forgotten.
 */
export class GrowingHistograms {
  private readonly bins: number;
  private readonly counts: Float64Array;
  /** Left edge of the first bin; while the width is 0, the only value seen. */
  private readonly low: Float64Array;
  private readonly width: Float64Array;
  private readonly seen: Float64Array;

  constructor(histograms: number, bins: number) {
    this.bins = bins;
    this.counts = new Float64Array(histograms * bins);
    this.low = new Float64Array(histograms);
    this.width = new Float64Array(histograms);
    this.seen = new Float64Array(histograms);
  }

  /** -ln of the estimated density at `value`, every bin counted one up; 0 while only one value was ever seen. */
  surprise(h: number, value: number): number {
    const width = this.width[h] as number;
    if (width === 0) return 0;
    const bin = this.binOf(h, value);
    const count = bin < 0 ? 0 : (this.counts[h * this.bins + bin] as number);
    return Math.log((((this.seen[h] as number) + this.bins) * width) / (count + 1));
  }

  add(h: number, value: number): void {
    const { low, width, counts, bins } = this;
    if (this.seen[h] === 0) low[h] = value;
    if (width[h] === 0 && value !== low[h]) this.open(h, value);
    const bin = width[h] === 0 ? 0 : this.cover(h, value);
    counts[h * bins + bin] = (counts[h * bins + bin] as number) + 1;
    this.seen[h] = (this.seen[h] as number) + 1;
  }

  /** The second distinct value: the smaller begins the first bin, the larger lies in the middle of the last. */
  private open(h: number, value: number): void {
    const only = this.low[h] as number;
    const count = this.counts[h * this.bins] as number;
    this.width[h] = Math.max(Math.abs(value - only) / (this.bins - 0.5), NARROWEST);
    this.low[h] = Math.min(value, only);
    this.counts[h * this.bins] = 0;
    this.counts[h * this.bins + this.cover(h, only)] = count;
  }

  /** The bin of a value, after widening until there is one. */
  private cover(h: number, value: number): number {
    const { counts, bins } = this;
    const from = h * bins;
    for (let bin = this.binOf(h, value); ; bin = this.binOf(h, value)) {
      if (bin >= 0) return bin;
      const half = bins >> 1;
      if (value < (this.low[h] as number)) {
        // The old bins become the right half, from the right, so that none is overwritten before it is read.
        for (let i = bins - 1; i >= half; i--) {
          const pair = from + 2 * (i - half);
          counts[from + i] = (counts[pair] as number) + (counts[pair + 1] as number);
        }
        counts.fill(0, from, from + half);
        this.low[h] = (this.low[h] as number) - bins * (this.width[h] as number);
      } else {
        for (let i = 0; i < half; i++)
          counts[from + i] = (counts[from + 2 * i] as number) + (counts[from + 2 * i + 1] as number);
        counts.fill(0, from + half, from + bins);
      }
      this.width[h] = 2 * (this.width[h] as number);
    }
  }

  /** -1 outside. */
  private binOf(h: number, value: number): number {
    const at = (value - (this.low[h] as number)) / (this.width[h] as number);
    return at >= 0 && at < this.bins ? Math.floor(at) : -1;
  }

  memoryBytes(): number {
    return this.counts.byteLength + this.low.byteLength * 3;
  }

  save(to: ByteWriter): void {
    to.f64s(this.counts).f64s(this.low).f64s(this.width).f64s(this.seen);
  }

  load(from: ByteReader): void {
    from.f64s(this.counts);
    from.f64s(this.low);
    from.f64s(this.width);
    from.f64s(this.seen);
  }
}

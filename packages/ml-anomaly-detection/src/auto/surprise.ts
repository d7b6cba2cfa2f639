import type { ByteReader, ByteWriter } from "../core/bytes.js";
import { normalSurprise } from "../core/normal.js";

const BINS = 2048;
const BINS_PER_OCTAVE = 16;
const MIDDLE = BINS / 2;

/**
 * How surprising is a distance, given all earlier ones? In powers of ten, from 0 up.
 *
 * The geometric mean of two surprises, because each fails alone. Rank, -log10 of the share of earlier distances that
 * were as large, asks nothing of their distribution but cannot tell a little beyond the largest from a lot. The normal
 * tail of the distance over its mean and spread of about the last `memory` rows can, but believes in thin tails.
 * State: 8 KB of counts on a logarithmic scale (4 % wide) and two moments. O(log 2048) a call.
 */
export class Surprise {
  private count = 0;
  private mean = 0;
  private variance = 0;
  /** Logarithm of the first distance above 0: the middle of the scale. NaN before it. */
  private origin = Number.NaN;
  private zeros = 0;
  /** Fenwick tree over the bins, so "how many at least this" is 11 additions. */
  private readonly tree = new Float64Array(BINS + 1);
  private readonly memory: number;

  constructor(memory: number) {
    this.memory = memory;
  }

  of(distance: number): number {
    if (this.count === 0) return 0;
    const rank = Math.log10((this.count + 1) / (this.atLeast(distance) + 1));
    const spread = Math.sqrt(this.variance);
    if (!(spread > 0) || rank <= 0) return 0;
    const tail = normalSurprise(Math.max(-6, Math.min((distance - this.mean) / spread, 1e6)));
    return Math.sqrt(rank * tail);
  }

  /** Share of earlier distances at least as large, in (0, 1]. */
  share(distance: number): number {
    return (this.atLeast(distance) + 1) / (this.count + 1);
  }

  add(distance: number): void {
    this.count++;
    const step = Math.max(1 / this.count, 1 / this.memory);
    const gap = distance - this.mean;
    this.mean += step * gap;
    this.variance = (1 - step) * (this.variance + step * gap * gap);
    if (!(distance > 0)) {
      this.zeros++;
      return;
    }
    if (Number.isNaN(this.origin)) this.origin = Math.log2(distance);
    for (let i = this.bin(distance) + 1; i <= BINS; i += i & -i) this.tree[i] = (this.tree[i] as number) + 1;
  }

  private bin(distance: number): number {
    const at = MIDDLE + Math.floor((Math.log2(distance) - this.origin) * BINS_PER_OCTAVE);
    return at < 0 ? 0 : at >= BINS ? BINS - 1 : at;
  }

  private atLeast(distance: number): number {
    if (!(distance > 0)) return this.count;
    if (Number.isNaN(this.origin)) return 0;
    let below = this.zeros;
    for (let i = this.bin(distance); i > 0; i -= i & -i) below += this.tree[i] as number;
    return this.count - below;
  }

  memoryBytes(): number {
    return this.tree.byteLength + 48;
  }

  save(to: ByteWriter): void {
    to.f64(this.count).f64(this.mean).f64(this.variance).f64(this.origin).f64(this.zeros);
    // Most bins are empty: only those that are not, as (index, count) pairs.
    let used = 0;
    for (let i = 1; i <= BINS; i++) if (this.tree[i] !== 0) used++;
    to.u32(used);
    for (let i = 1; i <= BINS; i++) if (this.tree[i] !== 0) to.u32(i).f64(this.tree[i] as number);
  }

  load(from: ByteReader): void {
    this.count = from.f64();
    this.mean = from.f64();
    this.variance = from.f64();
    this.origin = from.f64();
    this.zeros = from.f64();
    this.tree.fill(0);
    for (let left = from.u32(); left > 0; left--) {
      const i = from.u32();
      this.tree[i] = from.f64();
    }
  }
}

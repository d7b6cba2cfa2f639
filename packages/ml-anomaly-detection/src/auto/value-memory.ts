import type { ByteReader, ByteWriter } from "../core/bytes.js";

/**
 * The distinct values seen so far, in order, in bounded room: how far is a number from the nearest earlier one?
 *
 * A full memory forgets no region: it coarsens. Values closer than `grain` to a kept one are dropped, and `grain` is
 * the smallest that frees a quarter of the room, so a distance is wrong by at most `grain`.
 * Cost: O(log capacity) a look-up, O(capacity) memory moves for a new value.
 */
export class ValueMemory {
  private size = 0;
  private grain = 0;
  private readonly sorted: Float64Array;
  private readonly gaps: Float64Array;

  constructor(capacity: number) {
    this.sorted = new Float64Array(capacity);
    this.gaps = new Float64Array(capacity);
  }

  get count(): number {
    return this.size;
  }

  /** Distance to the nearest earlier value; 0 while there is none. */
  distance(value: number): number {
    if (this.size === 0) return 0;
    const at = this.below(value);
    const above = at < this.size ? (this.sorted[at] as number) - value : Number.POSITIVE_INFINITY;
    const under = at > 0 ? value - (this.sorted[at - 1] as number) : Number.POSITIVE_INFINITY;
    return Math.min(above, under);
  }

  add(value: number): void {
    const at = this.below(value);
    if (this.size > 0 && this.distance(value) <= this.grain) return;
    if (this.size === this.sorted.length) {
      this.coarsen();
      this.add(value);
      return;
    }
    this.sorted.copyWithin(at + 1, at, this.size++);
    this.sorted[at] = value;
  }

  private below(value: number): number {
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.sorted[middle] as number) < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private coarsen(): void {
    const { sorted, gaps } = this;
    const last = this.size - 1;
    for (let i = 0; i < last; i++) gaps[i] = (sorted[i + 1] as number) - (sorted[i] as number);
    gaps.subarray(0, last).sort();
    // The gap below which a quarter of the neighbours lie; then wider, until the sweep did free a quarter.
    let rank = last >> 2;
    do {
      this.grain = Math.max(gaps[Math.min(rank, last - 1)] as number, this.grain);
      let kept = 1;
      for (let i = 1; i < this.size; i++)
        if ((sorted[i] as number) - (sorted[kept - 1] as number) > this.grain) sorted[kept++] = sorted[i] as number;
      this.size = kept;
      rank += last >> 3;
    } while (this.size > (sorted.length * 3) >> 2 && rank < 2 * last);
  }

  memoryBytes(): number {
    return this.sorted.byteLength + this.gaps.byteLength;
  }

  save(to: ByteWriter): void {
    to.f64(this.grain).f64s(this.sorted, 0, this.size);
  }

  load(from: ByteReader): void {
    this.grain = from.f64();
    this.size = from.f64s(this.sorted);
  }
}

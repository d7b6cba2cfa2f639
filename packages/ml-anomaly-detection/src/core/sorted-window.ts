import type { ByteReader, ByteWriter } from "./bytes.js";

/** The last `window` numbers, also kept in order. O(log window) to find, O(window) memory moves to add. */
export class SortedWindow {
  size = 0;
  private head = 0;
  private readonly ring: Float64Array;
  private readonly sorted: Float64Array;

  constructor(window: number) {
    this.ring = new Float64Array(window);
    this.sorted = new Float64Array(window);
  }

  get capacity(): number {
    return this.ring.length;
  }

  /** Adds a number that is not NaN; the oldest leaves when the window is full. */
  add(value: number): void {
    const { ring, sorted } = this;
    if (this.size === ring.length) {
      const out = this.below(ring[this.head] as number);
      const into = this.below(value);
      // One move of what lies between the two places, rather than two moves of the tail.
      if (into > out) {
        sorted.copyWithin(out, out + 1, into);
        sorted[into - 1] = value;
      } else {
        sorted.copyWithin(into + 1, into, out);
        sorted[into] = value;
      }
    } else {
      const into = this.below(value);
      sorted.copyWithin(into + 1, into, this.size++);
      sorted[into] = value;
    }
    ring[this.head] = value;
    this.head = this.head + 1 === ring.length ? 0 : this.head + 1;
  }

  /** How many are smaller than `value`. */
  below(value: number): number {
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.sorted[middle] as number) < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The i-th smallest, from 0. */
  at(i: number): number {
    return this.sorted[i] as number;
  }

  /** Linear interpolation between order statistics, as numpy's default; `q` in [0, 1]; NaN when empty. */
  quantile(q: number): number {
    if (this.size === 0) return Number.NaN;
    const at = q * (this.size - 1);
    const low = Math.floor(at);
    const a = this.at(low);
    return a + (this.at(Math.min(low + 1, this.size - 1)) - a) * (at - low);
  }

  memoryBytes(): number {
    return this.ring.byteLength * 2;
  }

  save(to: ByteWriter): void {
    const first = this.size < this.ring.length ? 0 : this.head;
    to.u32(this.size);
    for (let i = 0; i < this.size; i++) to.f64(this.ring[(first + i) % this.ring.length] as number);
  }

  load(from: ByteReader): void {
    this.size = from.u32();
    for (let i = 0; i < this.size; i++) this.ring[i] = from.f64();
    this.head = this.size === this.ring.length ? 0 : this.size;
    this.sorted.set(this.ring.subarray(0, this.size));
    this.sorted.subarray(0, this.size).sort();
  }
}

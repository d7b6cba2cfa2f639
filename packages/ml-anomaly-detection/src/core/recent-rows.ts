import type { ByteReader, ByteWriter } from "./bytes.js";

/** Rows put in place of a feature to see how much of a score it carries. */
const ROWS = 16;

/** The last 16 learned rows, for detectors that explain a score by what becomes of it when a feature is replaced. */
export class RecentRows {
  private readonly dimensions: number;
  private readonly rows: Float64Array;
  private readonly probe: Float64Array;
  private readonly shares: Float64Array;
  private taken = 0;

  constructor(dimensions: number) {
    this.dimensions = dimensions;
    this.rows = new Float64Array(ROWS * dimensions);
    this.probe = new Float64Array(dimensions);
    this.shares = new Float64Array(dimensions);
  }

  add(row: Float64Array): void {
    this.rows.set(row, (this.taken % ROWS) * this.dimensions);
    this.taken++;
  }

  /** Each feature's share: by how much the score of `row` falls, on average, when that feature is as in a recent row. */
  explain(row: Float64Array, score: (row: Float64Array) => number): Float64Array {
    const { shares, probe, dimensions } = this;
    const held = Math.min(this.taken, ROWS);
    const whole = score(row);
    let total = 0;
    for (let f = 0; f < dimensions; f++) {
      probe.set(row);
      let fall = 0;
      for (let i = 0; i < held; i++) {
        probe[f] = this.rows[i * dimensions + f] as number;
        fall += whole - score(probe);
      }
      shares[f] = Math.max(fall, 0);
      total += shares[f] as number;
    }
    for (let f = 0; f < dimensions; f++) shares[f] = total > 0 ? (shares[f] as number) / total : 0;
    return shares;
  }

  /** All shares 0: nothing to explain yet. */
  nothing(): Float64Array {
    return this.shares.fill(0);
  }

  memoryBytes(): number {
    return (ROWS + 2) * 8 * this.dimensions;
  }

  save(to: ByteWriter): void {
    to.f64(this.taken).f64s(this.rows, 0, Math.min(this.taken, ROWS) * this.dimensions);
  }

  load(from: ByteReader): void {
    this.taken = from.f64();
    from.f64s(this.rows);
  }
}

import type { ByteReader, ByteWriter } from "../core/bytes.js";

/**
 * One alarm per incident: a score counts only if it is the largest of the last `span` rows, where `span` is a twentieth
 * of the rows seen so far, at most `most`. Later rows of an incident fall silent unless they surpass it.
 *
 * State: a queue of at most `most` falling scores. O(1) a row, amortised.
 */
export class Incident {
  private readonly most: number;
  private rows = 0;
  private first = 0;
  private count = 0;
  private readonly at: Float64Array;
  private readonly scores: Float64Array;

  constructor(most: number) {
    this.most = most;
    this.at = new Float64Array(most + 1);
    this.scores = new Float64Array(most + 1);
  }

  get seen(): number {
    return this.rows;
  }

  /** The score, or 0 when the last rows held one as large. */
  filter(score: number): number {
    const oldest = this.rows - this.span();
    for (let i = 0; i < this.count; i++) {
      const slot = (this.first + i) % this.at.length;
      if ((this.at[slot] as number) >= oldest) return score > (this.scores[slot] as number) ? score : 0;
    }
    return score;
  }

  add(score: number): void {
    const { at, scores } = this;
    const oldest = this.rows + 1 - this.most;
    while (this.count > 0 && (at[this.first] as number) < oldest) {
      this.first = (this.first + 1) % at.length;
      this.count--;
    }
    while (this.count > 0 && (scores[(this.first + this.count - 1) % at.length] as number) <= score) this.count--;
    const slot = (this.first + this.count++) % at.length;
    at[slot] = this.rows++;
    scores[slot] = score;
  }

  private span(): number {
    return Math.min(this.most, Math.floor(this.rows / 20));
  }

  memoryBytes(): number {
    return this.at.byteLength * 2;
  }

  save(to: ByteWriter): void {
    to.f64(this.rows).u32(this.count);
    for (let i = 0; i < this.count; i++) {
      const slot = (this.first + i) % this.at.length;
      to.f64(this.at[slot] as number).f64(this.scores[slot] as number);
    }
  }

  load(from: ByteReader): void {
    this.rows = from.f64();
    this.count = from.u32();
    this.first = 0;
    for (let i = 0; i < this.count; i++) {
      this.at[i] = from.f64();
      this.scores[i] = from.f64();
    }
  }
}

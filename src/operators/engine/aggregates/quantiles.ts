import { MillraceError } from "../../../core/index.js";
import type { ByteReader, ByteWriter } from "../state/bytes.js";
import type { Undoable } from "../state/undo.js";
import { type Aggregate, type Cell, celled, type NumberOf, picked } from "./aggregate.js";

const CENTRE = 1 << 20;
/** Smaller magnitudes count as zero. */
const SMALLEST = 1e-12;

/** Counts by bin number, dense over the range seen. */
class Bins {
  first = 0;
  counts = new Float64Array(0);

  change(bin: number, by: number): void {
    if (this.counts.length === 0) {
      this.first = bin - 8;
      this.counts = new Float64Array(16);
    } else if (bin < this.first || bin >= this.first + this.counts.length) {
      this.#cover(bin);
    }
    const i = bin - this.first;
    this.counts[i] = (this.counts[i] as number) + by;
  }

  #cover(bin: number): void {
    const margin = this.counts.length;
    const [first, end] = bin < this.first ? [bin - margin, this.first + margin] : [this.first, bin + margin];
    const counts = new Float64Array(end - first);
    counts.set(this.counts, this.first - first);
    this.first = first;
    this.counts = counts;
  }

  addAll(from: Bins, sign: number): void {
    from.counts.forEach((count, i) => {
      if (count !== 0) this.change(from.first + i, sign * count);
    });
  }

  save(writer: ByteWriter): void {
    const used = Array.from(this.counts.keys()).filter((i) => this.counts[i] !== 0);
    writer.uint(used.length);
    for (const i of used) {
      writer.uint(this.first + i + CENTRE);
      writer.int(this.counts[i] as number);
    }
  }

  load(reader: ByteReader): void {
    for (let left = reader.uint(); left > 0; left--) {
      const bin = reader.uint() - CENTRE;
      this.change(bin, reader.int());
    }
  }
}

/** A DDSketch: bins whose width grows with the value, so that the error is relative. */
export class QuantileSketch implements Undoable {
  readonly #logGamma: number;
  readonly #gamma: number;
  readonly #above = new Bins();
  readonly #below = new Bins();
  #zeros = 0;
  count = 0;

  constructor(accuracy: number) {
    this.#gamma = (1 + accuracy) / (1 - accuracy);
    this.#logGamma = Math.log(this.#gamma);
  }

  /** Returns what `undo` takes: the sign and the bin. */
  add(x: number): number {
    const code = this.#codeOf(x);
    this.#turn(code, 1);
    return code;
  }

  /** Takes a value away again that was added. Returns what `undo` takes. */
  remove(x: number): number {
    const code = this.#codeOf(x);
    this.#turn(code, -1);
    return code;
  }

  #codeOf(x: number): number {
    const sign = x >= SMALLEST ? 1 : x <= -SMALLEST ? -1 : 0;
    const bin = sign === 0 ? 0 : Math.ceil(Math.log(Math.abs(x)) / this.#logGamma);
    return (bin + CENTRE) * 3 + sign + 1;
  }

  #turn(code: number, by: number): void {
    this.#change((code % 3) - 1, Math.floor(code / 3) - CENTRE, by);
  }

  undo(code: number, by: number): void {
    this.#turn(code, -by);
  }

  #change(sign: number, bin: number, by: number): void {
    this.count += by;
    if (sign === 0) this.#zeros += by;
    else (sign > 0 ? this.#above : this.#below).change(bin, by);
  }

  addAll(from: QuantileSketch, sign: 1 | -1): void {
    this.#above.addAll(from.#above, sign);
    this.#below.addAll(from.#below, sign);
    this.#zeros += sign * from.#zeros;
    this.count += sign * from.count;
  }

  /** The value of rank ⌊q (n − 1)⌋, within the accuracy; NaN of none. */
  quantile(q: number): number {
    if (this.count === 0) return Number.NaN;
    let rank = Math.floor(q * (this.count - 1));
    const { counts: below, first: belowFirst } = this.#below;
    for (let i = below.length - 1; i >= 0; i--) {
      rank -= below[i] as number;
      if (rank < 0) return -this.#valueOf(belowFirst + i);
    }
    rank -= this.#zeros;
    if (rank < 0) return 0;
    const { counts: above, first: aboveFirst } = this.#above;
    for (let i = 0; i < above.length; i++) {
      rank -= above[i] as number;
      if (rank < 0) return this.#valueOf(aboveFirst + i);
    }
    return Number.NaN;
  }

  #valueOf(bin: number): number {
    return (2 * this.#gamma ** bin) / (this.#gamma + 1);
  }

  save(writer: ByteWriter): void {
    writer.int(this.#zeros);
    writer.int(this.count);
    this.#above.save(writer);
    this.#below.save(writer);
  }

  load(reader: ByteReader): void {
    this.#zeros = reader.int();
    this.count = reader.int();
    this.#above.load(reader);
    this.#below.load(reader);
  }
}

export interface QuantileOptions {
  /** Relative error of every quantile. @default 0.01 */
  readonly accuracy?: number;
}

/**
 * Quantiles of a number, in the order of `qs`, each within `accuracy` of the value of rank ⌊q (n − 1)⌋: |estimate − exact| <=
 * accuracy × |exact| (magnitudes below 1e-12 count as 0).
 *
 * State: one count a bin, about ln(largest/smallest) / (2 accuracy) bins. Mergeable and, being counts, exactly subtractable.
 * Source: Masson, Rim, Lee, "DDSketch", PVLDB 12(12), 2019.
 */
export function quantiles<F extends string>(
  field: F,
  qs: readonly number[],
  options?: QuantileOptions,
): Aggregate<Readonly<Partial<Record<F, number | null>>>, readonly number[]>;
export function quantiles<V>(
  of: NumberOf<V>,
  qs: readonly number[],
  options?: QuantileOptions,
): Aggregate<V, readonly number[]>;
export function quantiles<V>(
  field: string | NumberOf<V>,
  qs: readonly number[],
  { accuracy = 0.01 }: QuantileOptions = {},
): Aggregate<V, readonly number[]> {
  if (!(accuracy > 0 && accuracy < 1))
    throw new MillraceError("MR_OPTION_INVALID", `quantile accuracy must lie between 0 and 1, got ${accuracy}`);
  const { of } = picked<V, number | null | undefined>(field);
  const cell: Cell<V, QuantileSketch> = {
    create: () => new QuantileSketch(accuracy),
    add: (sketch, value, _timeMs, undo) => {
      const x = of(value);
      if (Number.isFinite(x)) undo.note(sketch, sketch.add(x as number), 1);
    },
    retract: (sketch, value, _timeMs, undo) => {
      const x = of(value);
      if (Number.isFinite(x)) undo.note(sketch, sketch.remove(x as number), -1);
    },
    merge: (sketch, from) => sketch.addAll(from, 1),
    subtract: (sketch, from) => sketch.addAll(from, -1),
    save: (writer, sketch) => sketch.save(writer),
    load: (reader) => {
      const sketch = new QuantileSketch(accuracy);
      sketch.load(reader);
      return sketch;
    },
  };
  return celled("quantiles", cell, (sketch) => qs.map((q) => sketch.quantile(q)));
}

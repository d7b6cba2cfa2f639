import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Detector, Input } from "../core/detector.js";
import { AnomalyError, integerOption } from "../core/errors.js";
import { type FeatureOption, FeatureReader } from "../core/features.js";
import { Random } from "../core/random.js";
import { CutTrees } from "./cut-trees.js";

export interface RandomCutForestOptions {
  /** Number of features, or their names. @default 1 */
  features?: FeatureOption;
  /** @default 50 */
  trees?: number;
  /** How many of the last rows each tree holds, up to 16,384. @default 256 */
  window?: number;
  /** Rows looked at together: a point is the last `shingle` rows, so that unusual sequences stand out. @default 1 */
  shingle?: number;
  /** Rows held before scores appear. @default 64, or the window if that is smaller */
  warmUp?: number;
  /**
   * What a missing feature is taken for: its last learned value, or what the forest expects beside the others (the
   * median over the trees; the last value while warming up). @default "last"
   */
  missing?: "last" | "forest";
  /** @default 1 */
  seed?: number;
}

export interface RandomCutForest extends Detector {
  /**
   * `explain` by input and lag: `features x shingle` numbers, the oldest row first, that sum to 1 (or all 0).
   * The array is reused by the next call.
   */
  explainLags(x: Input): Float64Array;
  /**
   * The row with what is missing filled in as the forest expects it, given the rest of it and, shingled, the rows before:
   * with everything missing, a forecast of the next row. While warming up, last values. The array is reused.
   */
  impute(x: Input): Float64Array;
}

/** Beyond this a deviation from the first row is clamped: it must fit a 32-bit float, and a sum of many. */
const FAR = 1e37;

/**
 * Robust Random Cut Forest: how much would the random trees of the last rows change shape if this row were there?
 *
 * Score:   mean collusive displacement (CoDisp), from 0 to `window`: usually 1 to 10, higher is more anomalous.
 * Numbers: coordinates are kept as 32-bit floats relative to the first learned row: seven digits of the deviation.
 * Missing: the last learned value of that feature, or what the forest expects (`missing`).
 * State:   about trees x window x (8 features shingle + 10) bytes: below 1 MB for 50 x 256 x 8.
 *          O(trees x log window x features) a call.
 * Errors:  AD_OPTION_INVALID, AD_INPUT_INVALID, AD_STATE_INVALID.
 * Source:  Guha et al., ICML 2016. Insert and delete without rebuilding; the window is the last rows, as in rrcf.
 */
export function randomCutForest(options: RandomCutForestOptions = {}): RandomCutForest {
  return new Rrcf(options);
}

class Rrcf implements RandomCutForest {
  readonly kind = "randomCutForest";
  readonly dimensions: number;
  private readonly reader: FeatureReader;
  private readonly window: number;
  private readonly shingle: number;
  private readonly warmUp: number;
  private readonly optionText: string;
  private readonly dims: number;
  private readonly trees: CutTrees;
  private readonly random: Random;
  private readonly spare: Random;
  /** The last rows, oldest first, of which the newest is the one in hand. */
  private readonly recent: Float64Array;
  private seen = 0;
  private readonly origin: Float64Array;
  /** Slots are a ring of window + 1: the new row comes before the oldest goes. */
  private readonly slots: number;
  private head = 0;
  private size = 0;
  /** The slot whose leaf stands for a slot: the oldest with an equal point. */
  private readonly leafOf: Uint16Array;
  private readonly shares: Float64Array;
  private readonly lagShares: Float64Array;
  private readonly byForest: boolean;
  private readonly filled: Float64Array;
  private readonly gaps: Uint8Array;
  private readonly candidates: Float64Array;

  constructor(options: RandomCutForestOptions) {
    this.reader = new FeatureReader(options.features, true);
    this.dimensions = this.reader.dimensions;
    const trees = integerOption("trees", options.trees ?? 50, 1, 1000);
    this.window = integerOption("window", options.window ?? 256, 4, 16_384);
    this.shingle = integerOption("shingle", options.shingle ?? 1, 1, 1024);
    this.warmUp = integerOption("warmUp", options.warmUp ?? Math.min(64, this.window), 1, this.window);
    this.dims = this.dimensions * this.shingle;
    if (this.dims > 65_536) throw new AnomalyError("AD_OPTION_INVALID", "features x shingle must not exceed 65,536");
    const missing = options.missing ?? "last";
    if (missing !== "last" && missing !== "forest")
      throw new AnomalyError("AD_OPTION_INVALID", `missing must be last or forest, got ${missing}`);
    this.byForest = missing === "forest";
    const seed = options.seed ?? 1;
    this.random = new Random(seed);
    this.spare = new Random(seed);
    this.optionText = JSON.stringify([
      this.reader.describe(),
      trees,
      this.window,
      this.shingle,
      this.warmUp,
      missing,
      seed,
    ]);
    this.slots = this.window + 1;
    this.trees = new CutTrees(trees, this.dims, this.slots);
    this.recent = new Float64Array(this.dims);
    this.origin = new Float64Array(this.dimensions);
    this.leafOf = new Uint16Array(this.slots);
    this.shares = new Float64Array(this.dimensions);
    this.lagShares = new Float64Array(this.dims);
    this.filled = new Float64Array(this.dimensions);
    this.gaps = new Uint8Array(this.dims);
    this.candidates = new Float64Array(trees);
  }

  scoreOne(x: Input): number | undefined {
    return this.peek(this.fill(this.reader.read(x), this.byForest));
  }

  learnOne(x: Input): void {
    this.process(x);
  }

  process(x: Input): number | undefined {
    const row = this.fill(this.reader.learn(x), this.byForest);
    const ready = this.size >= this.warmUp && this.seen + 1 >= this.shingle;
    const score = this.learn(row);
    return ready ? score : undefined;
  }

  explain(x: Input): Float64Array {
    const lags = this.explainLags(x);
    this.shares.fill(0);
    for (let i = 0; i < lags.length; i++) {
      const f = i % this.dimensions;
      this.shares[f] = (this.shares[f] as number) + (lags[i] as number);
    }
    return this.shares;
  }

  explainLags(x: Input): Float64Array {
    const { trees, lagShares } = this;
    const { blame } = trees;
    blame.fill(0);
    trees.attribute = true;
    this.scoreOne(x);
    trees.attribute = false;
    let total = 0;
    for (let i = 0; i < blame.length; i++) total += blame[i] as number;
    for (let i = 0; i < blame.length; i++) lagShares[i] = total > 0 ? (blame[i] as number) / total : 0;
    return lagShares;
  }

  impute(x: Input): Float64Array {
    return this.fill(this.reader.read(x), true);
  }

  /** A copy of the row without gaps. */
  private fill(row: Float64Array, byForest: boolean): Float64Array {
    const { filled, gaps, dims, dimensions } = this;
    let missing = 0;
    for (let f = 0; f < dimensions; f++) {
      const isGap = Number.isNaN(row[f] as number);
      gaps[dims - dimensions + f] = isGap ? 1 : 0;
      filled[f] = isGap ? this.reader.lastOf(f) : (row[f] as number);
      if (isGap) missing++;
    }
    if (missing === 0 || !byForest || this.size < this.warmUp) return filled;
    const slot = (this.head + this.size) % this.slots;
    this.place(slot, filled);
    for (let f = 0; f < dimensions; f++)
      if (gaps[dims - dimensions + f] === 1)
        filled[f] = this.expected(slot, dims - dimensions + f) + (this.origin[f] as number);
    return filled;
  }

  /** Median over the trees of a missing coordinate of the point in `slot`, relative to the origin. */
  private expected(slot: number, coordinate: number): number {
    const { candidates, trees, dims } = this;
    for (let tree = 0; tree < candidates.length; tree++) {
      const leaf = trees.leafFor(tree, slot, this.gaps);
      const value = trees.points[leaf * dims + coordinate] as number;
      let at = tree;
      for (; at > 0 && (candidates[at - 1] as number) > value; at--) candidates[at] = candidates[at - 1] as number;
      candidates[at] = value;
    }
    return candidates[candidates.length >> 1] as number;
  }

  /** Inserts the row, takes its displacement, and takes it out again: the trees and the generator end as they were. */
  private peek(row: Float64Array): number | undefined {
    if (this.size < this.warmUp || this.seen + 1 < this.shingle) return undefined;
    const slot = (this.head + this.size) % this.slots;
    this.place(slot, row);
    const twin = this.twinOf(slot);
    if (twin !== slot) {
      const score = this.trees.insertCopy(twin);
      this.trees.deleteCopy(twin);
      return score;
    }
    this.spare.copy(this.random);
    const score = this.trees.insert(slot, this.spare);
    this.trees.delete(slot);
    return score;
  }

  private learn(row: Float64Array): number {
    if (this.seen === 0) this.origin.set(row);
    const slot = (this.head + this.size) % this.slots;
    this.place(slot, row);
    this.remember(row);
    if (this.seen < this.shingle) return 0;
    const twin = this.twinOf(slot);
    this.leafOf[slot] = twin;
    const score = twin === slot ? this.trees.insert(slot, this.random) : this.trees.insertCopy(twin);
    if (++this.size > this.window) this.forgetOldest();
    return score;
  }

  /** Writes the point of the row and the `shingle - 1` rows before it. */
  private place(slot: number, row: Float64Array): void {
    const { dims, dimensions, recent, origin } = this;
    const { points } = this.trees;
    const older = dims - dimensions;
    for (let i = 0; i < dims; i++) {
      const f = i % dimensions;
      const value = (i < older ? recent[i + dimensions] : row[f]) as number;
      const deviation = value - (origin[f] as number);
      // Adding 0 turns -0 into 0: equal points must have equal bits.
      points[slot * dims + i] = Math.min(Math.max(deviation, -FAR), FAR) + 0;
    }
  }

  private remember(row: Float64Array): void {
    this.recent.copyWithin(0, this.dimensions);
    this.recent.set(row, this.dims - this.dimensions);
    this.seen++;
  }

  /** The slot whose leaf holds an equal point, or the slot itself. */
  private twinOf(slot: number): number {
    const { points } = this.trees;
    const { dims, slots } = this;
    const x = slot * dims;
    for (let age = 0, other = this.head; age < this.size; age++) {
      let j = 0;
      while (j < dims && points[other * dims + j] === points[x + j]) j++;
      if (j === dims) return this.leafOf[other] as number;
      other = other + 1 === slots ? 0 : other + 1;
    }
    return slot;
  }

  private forgetOldest(): void {
    const { head, slots, leafOf, trees } = this;
    this.head = head + 1 === slots ? 0 : head + 1;
    this.size--;
    if (trees.copies[head] === 1) {
      trees.delete(head);
      return;
    }
    // The oldest of equal points stands for them all: the next oldest takes over.
    let heir = -1;
    for (let age = 0; age < this.size; age++) {
      const other = (this.head + age) % slots;
      if (leafOf[other] !== head) continue;
      if (heir < 0) {
        heir = other;
        trees.relabel(head, heir);
        trees.deleteCopy(heir);
      }
      leafOf[other] = heir;
    }
  }

  memoryBytes(): number {
    return this.trees.memoryBytes() + this.leafOf.byteLength + (3 * this.dims + 4 * this.dimensions) * 8;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText);
    this.reader.save(to);
    this.random.save(to);
    to.f64(this.seen).f64s(this.origin).f64s(this.recent).u32(this.size);
    for (let age = 0; age < this.size; age++) {
      const slot = (this.head + age) % this.slots;
      to.f64s(this.trees.points, slot * this.dims, (slot + 1) * this.dims);
    }
    this.trees.save(to, (slot) => (slot - this.head + this.slots) % this.slots);
    return to.done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.reader.load(from);
    this.random.load(from);
    this.seen = from.f64();
    from.f64s(this.origin);
    from.f64s(this.recent);
    const size = from.u32();
    this.trees.clear();
    this.head = 0;
    const point = new Float64Array(this.dims);
    for (this.size = 0; this.size < size; this.size++) {
      from.f64s(point);
      this.trees.points.set(point, this.size * this.dims);
      const twin = this.twinOf(this.size);
      this.leafOf[this.size] = twin;
      this.trees.copies[twin] = (this.trees.copies[twin] as number) + 1;
    }
    this.trees.load(from, size > 0);
    from.done();
  }
}

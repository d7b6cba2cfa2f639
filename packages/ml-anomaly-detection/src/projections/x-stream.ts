import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Detector, Input } from "../core/detector.js";
import { integerOption } from "../core/errors.js";
import { type FeatureOption, FeatureReader } from "../core/features.js";
import { cellOf, scramble } from "../core/hash.js";
import { Random } from "../core/random.js";
import { RecentRows } from "../core/recent-rows.js";

export interface XStreamOptions {
  /** Number of features, or their names: a feature keeps its projections when others come or go. @default 1 */
  features?: FeatureOption;
  /** Sparse random projections of a row. @default 50 */
  projections?: number;
  /** Half-space chains. @default 50 */
  chains?: number;
  /** Splits of a chain, each in half of what was left. @default 15 */
  depth?: number;
  /** Rows whose counts describe what is normal, until the next as many replace them. @default 256 */
  window?: number;
  /** @default 1 */
  seed?: number;
}

/**
 * xStream: rows projected on a few random directions, then chains of ever finer random cells; a row is anomalous where
 * even coarse cells held few of the last window.
 *
 * Score:   -mean over chains of min over depths (log2(1 + count) + depth), in [-64, 0). Calibrate by quantile.
 *          `undefined` during the first window, which also teaches the width of the cells.
 * Missing: counts as 0 in every projection, as the paper treats a feature not there.
 * State:   4 bytes x chains x depth x (2 window, rounded up to a power of two); O(chains x depth) a row.
 * Errors:  AD_OPTION_INVALID, AD_INPUT_INVALID, AD_STATE_INVALID.
 * Source:  Manzoor, Lamba & Akoglu, "xStream: outlier detection in feature-evolving data streams", KDD 2018.
 */
export function xStream(options: XStreamOptions = {}): Detector {
  return new XStream(options);
}

class XStream implements Detector {
  readonly kind = "xStream";
  readonly dimensions: number;
  private readonly reader: FeatureReader;
  private readonly recent: RecentRows;
  private readonly projections: number;
  private readonly chains: number;
  private readonly depth: number;
  private readonly window: number;
  private readonly slots: number;
  private readonly optionText: string;
  /** -1, 0 or 1 for each projection and feature. */
  private readonly signs: Int8Array;
  /** Projection each chain splits at each depth, and its shift as a share of the cell width. */
  private readonly split: Int32Array;
  private readonly shift: Float64Array;
  private readonly width: Float64Array;
  private readonly early: Float64Array;
  private latest: Uint16Array;
  private reference: Uint16Array;
  private rows = 0;
  // Of the row looked at last: its projections, the slot of each chain and depth, and room for one chain's cells.
  private readonly projected: Float64Array;
  private readonly found: Int32Array;
  private readonly place: Float64Array;
  private readonly scoreOf = (row: Float64Array) => {
    this.find(row);
    return this.score();
  };

  constructor(options: XStreamOptions) {
    this.reader = new FeatureReader(options.features, true);
    const d = this.reader.dimensions;
    this.dimensions = d;
    this.recent = new RecentRows(d);
    this.projections = integerOption("projections", options.projections ?? 50, 1, 10_000);
    this.chains = integerOption("chains", options.chains ?? 50, 1, 10_000);
    this.depth = integerOption("depth", options.depth ?? 15, 1, 30);
    this.window = integerOption("window", options.window ?? 256, 2, 65_535);
    this.slots = 2 ** Math.ceil(Math.log2(2 * this.window));
    const seed = options.seed ?? 1;
    const { projections, chains, depth, window, slots } = this;
    this.optionText = JSON.stringify([this.reader.describe(), projections, chains, depth, window, seed]);
    const random = new Random(seed);
    this.split = Int32Array.from({ length: chains * depth }, () => random.below(projections));
    this.shift = Float64Array.from({ length: chains * projections }, () => random.next());
    this.signs = new Int8Array(projections * d);
    this.draw(Math.floor(random.next() * 2 ** 31));
    this.width = new Float64Array(projections);
    this.early = new Float64Array(window * d);
    this.latest = new Uint16Array(chains * depth * slots);
    this.reference = new Uint16Array(chains * depth * slots);
    this.projected = new Float64Array(projections);
    this.found = new Int32Array(chains * depth);
    this.place = new Float64Array(projections);
  }

  /** One projection in three reads a feature, with either sign, as its name (or place) says: StreamHash. */
  private draw(salt: number): void {
    for (let f = 0; f < this.dimensions; f++) {
      let name = salt;
      for (const letter of this.reader.names?.[f] ?? String(f))
        name = scramble(name + (letter.codePointAt(0) as number));
      for (let p = 0; p < this.projections; p++) {
        const sixth = (scramble(name + Math.imul(p + 1, 0x9e37_79b9)) >>> 0) % 6;
        this.signs[p * this.dimensions + f] = sixth === 0 ? 1 : sixth === 1 ? -1 : 0;
      }
    }
  }

  scoreOne(x: Input): number | undefined {
    const row = this.reader.read(x);
    return this.rows < this.window ? undefined : this.scoreOf(row);
  }

  learnOne(x: Input): void {
    const row = this.reader.read(x);
    if (this.rows >= this.window) this.find(row);
    this.learn(row);
  }

  process(x: Input): number | undefined {
    const row = this.reader.read(x);
    const score = this.rows < this.window ? undefined : this.scoreOf(row);
    this.learn(row);
    return score;
  }

  /** Each feature's share: by how much the score falls, on average, when that feature is as in one of the last rows. */
  explain(x: Input): Float64Array {
    const row = this.reader.read(x);
    return this.rows < this.window ? this.recent.nothing() : this.recent.explain(row, this.scoreOf);
  }

  /** Takes the row whose slots were found last. */
  private learn(row: Float64Array): void {
    this.recent.add(row);
    if (this.rows < this.window) this.early.set(row, this.rows * this.dimensions);
    else for (let at = 0; at < this.found.length; at++) this.count(at);
    this.rows++;
    if (this.rows % this.window !== 0) return;
    if (this.rows === this.window) this.begin();
    const counted = this.latest;
    this.latest = this.reference.fill(0);
    this.reference = counted;
  }

  private count(at: number): void {
    const slot = this.found[at] as number;
    this.latest[slot] = (this.latest[slot] as number) + 1; // at most `window`: it fits
  }

  /** The first window is full: a cell is half as wide as it reached, and its rows are counted. */
  private begin(): void {
    const { dimensions, projections, width, projected, early } = this;
    const low = new Float64Array(projections).fill(Number.POSITIVE_INFINITY);
    const high = new Float64Array(projections).fill(Number.NEGATIVE_INFINITY);
    const row = (i: number) => early.subarray(i * dimensions, (i + 1) * dimensions);
    for (let i = 0; i < this.window; i++) {
      this.project(row(i));
      for (let p = 0; p < projections; p++) {
        low[p] = Math.min(low[p] as number, projected[p] as number);
        high[p] = Math.max(high[p] as number, projected[p] as number);
      }
    }
    for (let p = 0; p < projections; p++) width[p] = ((high[p] as number) - (low[p] as number)) / 2 || 1;
    for (let i = 0; i < this.window; i++) {
      this.find(row(i));
      for (let at = 0; at < this.found.length; at++) this.count(at);
    }
  }

  private project(row: Float64Array): void {
    const { signs, dimensions, projected } = this;
    for (let p = 0, at = 0; p < projected.length; p++) {
      let sum = 0;
      for (let f = 0; f < dimensions; f++, at++) {
        const sign = signs[at] as number;
        const value = row[f] as number;
        if (sign !== 0 && !Number.isNaN(value)) sum += sign * value;
      }
      projected[p] = sum;
    }
  }

  private find(row: Float64Array): void {
    this.project(row);
    const { projections, chains, depth, slots, split, shift, place, projected, width, found } = this;
    for (let chain = 0, at = 0; chain < chains; chain++) {
      place.fill(Number.NaN);
      // The cell is the sum of a hash for each projection split so far: a further split changes one summand.
      let cell = 0;
      for (let d = 0; d < depth; d++, at++) {
        const p = split[at] as number;
        const before = place[p] as number;
        const shifted = shift[chain * projections + p] as number;
        let now = (projected[p] as number) / (width[p] as number) + shifted;
        if (!Number.isNaN(before)) {
          now = 2 * before - shifted;
          cell -= hashOf(p, before);
        }
        place[p] = now;
        cell = (cell + hashOf(p, now)) | 0;
        found[at] = at * slots + (scramble(cell) & (slots - 1));
      }
    }
  }

  private score(): number {
    const { reference, found, depth } = this;
    let sum = 0;
    for (let chain = 0, at = 0; chain < this.chains; chain++) {
      let least = Number.POSITIVE_INFINITY;
      for (let d = 1; d <= depth; d++, at++) {
        // log2(1 + count) + d rises with (1 + count) 2^d: one logarithm a chain.
        const mass = (1 + (reference[found[at] as number] as number)) * 2 ** d;
        if (mass < least) least = mass;
      }
      sum += Math.log2(least);
    }
    return -sum / this.chains;
  }

  memoryBytes(): number {
    const chains = this.split.byteLength + this.shift.byteLength + this.found.byteLength;
    const rows = this.early.byteLength + this.signs.byteLength + 24 * this.projections;
    return this.latest.byteLength * 2 + chains + rows + this.recent.memoryBytes() + 64;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText).f64(this.rows);
    this.recent.save(to);
    if (this.rows < this.window) return to.f64s(this.early, 0, this.rows * this.dimensions).done();
    return to.f64s(this.width).u16s(this.latest).u16s(this.reference).done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.rows = from.f64();
    this.recent.load(from);
    this.latest.fill(0);
    this.reference.fill(0);
    if (this.rows < this.window) from.f64s(this.early);
    else {
      from.f64s(this.width);
      from.u16s(this.latest);
      from.u16s(this.reference);
    }
    from.done();
  }
}

function hashOf(projection: number, place: number): number {
  return scramble(cellOf(place) + Math.imul(projection + 1, 0x85eb_ca6b));
}

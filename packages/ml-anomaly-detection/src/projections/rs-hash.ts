import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Detector, Input } from "../core/detector.js";
import { integerOption, numberOption } from "../core/errors.js";
import { type FeatureOption, FeatureReader } from "../core/features.js";
import { cellOf, scramble } from "../core/hash.js";
import { Random } from "../core/random.js";
import { RecentRows } from "../core/recent-rows.js";

export interface RsHashOptions {
  /** Number of features, or their names. @default 1 */
  features?: FeatureOption;
  /** Random grids over random subsets of the features. @default 100 */
  components?: number;
  /** A row's count halves after 1 / decay rows. @default 0.015 */
  decay?: number;
  /** Tables of the count-min sketch, each with a hash of its own. @default 4 */
  tables?: number;
  /** Slots of a table. @default 10000 */
  slots?: number;
  /** Rows that teach the range of each feature; scores begin after them. @default 256 */
  warmUp?: number;
  /** @default 1 */
  seed?: number;
}

/**
 * RS-Hash: in each of many random grids over some of the features, how many rows lately fell into the cell of this one.
 *
 * Score:   -mean log2(1 + decayed count), in [-64, 0]: 0 for cells never entered. Calibrate by quantile.
 * Missing: the last learned value of that feature.
 * State:   tables x slots x 12 bytes, whatever the stream; O(components x (features read + tables)) a row.
 * Errors:  AD_OPTION_INVALID, AD_INPUT_INVALID, AD_STATE_INVALID.
 * Source:  Sathe & Aggarwal, "Subspace outlier detection in linear time with randomized hashing", ICDM 2016 (RS-Stream).
 */
export function rsHash(options: RsHashOptions = {}): Detector {
  return new RsHash(options);
}

/** Counts older than this many half-lives are nothing beside 1. */
const HALF_LIVES = 60;

class RsHash implements Detector {
  readonly kind = "rsHash";
  readonly dimensions: number;
  private readonly reader: FeatureReader;
  private readonly recent: RecentRows;
  private readonly components: number;
  private readonly tables: number;
  private readonly slots: number;
  private readonly warmUp: number;
  private readonly optionText: string;
  /** Width of each grid's cells, as a share of the range; then its features, `first[i]` to `first[i + 1]`, and shifts. */
  private readonly cell: Float64Array;
  private readonly first: Int32Array;
  private readonly feature: Int32Array;
  private readonly shift: Float64Array;
  private readonly salts: Int32Array;
  /** 2^(-decay x age). */
  private readonly fading: Float64Array;
  private readonly early: Float64Array;
  private readonly low: Float64Array;
  private readonly range: Float64Array;
  private readonly counts: Float64Array;
  private readonly stamps: Uint32Array;
  private rows = 0;
  /** Slots of the row looked at last. */
  private readonly found: Int32Array;
  private readonly scoreOf = (row: Float64Array) => {
    this.find(row);
    return this.score();
  };

  constructor(options: RsHashOptions) {
    this.reader = new FeatureReader(options.features);
    const d = this.reader.dimensions;
    this.dimensions = d;
    this.recent = new RecentRows(d);
    this.components = integerOption("components", options.components ?? 100, 1, 10_000);
    const decay = numberOption("decay", options.decay ?? 0.015, 1e-5, 1);
    this.tables = integerOption("tables", options.tables ?? 4, 1, 32);
    this.slots = integerOption("slots", options.slots ?? 10_000, 16, 10_000_000);
    this.warmUp = integerOption("warmUp", options.warmUp ?? 256, 2, 1_000_000);
    const seed = options.seed ?? 1;
    const { components, tables, slots, warmUp } = this;
    this.optionText = JSON.stringify([this.reader.describe(), components, decay, tables, slots, warmUp, seed]);
    this.cell = new Float64Array(components);
    this.first = new Int32Array(components + 1);
    this.salts = new Int32Array(components);
    this.fading = Float64Array.from({ length: Math.ceil(HALF_LIVES / decay) }, (_, age) => 2 ** (-decay * age));
    const grids = this.draw(new Random(seed), Math.max(1000, 1 / (1 - 2 ** -decay)));
    this.feature = Int32Array.from(grids, ({ feature }) => feature);
    this.shift = Float64Array.from(grids, ({ shift }) => shift);
    this.early = new Float64Array(warmUp * d);
    this.low = new Float64Array(d);
    this.range = new Float64Array(d);
    this.counts = new Float64Array(tables * slots);
    this.stamps = new Uint32Array(tables * slots);
    this.found = new Int32Array(components * tables);
  }

  /** Grids over 1 + log(s) / 2 to log(s) features, to the base of the number of cells across; s rows are remembered. */
  private draw(random: Random, rows: number): { feature: number; shift: number }[] {
    const least = 1 / Math.sqrt(rows);
    const order = Array.from({ length: this.dimensions }, (_, f) => f);
    const grids: { feature: number; shift: number }[] = [];
    for (let i = 0; i < this.components; i++) {
      const width = least + (1 - 2 * least) * random.next();
      const most = Math.log(rows) / Math.log(Math.max(2, 1 / width));
      const low = Math.min(Math.ceil(1 + most / 2), Math.floor(most));
      const count = Math.min(low + random.below(Math.floor(most) + 1 - low), order.length);
      this.cell[i] = width;
      this.salts[i] = random.bits();
      for (let j = 0; j < count; j++) {
        const k = j + random.below(order.length - j);
        const feature = order[k] as number;
        order[k] = order[j] as number;
        order[j] = feature;
        grids.push({ feature, shift: width * random.next() });
      }
      this.first[i + 1] = grids.length;
    }
    return grids;
  }

  scoreOne(x: Input): number | undefined {
    const row = this.reader.read(x);
    return this.rows < this.warmUp ? undefined : this.scoreOf(row);
  }

  learnOne(x: Input): void {
    const row = this.reader.learn(x);
    if (this.rows >= this.warmUp) this.find(row);
    this.learn(row);
  }

  process(x: Input): number | undefined {
    const row = this.reader.learn(x);
    const score = this.rows < this.warmUp ? undefined : this.scoreOf(row);
    this.learn(row);
    return score;
  }

  /** Each feature's share: by how much the score falls, on average, when that feature is as in one of the last rows. */
  explain(x: Input): Float64Array {
    const row = this.reader.read(x);
    return this.rows < this.warmUp ? this.recent.nothing() : this.recent.explain(row, this.scoreOf);
  }

  /** Takes the row whose slots were found last. */
  private learn(row: Float64Array): void {
    this.recent.add(row);
    if (this.rows >= this.warmUp) this.count();
    else {
      this.early.set(row, this.rows * this.dimensions);
      if (this.rows === this.warmUp - 1) this.begin();
    }
    this.rows++;
  }

  /** The ranges are known: counts the rows that taught them. */
  private begin(): void {
    const { low, range, early, dimensions } = this;
    low.fill(Number.POSITIVE_INFINITY);
    range.fill(Number.NEGATIVE_INFINITY);
    for (let i = 0; i < early.length; i++) {
      const f = i % dimensions;
      low[f] = Math.min(low[f] as number, early[i] as number);
      range[f] = Math.max(range[f] as number, early[i] as number);
    }
    for (let f = 0; f < dimensions; f++) range[f] = (range[f] as number) - (low[f] as number) || 1;
    const last = this.rows;
    for (this.rows = 0; this.rows <= last; this.rows++) {
      this.find(early.subarray(this.rows * dimensions, (this.rows + 1) * dimensions));
      this.count();
    }
    this.rows = last;
  }

  private find(row: Float64Array): void {
    const { first, feature, shift, cell, low, range, tables, slots, found } = this;
    for (let i = 0; i < this.components; i++) {
      let hash = this.salts[i] as number;
      for (let at = first[i] as number; at < (first[i + 1] as number); at++) {
        const f = feature[at] as number;
        const x = ((row[f] as number) - (low[f] as number)) / (range[f] as number);
        hash = scramble(hash + cellOf((x + (shift[at] as number)) / (cell[i] as number)));
      }
      for (let table = 0; table < tables; table++) {
        hash = scramble(hash + 0x9e37_79b9);
        found[i * tables + table] = table * slots + ((hash >>> 0) % slots);
      }
    }
  }

  private faded(slot: number): number {
    const count = this.counts[slot] as number;
    if (count === 0) return 0;
    const age = (this.rows - (this.stamps[slot] as number)) >>> 0; // rows wrap after 4 thousand million, ages do not
    return age < this.fading.length ? count * (this.fading[age] as number) : 0;
  }

  private score(): number {
    let sum = 0;
    for (let i = 0; i < this.components; i++) {
      let least = Number.POSITIVE_INFINITY;
      for (let at = i * this.tables; at < (i + 1) * this.tables; at++) {
        const count = this.faded(this.found[at] as number);
        if (count < least) least = count;
      }
      sum += Math.log2(1 + least);
    }
    return -sum / this.components;
  }

  private count(): void {
    for (let at = 0; at < this.found.length; at++) {
      const slot = this.found[at] as number;
      this.counts[slot] = this.faded(slot) + 1;
      this.stamps[slot] = this.rows;
    }
  }

  memoryBytes(): number {
    const sketch = this.counts.byteLength + this.stamps.byteLength;
    const grids = this.feature.length * 12 + this.components * 16 + this.found.byteLength;
    return sketch + grids + this.early.byteLength + this.fading.byteLength + this.recent.memoryBytes();
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText).f64(this.rows);
    this.reader.save(to);
    this.recent.save(to);
    if (this.rows < this.warmUp) return to.f64s(this.early, 0, this.rows * this.dimensions).done();
    return to.f64s(this.low).f64s(this.range).f64s(this.counts).u32s(this.stamps).done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.rows = from.f64();
    this.reader.load(from);
    this.recent.load(from);
    this.counts.fill(0);
    this.stamps.fill(0);
    if (this.rows < this.warmUp) from.f64s(this.early);
    else {
      from.f64s(this.low);
      from.f64s(this.range);
      from.f64s(this.counts);
      from.u32s(this.stamps);
    }
    from.done();
  }
}

import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Detector, Input } from "../core/detector.js";
import { AnomalyError, integerOption } from "../core/errors.js";
import { type FeatureOption, FeatureReader } from "../core/features.js";
import { Random } from "../core/random.js";

export interface HalfSpaceTreesOptions {
  /** Number of features, or their names. @default 1 */
  features?: FeatureOption;
  /** @default 10 */
  trees?: number;
  /** Splits from root to leaf; a tree has 2^(height + 1) - 1 nodes. @default 8 */
  height?: number;
  /** Rows whose counts describe what is normal, until the next as many replace them. @default 250 */
  window?: number;
  /**
   * `[low, high]` of each feature: splits lie within. Absent: learned from the first window, widened by half of its
   * range on both sides so that values never seen fall into cells never filled.
   */
  limits?: readonly (readonly [number, number])[];
  /** @default 1 */
  seed?: number;
}

const PADDING = 0.15; // a split lies in the middle 70 % of its range
const SIZE_LIMIT = 0.1; // a node with less than this share of the window ends the walk

/**
 * Half-Space Trees: random trees over the space, drawn before any data; a row that falls where the last window held
 * little is anomalous.
 *
 * Score:   1 - mass / greatest possible mass, in [0, 1]. Most rows score just below 1: calibrate by quantile.
 *          `undefined` during the first window.
 * Missing: takes the child with more rows.
 * State:   trees x 2^(height + 1) counters of 4 bytes, twice; trees x height steps a call, no search.
 * Errors:  AD_OPTION_INVALID, AD_INPUT_INVALID, AD_STATE_INVALID.
 * Source:  Tan, Ting & Liu, "Fast anomaly detection for streaming data", IJCAI 2011; scores equal River 0.26 on equal trees.
 */
export function halfSpaceTrees(options: HalfSpaceTreesOptions = {}): Detector {
  return new HalfSpaceTrees(options);
}

/** Splits of all trees, tree after tree, each in heap order (children of i: 2i + 1 and 2i + 2). */
export interface Splits {
  readonly feature: Uint16Array;
  readonly threshold: Float64Array;
}

export class HalfSpaceTrees implements Detector {
  readonly kind = "halfSpaceTrees";
  readonly dimensions: number;
  private readonly reader: FeatureReader;
  private readonly trees: number;
  private readonly height: number;
  private readonly window: number;
  private readonly seed: number;
  private readonly optionText: string;
  /** Internal nodes and all nodes of a tree. */
  private readonly inner: number;
  private readonly nodes: number;
  private readonly sizeLimit: number;
  private readonly greatest: number;

  private readonly low: Float64Array;
  private readonly high: Float64Array;
  private splits: Splits | undefined;
  private readonly given: boolean;
  /** Rows of the first window, while limits are being learned. */
  private readonly early: Float64Array;
  private counter = 0;
  private scoring = false;
  private readonly latest: Int32Array;
  private readonly reference: Int32Array;
  private readonly shares: Float64Array;
  private readonly probe: Float64Array;

  constructor(options: HalfSpaceTreesOptions, splits?: Splits) {
    this.reader = new FeatureReader(options.features, true);
    const d = this.reader.dimensions;
    this.dimensions = d;
    this.trees = integerOption("trees", options.trees ?? 10, 1, 10_000);
    this.height = integerOption("height", options.height ?? 8, 1, 20);
    this.window = integerOption("window", options.window ?? 250, 2, 1_000_000);
    this.seed = options.seed ?? 1;
    this.inner = 2 ** this.height - 1;
    this.nodes = 2 * this.inner + 1;
    this.sizeLimit = SIZE_LIMIT * this.window;
    this.greatest = this.trees * this.window * this.nodes;
    this.low = new Float64Array(d);
    this.high = new Float64Array(d);
    this.given = options.limits !== undefined || splits !== undefined;
    if (options.limits !== undefined) this.takeLimits(options.limits);
    this.optionText = JSON.stringify([
      this.reader.describe(),
      this.trees,
      this.height,
      this.window,
      options.limits ?? null,
      this.seed,
    ]);
    this.early = new Float64Array(this.given ? 0 : this.window * d);
    this.latest = new Int32Array(this.trees * this.nodes);
    this.reference = new Int32Array(this.trees * this.nodes);
    this.shares = new Float64Array(d);
    this.probe = new Float64Array(d);
    this.splits = splits ?? (this.given ? this.grow() : undefined);
    new Random(this.seed); // refuses a bad seed now rather than after the first window
  }

  scoreOne(x: Input): number | undefined {
    const row = this.reader.read(x);
    return this.scoring ? this.score(row) : undefined;
  }

  learnOne(x: Input): void {
    this.learn(this.reader.read(x));
  }

  process(x: Input): number | undefined {
    const row = this.reader.read(x);
    const score = this.scoring ? this.score(row) : undefined;
    this.learn(row);
    return score;
  }

  /** Each feature's share: by how much the score falls when that feature is taken as missing. */
  explain(x: Input): Float64Array {
    const { shares, probe, dimensions } = this;
    shares.fill(0);
    const row = this.reader.read(x);
    if (!this.scoring) return shares;
    const whole = this.score(row);
    let total = 0;
    for (let f = 0; f < dimensions; f++) {
      probe.set(row);
      probe[f] = Number.NaN;
      shares[f] = Math.max(whole - this.score(probe), 0);
      total += shares[f] as number;
    }
    for (let f = 0; f < dimensions; f++) shares[f] = total > 0 ? (shares[f] as number) / total : 0;
    return shares;
  }

  private score(row: Float64Array): number {
    const { inner, nodes, height, reference, sizeLimit } = this;
    const { feature, threshold } = this.splits as Splits;
    let sum = 0;
    for (let tree = 0; tree < this.trees; tree++) {
      const base = tree * nodes;
      const splitBase = tree * inner;
      let node = 0;
      let weight = 1;
      for (let depth = 0; depth <= height; depth++) {
        const mass = reference[base + node] as number;
        sum += mass * weight;
        if (mass < sizeLimit || depth === height) break;
        node = this.child(
          node,
          row[feature[splitBase + node] as number] as number,
          threshold[splitBase + node] as number,
          base,
        );
        weight *= 2;
      }
    }
    return 1 - sum / this.greatest;
  }

  private child(node: number, value: number, threshold: number, base: number): number {
    if (value < threshold) return 2 * node + 1;
    if (value >= threshold) return 2 * node + 2;
    const left = base + 2 * node + 1; // missing
    return (this.latest[left] as number) < (this.latest[left + 1] as number) ? 2 * node + 2 : 2 * node + 1;
  }

  private learn(row: Float64Array): void {
    if (this.splits === undefined) this.early.set(row, this.counter * this.dimensions);
    else this.count(row);
    if (++this.counter < this.window) return;
    if (this.splits === undefined) this.learnLimits();
    this.reference.set(this.latest);
    this.latest.fill(0);
    this.counter = 0;
    this.scoring = true;
  }

  private count(row: Float64Array): void {
    const { inner, nodes, height, latest } = this;
    const { feature, threshold } = this.splits as Splits;
    for (let tree = 0; tree < this.trees; tree++) {
      const base = tree * nodes;
      const splitBase = tree * inner;
      let node = 0;
      for (let depth = 0; depth < height; depth++) {
        latest[base + node] = (latest[base + node] as number) + 1;
        node = this.child(
          node,
          row[feature[splitBase + node] as number] as number,
          threshold[splitBase + node] as number,
          base,
        );
      }
      latest[base + node] = (latest[base + node] as number) + 1;
    }
  }

  /** Ranges of the first window, widened; then the trees, and the window counted into them. */
  private learnLimits(): void {
    const { low, high, dimensions, early, window } = this;
    for (let f = 0; f < dimensions; f++) {
      let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
      for (let i = f; i < early.length; i += dimensions) {
        const value = early[i] as number;
        if (value < least) least = value;
        if (value > most) most = value;
      }
      if (!(least <= most)) [least, most] = [0, 0]; // never present
      const pad = (most - least) / 2 || Math.abs(most) / 2 || 0.5;
      low[f] = least - pad;
      high[f] = most + pad;
    }
    this.splits = this.grow();
    for (let i = 0; i < window; i++) this.count(early.subarray(i * dimensions, (i + 1) * dimensions));
  }

  /** Draws every tree from the limits and the seed: the same each time, so splits are never saved. */
  private grow(): Splits {
    const random = new Random(this.seed);
    const feature = new Uint16Array(this.trees * this.inner);
    const threshold = new Float64Array(this.trees * this.inner);
    const low = this.low.slice();
    const high = this.high.slice();
    const split = (tree: number, node: number) => {
      if (node >= this.inner) return;
      let pick = 0;
      for (let f = 0; f < low.length; f++) pick += this.shareOfRange(f, low, high);
      pick *= random.next();
      let f = 0;
      while (f < low.length - 1 && pick >= this.shareOfRange(f, low, high)) pick -= this.shareOfRange(f++, low, high);
      const [a, b] = [low[f] as number, high[f] as number];
      const at = a + (b - a) * (PADDING + (1 - 2 * PADDING) * random.next());
      feature[tree * this.inner + node] = f;
      threshold[tree * this.inner + node] = at;
      high[f] = at;
      split(tree, 2 * node + 1);
      high[f] = b;
      low[f] = at;
      split(tree, 2 * node + 2);
      low[f] = a;
    };
    for (let tree = 0; tree < this.trees; tree++) split(tree, 0);
    return { feature, threshold };
  }

  /** What is left of a feature's range, as a share of the whole: units must not decide which feature is split. */
  private shareOfRange(f: number, low: Float64Array, high: Float64Array): number {
    return ((high[f] as number) - (low[f] as number)) / ((this.high[f] as number) - (this.low[f] as number));
  }

  private takeLimits(limits: readonly (readonly [number, number])[]): void {
    if (limits.length !== this.dimensions)
      throw new AnomalyError("AD_OPTION_INVALID", `limits for ${limits.length} features, there are ${this.dimensions}`);
    limits.forEach(([low, high], f) => {
      if (!(low < high && Number.isFinite(high - low)))
        throw new AnomalyError("AD_OPTION_INVALID", `limits of feature ${f} must rise, got [${low}, ${high}]`);
      this.low[f] = low;
      this.high[f] = high;
    });
  }

  memoryBytes(): number {
    const splits = this.trees * this.inner * 10;
    return this.latest.byteLength * 2 + splits + this.early.byteLength + 6 * 8 * this.dimensions;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText);
    to.u32(this.counter).bool(this.scoring).f64s(this.low).f64s(this.high);
    if (this.splits === undefined) return to.f64s(this.early, 0, this.counter * this.dimensions).done();
    return to.u32s(this.latest).u32s(this.reference).done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.counter = from.u32();
    this.scoring = from.bool();
    from.f64s(this.low);
    from.f64s(this.high);
    this.latest.fill(0);
    this.reference.fill(0);
    if (!this.given) this.splits = this.scoring ? this.grow() : undefined;
    if (this.splits === undefined) from.f64s(this.early);
    else {
      from.u32s(this.latest);
      from.u32s(this.reference);
    }
    from.done();
  }
}

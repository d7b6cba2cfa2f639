import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Detector, Input } from "../core/detector.js";
import { AnomalyError, integerOption } from "../core/errors.js";
import { type FeatureOption, FeatureReader } from "../core/features.js";
import { Random } from "../core/random.js";

export interface IsolationForestOptions {
  /** Number of features, or their names. @default 1 */
  features?: FeatureOption;
  /** @default 100 */
  trees?: number;
  /** Rows drawn, without replacement, for each tree; fewer when there are fewer. @default 256 */
  sample?: number;
  /** @default 1 */
  seed?: number;
}

export interface SlidingIsolationForestOptions extends IsolationForestOptions {
  /** Last rows the forest is drawn from. @default 1024 */
  window?: number;
  /** Rows between two fits; the first comes when as many are there. @default window / 4 */
  refit?: number;
}

export interface IsolationForest {
  /** In (0, 1]: above 0.5 a row is easier to isolate than the average row. = -`score_samples` of scikit-learn. */
  scoreOne(x: ArrayLike<number>): number;
}

const EULER = 0.5772156649015329;

/** Mean length of the path to a leaf in a random tree of `n` rows. */
export function averagePathLength(n: number): number {
  if (n <= 1) return 0;
  if (n === 2) return 1;
  return 2 * (Math.log(n - 1) + EULER) - (2 * (n - 1)) / n;
}

/**
 * Isolation Forest, fitted once on a set of rows: anomalies take few random splits to be alone.
 *
 * Score:  2^(-mean path / c(sample)), the path counting edges and c(rows left) at an unsplit leaf.
 * Cost:   O(trees x sample log sample) to fit, O(trees log sample) a score.
 * Errors: AD_OPTION_INVALID; AD_INPUT_INVALID for no rows, ragged rows or a value that is not finite.
 * Source: Liu, Ting & Zhou, ICDM 2008; constants of scikit-learn 1.9.
 */
export function isolationForestBatch(
  rows: readonly ArrayLike<number>[],
  options: Omit<IsolationForestOptions, "features"> = {},
): IsolationForest {
  const dims = rows[0]?.length ?? 0;
  const points = new Float64Array(rows.length * dims);
  rows.forEach((row, i) => {
    if (row.length !== dims || dims === 0)
      throw new AnomalyError("AD_INPUT_INVALID", `row ${i} has ${row.length} values, the first has ${dims}`);
    for (let f = 0; f < dims; f++) {
      if (!Number.isFinite(row[f])) throw new AnomalyError("AD_INPUT_INVALID", `row ${i} holds ${row[f]}`);
      points[i * dims + f] = row[f] as number;
    }
  });
  if (rows.length === 0) throw new AnomalyError("AD_INPUT_INVALID", "an isolation forest needs rows");
  const forest = new Forest(dims, options, rows.length);
  forest.fit(points, rows.length);
  return {
    scoreOne(x) {
      if (x.length !== dims) throw new AnomalyError("AD_INPUT_INVALID", `expected ${dims} features, got ${x.length}`);
      return forest.score(x);
    },
  };
}

/**
 * Isolation Forest over a sliding window, fitted anew every `refit` rows.
 *
 * Score:   as `isolationForestBatch`, in (0, 1]; `undefined` before the first fit.
 * Missing: the last learned value of that feature.
 * State:   window x features numbers and trees x 2 x sample nodes. Saved without the trees: they follow from the rows
 *          of the last fit, the seed and how many fits there were.
 * Errors:  AD_OPTION_INVALID, AD_INPUT_INVALID, AD_STATE_INVALID.
 */
export function isolationForest(options: SlidingIsolationForestOptions = {}): Detector {
  return new SlidingForest(options);
}

/** Trees in flat arrays: node `i` splits `feature[i]` at `threshold[i]`, or is a leaf that adds `path[i]`. */
class Forest {
  private readonly dims: number;
  private readonly trees: number;
  private readonly sample: number;
  private readonly room: number;
  private readonly depthLimit: number;
  private readonly feature: Int32Array;
  private readonly threshold: Float64Array;
  /** Left child; the right one is next to it. */
  private readonly child: Int32Array;
  private readonly path: Float64Array;
  private readonly chosen: Int32Array;
  private readonly seed: number;
  private drawn = 0;
  private scale = 1;
  private next = 0;
  private low = 0;
  private high = 0;

  constructor(dims: number, options: IsolationForestOptions, most: number) {
    this.dims = dims;
    this.trees = integerOption("trees", options.trees ?? 100, 1, 10_000);
    this.sample = integerOption("sample", options.sample ?? 256, 2, 65_536);
    this.seed = options.seed ?? 1;
    new Random(this.seed);
    const drawn = Math.min(this.sample, most);
    this.room = 2 * drawn;
    this.depthLimit = Math.ceil(Math.log2(Math.max(drawn, 2)));
    this.feature = new Int32Array(this.trees * this.room);
    this.threshold = new Float64Array(this.trees * this.room);
    this.child = new Int32Array(this.trees * this.room);
    this.path = new Float64Array(this.trees * this.room);
    this.chosen = new Int32Array(most);
  }

  /** Fits on the first `count` rows of `points`; `round` makes each refit draw anew. */
  fit(points: Float64Array, count: number, round = 0): void {
    const random = new Random(this.seed + round * 4_294_967_296);
    this.drawn = Math.min(this.sample, count);
    this.scale = averagePathLength(this.drawn) || 1;
    for (let i = 0; i < count; i++) this.chosen[i] = i;
    for (let tree = 0; tree < this.trees; tree++) {
      for (let i = 0; i < this.drawn; i++) this.swap(i, i + random.below(count - i));
      this.next = tree * this.room + 1;
      this.split(points, random, tree * this.room, 0, this.drawn, 0);
    }
  }

  score(row: ArrayLike<number>): number {
    const { feature, threshold, child, room } = this;
    let total = 0;
    for (let tree = 0; tree < this.trees; tree++) {
      let node = tree * room;
      while ((feature[node] as number) >= 0)
        node =
          (child[node] as number) + ((row[feature[node] as number] as number) <= (threshold[node] as number) ? 0 : 1);
      total += this.path[node] as number;
    }
    return 2 ** (-total / this.trees / this.scale);
  }

  private split(points: Float64Array, random: Random, node: number, from: number, to: number, depth: number): void {
    const f = depth < this.depthLimit && to - from > 1 ? this.pick(points, random, from, to) : -1;
    this.feature[node] = f;
    this.path[node] = depth + averagePathLength(to - from);
    if (f < 0) return;
    const { low, high } = this; // of f: pick() looked at it last
    let at = low + random.next() * (high - low);
    if (!(at < high)) at = low; // rounding must not leave the right side empty
    let middle = from;
    for (let i = from; i < to; i++)
      if ((points[(this.chosen[i] as number) * this.dims + f] as number) <= at) this.swap(i, middle++);
    const left = this.next;
    this.next += 2;
    this.threshold[node] = at;
    this.child[node] = left;
    this.split(points, random, left, from, middle, depth + 1);
    this.split(points, random, left + 1, middle, to, depth + 1);
  }

  /** A feature that is not constant among the rows, uniformly; -1 when all are. */
  private pick(points: Float64Array, random: Random, from: number, to: number): number {
    const start = random.below(this.dims);
    // Trying the next ones after a constant pick is uniform enough: constants are rare, and it needs no list.
    for (let i = 0; i < this.dims; i++) {
      const f = (start + i) % this.dims;
      this.look(points, f, from, to);
      if (this.low < this.high) return f;
    }
    return -1;
  }

  /** Leaves the range of a feature among the rows in `low` and `high`. */
  private look(points: Float64Array, f: number, from: number, to: number): void {
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (let i = from; i < to; i++) {
      const value = points[(this.chosen[i] as number) * this.dims + f] as number;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    this.low = low;
    this.high = high;
  }

  private swap(i: number, j: number): void {
    const kept = this.chosen[i] as number;
    this.chosen[i] = this.chosen[j] as number;
    this.chosen[j] = kept;
  }

  memoryBytes(): number {
    return this.trees * this.room * (4 + 8 + 4 + 8) + this.chosen.byteLength;
  }
}

class SlidingForest implements Detector {
  readonly kind = "isolationForest";
  readonly dimensions: number;
  private readonly reader: FeatureReader;
  private readonly window: number;
  private readonly refit: number;
  private readonly optionText: string;
  private readonly forest: Forest;
  private readonly points: Float64Array;
  private readonly fitted: Float64Array;
  private rows = 0;
  private fits = 0;
  private fittedRows = 0;
  private readonly shares: Float64Array;
  private readonly probe: Float64Array;

  constructor(options: SlidingIsolationForestOptions) {
    this.reader = new FeatureReader(options.features);
    this.dimensions = this.reader.dimensions;
    this.window = integerOption("window", options.window ?? 1024, 8, 1_000_000);
    this.refit = integerOption("refit", options.refit ?? Math.max(this.window >> 2, 1), 1, this.window);
    this.forest = new Forest(this.dimensions, options, this.window);
    const { trees = 100, sample = 256, seed = 1 } = options;
    this.optionText = JSON.stringify([this.reader.describe(), this.window, this.refit, trees, sample, seed]);
    this.points = new Float64Array(this.window * this.dimensions);
    this.fitted = new Float64Array(this.window * this.dimensions);
    this.shares = new Float64Array(this.dimensions);
    this.probe = new Float64Array(this.dimensions);
  }

  scoreOne(x: Input): number | undefined {
    const row = this.reader.read(x);
    return this.fits === 0 ? undefined : this.forest.score(row);
  }

  learnOne(x: Input): void {
    this.learn(this.reader.learn(x));
  }

  process(x: Input): number | undefined {
    const row = this.reader.learn(x);
    const score = this.fits === 0 ? undefined : this.forest.score(row);
    this.learn(row);
    return score;
  }

  /** Each feature's share: by how much the score falls when that feature is set to its mean over the last fit. */
  explain(x: Input): Float64Array {
    const { shares, probe, fitted, dimensions } = this;
    shares.fill(0);
    const row = this.reader.read(x);
    if (this.fits === 0) return shares;
    const whole = this.forest.score(row);
    let total = 0;
    for (let f = 0; f < dimensions; f++) {
      probe.set(row);
      let mean = 0;
      for (let i = 0; i < this.fittedRows; i++) mean += (fitted[i * dimensions + f] as number) / this.fittedRows;
      probe[f] = mean;
      shares[f] = Math.max(whole - this.forest.score(probe), 0);
      total += shares[f] as number;
    }
    for (let f = 0; f < dimensions; f++) shares[f] = total > 0 ? (shares[f] as number) / total : 0;
    return shares;
  }

  private learn(row: Float64Array): void {
    this.points.set(row, (this.rows % this.window) * this.dimensions);
    this.rows++;
    if (this.rows % this.refit !== 0) return;
    this.fittedRows = Math.min(this.rows, this.window);
    this.fitted.set(this.points);
    this.forest.fit(this.fitted, this.fittedRows, this.fits++);
  }

  memoryBytes(): number {
    return this.points.byteLength * 2 + this.forest.memoryBytes() + 4 * 8 * this.dimensions;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText);
    this.reader.save(to);
    const held = Math.min(this.rows, this.window) * this.dimensions;
    to.f64(this.rows).f64(this.fits).u32(this.fittedRows).f64s(this.points, 0, held);
    return to.f64s(this.fitted, 0, this.fittedRows * this.dimensions).done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.reader.load(from);
    this.rows = from.f64();
    this.fits = from.f64();
    this.fittedRows = from.u32();
    from.f64s(this.points);
    from.f64s(this.fitted);
    from.done();
    if (this.fits > 0) this.forest.fit(this.fitted, this.fittedRows, this.fits - 1);
  }
}

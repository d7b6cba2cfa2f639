import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Detector, Input } from "../core/detector.js";
import { integerOption, numberOption } from "../core/errors.js";
import { type FeatureOption, FeatureReader } from "../core/features.js";
import { distances, type Metric, metricOption } from "./metric.js";

export interface SlidingLofOptions {
  /** Number of features, or their names. @default 1 */
  features?: FeatureOption;
  /** How many of the last rows are "normal", up to 100,000. @default 256 */
  window?: number;
  /** k. @default 20 */
  neighbours?: number;
  /** @default "euclidean" */
  metric?: Metric;
  /**
   * Reachability distances are never below this, in units of the data. Set it to the resolution of the measurement:
   * with 0, k repeats of one value have infinite density and every other value scores near 1e10. @default 0
   */
  resolution?: number;
  /** Rows learned before scores appear, at least `neighbours + 1`. @default neighbours + 1 */
  warmUp?: number;
}

const LRD_EPSILON = 1e-10;
/** Above this window the neighbour lists are saved too: finding them again on `load` would cost O(window^2). */
const LISTS_SAVED_ABOVE = 4096;

/**
 * Local outlier factor over the last `window` rows: the score of `x` equals scikit-learn's
 * `-LocalOutlierFactor(n_neighbors=k, novelty=True).fit(last rows).score_samples([x])`, without refitting.
 *
 * Score:   about 1 inside a cluster; above 1.5 is scikit-learn's outlier. Range (0, 1e12).
 * Ties:    at the k-th distance the older row is kept (scikit-learn's choice is arbitrary).
 * Missing: the last learned value of that feature.
 * State:   window x (features + 3k) numbers. O(window x features) a call; learning touches the neighbour lists of
 *          reverse neighbours only, and a list is searched anew only after losing k of its 2k entries.
 * Errors:  AD_OPTION_INVALID, AD_INPUT_INVALID, AD_STATE_INVALID.
 * Source:  Breunig et al., SIGMOD 2000; insert and forget after Pokrajac et al., CIDM 2007.
 */
export function slidingLof(options: SlidingLofOptions = {}): Detector {
  return new SlidingLof(options);
}

class SlidingLof implements Detector {
  readonly kind = "slidingLof";
  readonly dimensions: number;
  private readonly reader: FeatureReader;
  private readonly window: number;
  private readonly k: number;
  private readonly metric: Metric;
  private readonly floor: number;
  private readonly warmUp: number;
  private readonly optionText: string;
  /** Room in each neighbour list: the k that count and as many in reserve. */
  private readonly room: number;

  private size = 0;
  /** Slot of the oldest row once the window is full. */
  private head = 0;
  private readonly points: Float64Array;
  /** Lists of `room` entries a slot, nearest first: an exact prefix of all others in (distance, age) order. */
  private readonly nearSlot: Int32Array;
  private readonly nearDistance: Float64Array;
  private readonly nearCount: Int32Array;

  private readonly toX: Float64Array;
  private readonly toOldest: Float64Array;
  private readonly foundSlot: Int32Array;
  private readonly foundDistance: Float64Array;
  private readonly short: Int32Array;
  private readonly shares: Float64Array;
  private readonly held: Float64Array;

  constructor(options: SlidingLofOptions) {
    this.reader = new FeatureReader(options.features);
    this.dimensions = this.reader.dimensions;
    this.window = integerOption("window", options.window ?? 256, 2, 100_000);
    this.k = integerOption("neighbours", options.neighbours ?? 20, 1, this.window - 1);
    this.metric = metricOption(options.metric ?? "euclidean");
    this.floor = numberOption("resolution", options.resolution ?? 0, 0);
    this.warmUp = integerOption("warmUp", options.warmUp ?? this.k + 1, this.k + 1, this.window);
    this.optionText = JSON.stringify([
      this.reader.describe(),
      this.window,
      this.k,
      this.metric,
      this.floor,
      this.warmUp,
    ]);
    this.room = Math.min(2 * this.k, this.window - 1);
    this.points = new Float64Array(this.window * this.dimensions);
    this.nearSlot = new Int32Array(this.window * this.room);
    this.nearDistance = new Float64Array(this.window * this.room);
    this.nearCount = new Int32Array(this.window);
    this.toX = new Float64Array(this.window);
    this.toOldest = new Float64Array(this.window);
    this.foundSlot = new Int32Array(this.room);
    this.foundDistance = new Float64Array(this.room);
    this.short = new Int32Array(this.window);
    this.shares = new Float64Array(this.dimensions);
    this.held = new Float64Array(this.dimensions);
  }

  scoreOne(x: Input): number | undefined {
    const row = this.reader.read(x);
    if (this.size < this.warmUp) return undefined;
    distances(this.metric, this.points, row, 0, this.size, this.toX);
    return this.scoreFrom(this.toX);
  }

  learnOne(x: Input): void {
    const row = this.reader.learn(x);
    distances(this.metric, this.points, row, 0, this.size, this.toX);
    this.insert(row, this.toX);
  }

  process(x: Input): number | undefined {
    const row = this.reader.learn(x); // what is missing reads the same before and after learning
    distances(this.metric, this.points, row, 0, this.size, this.toX);
    const score = this.size < this.warmUp ? undefined : this.scoreFrom(this.toX);
    this.insert(row, this.toX);
    return score;
  }

  explain(x: Input): Float64Array {
    this.shares.fill(0);
    const row = this.reader.read(x);
    if (this.size < this.warmUp) return this.shares;
    distances(this.metric, this.points, row, 0, this.size, this.toX);
    const found = this.nearest(this.toX, -1, this.k);
    let total = 0;
    for (let i = 0; i < found; i++) {
      const at = (this.foundSlot[i] as number) * this.dimensions;
      for (let f = 0; f < this.dimensions; f++) {
        const gap = Math.abs((row[f] as number) - (this.points[at + f] as number));
        const part = this.metric === "euclidean" ? gap * gap : gap;
        this.shares[f] = (this.shares[f] as number) + part;
        total += part;
      }
    }
    if (total > 0) for (let f = 0; f < this.dimensions; f++) this.shares[f] = (this.shares[f] as number) / total;
    return this.shares;
  }

  memoryBytes(): number {
    const { points, nearSlot, nearDistance, nearCount, toX, toOldest, short } = this;
    const arrays = [
      points,
      nearSlot,
      nearDistance,
      nearCount,
      toX,
      toOldest,
      short,
      this.foundSlot,
      this.foundDistance,
    ];
    return arrays.reduce((sum, array) => sum + array.byteLength, 0) + 4 * 8 * this.dimensions;
  }

  /** LOF of a row from its distances to all rows held. Densities are worked out for its k neighbours only. */
  private scoreFrom(to: Float64Array): number {
    const { k, room, floor, nearDistance, nearSlot, foundSlot, foundDistance } = this;
    this.nearest(to, -1, k);
    let reach = 0;
    let density = 0;
    for (let i = 0; i < k; i++) {
      const base = (foundSlot[i] as number) * room;
      reach += Math.max(nearDistance[base + k - 1] as number, foundDistance[i] as number, floor);
      let reachOfIt = 0;
      for (let j = base; j < base + k; j++) {
        const kDistance = nearDistance[(nearSlot[j] as number) * room + k - 1] as number;
        reachOfIt += Math.max(kDistance, nearDistance[j] as number, floor);
      }
      density += 1 / (reachOfIt / k + LRD_EPSILON);
    }
    return (density / k) * (reach / k + LRD_EPSILON);
  }

  /** The `most` nearest of the rows held, by (distance, age), without slot `self`, into `found*`; how many. */
  private nearest(to: Float64Array, self: number, most: number): number {
    const { foundSlot, foundDistance, head, size } = this;
    let count = 0;
    let limit = Number.POSITIVE_INFINITY;
    for (let pass = 0; pass < 2; pass++) {
      const end = pass === 0 ? size : head;
      for (let slot = pass === 0 ? head : 0; slot < end; slot++) {
        const d = to[slot] as number;
        if (d >= limit || slot === self) continue;
        let at = count < most ? count++ : most - 1;
        for (; at > 0 && (foundDistance[at - 1] as number) > d; at--) {
          foundDistance[at] = foundDistance[at - 1] as number;
          foundSlot[at] = foundSlot[at - 1] as number;
        }
        foundDistance[at] = d;
        foundSlot[at] = slot;
        if (count === most) limit = foundDistance[most - 1] as number;
      }
    }
    return count;
  }

  private insert(row: Float64Array, to: Float64Array): void {
    const { window, dimensions, points, nearCount } = this;
    let shortLists = 0;
    let slot = this.size;
    if (this.size === window) {
      slot = this.head;
      shortLists = this.forgetOldest();
      this.head = slot + 1 === window ? 0 : slot + 1;
    } else this.size++;
    points.set(row, slot * dimensions);
    to[slot] = 0;
    this.offer(slot, to);
    nearCount[slot] = this.nearest(to, slot, Math.min(this.room, this.size - 1));
    this.copyFound(slot);
    for (let i = 0; i < shortLists; i++) this.search(this.short[i] as number);
  }

  /** Takes the oldest row out of the lists that hold it; fills `short` with the slots left with too few entries. */
  private forgetOldest(): number {
    const { head, size, k, room, nearSlot, nearDistance, nearCount, toOldest } = this;
    distances(this.metric, this.points, this.rowAt(head), 0, size, toOldest);
    let shortLists = 0;
    for (let slot = 0; slot < size; slot++) {
      const count = nearCount[slot] as number;
      const base = slot * room;
      if (slot === head || count === 0 || (toOldest[slot] as number) > (nearDistance[base + count - 1] as number))
        continue;
      let at = base;
      while (at < base + count && nearSlot[at] !== head) at++;
      if (at === base + count) continue;
      nearSlot.copyWithin(at, at + 1, base + count);
      nearDistance.copyWithin(at, at + 1, base + count);
      nearCount[slot] = count - 1;
      if (count - 1 < k) this.short[shortLists++] = slot;
    }
    return shortLists;
  }

  /** Puts the new row of `slot` into the lists it belongs to: last among equals, being the youngest. */
  private offer(slot: number, to: Float64Array): void {
    const { size, room, nearSlot, nearDistance, nearCount } = this;
    const others = size - 2; // how many rows a list could hold without the new one
    for (let other = 0; other < size; other++) {
      if (other === slot) continue;
      const count = nearCount[other] as number;
      const base = other * room;
      const d = to[other] as number;
      const isWhole = count === others;
      // Beyond a list that is only a prefix there may be rows at the same distance and older: leave those out too.
      if (
        isWhole
          ? count === room && d >= (nearDistance[base + count - 1] as number)
          : count === 0 || d >= (nearDistance[base + count - 1] as number)
      )
        continue;
      let at = base + (count < room ? count : room - 1);
      nearCount[other] = count < room ? count + 1 : room;
      for (; at > base && (nearDistance[at - 1] as number) > d; at--) {
        nearDistance[at] = nearDistance[at - 1] as number;
        nearSlot[at] = nearSlot[at - 1] as number;
      }
      nearDistance[at] = d;
      nearSlot[at] = slot;
    }
  }

  /** Finds the neighbours of a slot from scratch. */
  private search(slot: number): void {
    if ((this.nearCount[slot] as number) >= Math.min(this.k, this.size - 1)) return; // the new row filled it up
    distances(this.metric, this.points, this.rowAt(slot), 0, this.size, this.toOldest);
    this.nearCount[slot] = this.nearest(this.toOldest, slot, Math.min(this.room, this.size - 1));
    this.copyFound(slot);
  }

  /** A copy of a row held, valid until the next call: a `subarray` would be an allocation. */
  private rowAt(slot: number): Float64Array {
    const { held, points, dimensions } = this;
    for (let f = 0, at = slot * dimensions; f < dimensions; f++, at++) held[f] = points[at] as number;
    return held;
  }

  private copyFound(slot: number): void {
    const base = slot * this.room;
    for (let i = 0; i < (this.nearCount[slot] as number); i++) {
      this.nearSlot[base + i] = this.foundSlot[i] as number;
      this.nearDistance[base + i] = this.foundDistance[i] as number;
    }
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText);
    const { size, head, dimensions, room, window } = this;
    this.reader.save(to);
    to.u32(size);
    for (let age = 0; age < size; age++) {
      const slot = (head + age) % window;
      to.f64s(this.points, slot * dimensions, (slot + 1) * dimensions);
    }
    if (window <= LISTS_SAVED_ABOVE) return to.done();
    for (let age = 0; age < size; age++) {
      const slot = (head + age) % window;
      const count = this.nearCount[slot] as number;
      to.u32(count);
      for (let i = slot * room; i < slot * room + count; i++)
        to.u32(((this.nearSlot[i] as number) - head + window) % window).f64(this.nearDistance[i] as number);
    }
    return to.done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.reader.load(from);
    this.size = from.u32();
    this.head = 0;
    for (let slot = 0; slot < this.size; slot++)
      from.f64s(this.points.subarray(slot * this.dimensions, (slot + 1) * this.dimensions));
    for (let slot = 0; slot < this.size; slot++) {
      this.nearCount[slot] = 0;
      if (this.window <= LISTS_SAVED_ABOVE) this.search(slot);
      else {
        const count = from.u32();
        this.nearCount[slot] = count;
        for (let i = slot * this.room; i < slot * this.room + count; i++) {
          this.nearSlot[i] = from.u32();
          this.nearDistance[i] = from.f64();
        }
      }
    }
    from.done();
  }
}

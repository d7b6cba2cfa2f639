import type { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Random } from "../core/random.js";

const NONE = -32_768;

/**
 * Random cut trees over one shared set of points, in flat arrays: every tree holds the same points, cut differently.
 *
 * A reference to a node is its number when it is inner and -1 - slot when it is the leaf of that slot. Coordinates and
 * cuts are 32-bit floats, so that a cut divides exactly what it divided when it was drawn.
 * Invariants: the box of an inner node is the exact bounding box of its leaves; its mass counts duplicates;
 * coordinate <= cut goes left. Inserting a point and deleting it leaves everything as it was.
 * Source: Guha, Mishra, Roy & Schrijvers, "Robust random cut forest based anomaly detection on streams", ICML 2016.
 */
export class CutTrees {
  private readonly trees: number;
  private readonly dims: number;
  /** Inner nodes a tree has room for. */
  private readonly room: number;
  /** Coordinates, row-major by slot; the owner writes them. */
  readonly points: Float32Array;
  /** How many held points are equal to that of a slot which has a leaf. */
  readonly copies: Uint16Array;
  private readonly root: Int16Array;
  private readonly free: Int16Array;
  private readonly left: Int16Array;
  private readonly right: Int16Array;
  private readonly dim: Uint8Array | Uint16Array;
  private readonly cut: Float32Array;
  private readonly mass: Uint16Array;
  /** Lower sides, then upper sides. */
  private readonly box: Float32Array;
  private readonly path: Int16Array;
  private depth = 0;
  /** Adds up, by dimension, the displacement that cuts in it explain; only while `attribute` is set. */
  readonly blame: Float64Array;
  attribute = false;

  constructor(trees: number, dims: number, slots: number) {
    this.trees = trees;
    this.dims = dims;
    this.room = slots - 1;
    this.points = new Float32Array(slots * dims);
    this.copies = new Uint16Array(slots);
    this.root = new Int16Array(trees);
    this.free = new Int16Array(trees);
    this.left = new Int16Array(trees * this.room);
    this.right = new Int16Array(trees * this.room);
    this.dim = dims <= 256 ? new Uint8Array(trees * this.room) : new Uint16Array(trees * this.room);
    this.cut = new Float32Array(trees * this.room);
    this.mass = new Uint16Array(trees * this.room);
    this.box = new Float32Array(trees * this.room * 2 * dims);
    this.path = new Int16Array(this.room + 1);
    this.blame = new Float64Array(dims);
    this.clear();
  }

  clear(): void {
    this.root.fill(NONE);
    this.copies.fill(0);
    for (let tree = 0; tree < this.trees; tree++) {
      this.free[tree] = 0;
      for (let i = 0; i < this.room; i++) this.left[tree * this.room + i] = i + 1; // a chain through `left`
    }
  }

  /** Adds a leaf for the point in `slot`, which equals no other; returns its mean collusive displacement. */
  insert(slot: number, random: Random): number {
    this.copies[slot] = 1;
    let sum = 0;
    for (let tree = 0; tree < this.trees; tree++) sum += this.insertInto(tree, slot, random);
    return sum / this.trees;
  }

  /** Counts one more copy of the point of leaf `slot`; returns its mean collusive displacement. */
  insertCopy(slot: number): number {
    const copies = (this.copies[slot] as number) + 1;
    this.copies[slot] = copies;
    let sum = 0;
    for (let tree = 0; tree < this.trees; tree++) {
      this.descend(tree, slot, 1);
      sum += this.displacement(tree, copies);
    }
    return sum / this.trees;
  }

  /** Counts one copy less. */
  deleteCopy(slot: number): void {
    this.copies[slot] = (this.copies[slot] as number) - 1;
    for (let tree = 0; tree < this.trees; tree++) this.descend(tree, slot, -1);
  }

  /** The leaf of `slot` becomes the leaf of `to`, whose point is equal. */
  relabel(slot: number, to: number): void {
    this.copies[to] = this.copies[slot] as number;
    this.copies[slot] = 0;
    for (let tree = 0; tree < this.trees; tree++) {
      this.descend(tree, slot, 0);
      this.replace(tree, this.depth - 1, -1 - slot, -1 - to);
    }
  }

  /** Removes the leaf of `slot`, the last copy of its point. */
  delete(slot: number): void {
    this.copies[slot] = 0;
    for (let tree = 0; tree < this.trees; tree++) this.deleteFrom(tree, slot);
  }

  /**
   * Slot of the leaf that one tree puts beside the point in `slot` when some coordinates are missing: both sides of a cut
   * in one of those are followed, and of the leaves reached the one nearest in the known coordinates is taken (of equals
   * that of the heavier side). -1 for an empty tree.
   */
  leafFor(tree: number, slot: number, missing: Uint8Array): number {
    const root = this.root[tree] as number;
    this.nearest = Number.POSITIVE_INFINITY;
    this.nearestSlot = -1;
    if (root !== NONE) this.follow(tree * this.room, root, slot, missing);
    return this.nearestSlot;
  }

  private nearest = 0;
  private nearestSlot = -1;

  private follow(base: number, node: number, slot: number, missing: Uint8Array): void {
    if (node < 0) {
      const distance = this.distance(-1 - node, slot, missing);
      if (distance >= this.nearest) return;
      this.nearest = distance;
      this.nearestSlot = -1 - node;
      return;
    }
    const at = base + node;
    if (missing[this.dim[at] as number] === 0) {
      this.follow(base, this.childFor(at, slot * this.dims), slot, missing);
      return;
    }
    const left = this.left[at] as number;
    const right = this.right[at] as number;
    const leftFirst = this.massOf(base, left) >= this.massOf(base, right);
    this.follow(base, leftFirst ? left : right, slot, missing);
    this.follow(base, leftFirst ? right : left, slot, missing);
  }

  /** Sum of the differences in the known coordinates. */
  private distance(a: number, b: number, missing: Uint8Array): number {
    let sum = 0;
    for (let j = 0; j < this.dims; j++)
      if (missing[j] === 0)
        sum += Math.abs((this.points[a * this.dims + j] as number) - (this.points[b * this.dims + j] as number));
    return sum;
  }

  private insertInto(tree: number, slot: number, random: Random): number {
    const { dims, box, points, path } = this;
    const base = tree * this.room;
    const x = slot * dims;
    let node = this.root[tree] as number;
    this.depth = 0;
    if (node === NONE) {
      this.root[tree] = -1 - slot;
      return 0;
    }
    for (;;) {
      // What x adds to the sides of the node's box, and the sides with it.
      let added = 0;
      let sides = 0;
      const isLeaf = node < 0;
      const low = isLeaf ? (-1 - node) * dims : (base + node) * 2 * dims;
      const high = isLeaf ? low : low + dims;
      const sideOf = isLeaf ? points : box;
      for (let j = 0; j < dims; j++) {
        const value = points[x + j] as number;
        const a = sideOf[low + j] as number;
        const b = sideOf[high + j] as number;
        if (value < a) added += a - value;
        else if (value > b) added += value - b;
        sides += b - a;
      }
      if (added > 0) {
        const at = random.next32() * (added + sides);
        if (isLeaf || at < added) {
          this.separate(tree, node, slot, isLeaf ? random.next32() * added : at);
          return this.displacement(tree, 1);
        }
        for (let j = 0; j < dims; j++) {
          const value = points[x + j] as number;
          if (value < (box[low + j] as number)) box[low + j] = value;
          else if (value > (box[high + j] as number)) box[high + j] = value;
        }
      }
      path[this.depth++] = node;
      this.mass[base + node] = (this.mass[base + node] as number) + 1;
      node = this.childFor(base + node, x);
    }
  }

  /** Puts a new inner node above `node`, cut at distance `at` along what x adds to the box, and x beside it. */
  private separate(tree: number, node: number, slot: number, at: number): void {
    const { dims, points, box, path } = this;
    const base = tree * this.room;
    const x = slot * dims;
    const isLeaf = node < 0;
    const low = isLeaf ? (-1 - node) * dims : (base + node) * 2 * dims;
    const high = isLeaf ? low : low + dims;
    const sideOf = isLeaf ? points : box;
    let dim = 0;
    let cut = 0;
    let xIsLeft = true;
    let rest = at;
    for (let j = 0; j < dims; j++) {
      const value = points[x + j] as number;
      const a = sideOf[low + j] as number;
      const b = sideOf[high + j] as number;
      if (!(value < a || value > b)) continue;
      const from = value < a ? value : b;
      const to = Math.max(value, a);
      dim = j;
      xIsLeft = value < a;
      cut = Math.fround(from + Math.max(rest, 0));
      if (!(cut < to)) cut = from; // rounding; `from` itself still divides
      if (rest < to - from) break;
      rest -= to - from;
    }
    const made = this.free[tree] as number;
    this.free[tree] = this.left[base + made] as number;
    const leaf = -1 - slot;
    this.left[base + made] = xIsLeft ? leaf : node;
    this.right[base + made] = xIsLeft ? node : leaf;
    this.dim[base + made] = dim;
    this.cut[base + made] = cut;
    this.mass[base + made] = this.massOf(base, node) + 1;
    const to = (base + made) * 2 * dims;
    for (let j = 0; j < dims; j++) {
      const value = points[x + j] as number;
      box[to + j] = Math.min(value, sideOf[low + j] as number);
      box[to + dims + j] = Math.max(value, sideOf[high + j] as number);
    }
    this.replace(tree, this.depth - 1, node, made);
    path[this.depth++] = made;
  }

  /** Largest (mass beside) / (mass below) on the path to a leaf of `copies` points. */
  private displacement(tree: number, copies: number): number {
    const base = tree * this.room;
    let most = 0;
    let at = -1;
    let below = copies;
    for (let i = this.depth - 1; i >= 0; i--) {
      const whole = this.mass[base + (this.path[i] as number)] as number;
      const ratio = (whole - below) / below;
      if (ratio > most) {
        most = ratio;
        at = i;
      }
      below = whole;
    }
    if (this.attribute && at >= 0) {
      const dim = this.dim[base + (this.path[at] as number)] as number;
      this.blame[dim] = (this.blame[dim] as number) + most;
    }
    return most;
  }

  /** Walks to the leaf of `slot`, leaving the inner nodes in `path` and adding `change` to their masses. */
  private descend(tree: number, slot: number, change: number): void {
    const base = tree * this.room;
    const x = slot * this.dims;
    let node = this.root[tree] as number;
    this.depth = 0;
    while (node >= 0) {
      this.path[this.depth++] = node;
      this.mass[base + node] = (this.mass[base + node] as number) + change;
      node = this.childFor(base + node, x);
    }
  }

  private deleteFrom(tree: number, slot: number): void {
    const base = tree * this.room;
    this.descend(tree, slot, -1);
    if (this.depth === 0) {
      this.root[tree] = NONE;
      return;
    }
    const parent = this.path[this.depth - 1] as number;
    const isLeft = this.left[base + parent] === -1 - slot;
    const sibling = (isLeft ? this.right[base + parent] : this.left[base + parent]) as number;
    this.replace(tree, this.depth - 2, parent, sibling);
    this.left[base + parent] = this.free[tree] as number;
    this.free[tree] = parent;
    for (let i = this.depth - 2; i >= 0; i--) if (!this.shrink(base + (this.path[i] as number), slot)) return;
  }

  /** Recomputes a box that the deleted point touched; false when it did not: then no box above is touched either. */
  private shrink(at: number, slot: number): boolean {
    const { dims, box, points } = this;
    const low = at * 2 * dims;
    let touched = false;
    for (let j = 0; j < dims && !touched; j++) {
      const value = points[slot * dims + j] as number;
      touched = value === box[low + j] || value === box[low + dims + j];
    }
    if (!touched) return false;
    this.unite(at);
    return true;
  }

  /** The box of an inner node from those of its children. */
  private unite(at: number): void {
    const { dims, box } = this;
    const tree = Math.floor(at / this.room);
    const a = this.left[at] as number;
    const b = this.right[at] as number;
    const ofA = a < 0 ? this.points : box;
    const ofB = b < 0 ? this.points : box;
    const lowA = a < 0 ? (-1 - a) * dims : (tree * this.room + a) * 2 * dims;
    const lowB = b < 0 ? (-1 - b) * dims : (tree * this.room + b) * 2 * dims;
    const highA = a < 0 ? lowA : lowA + dims;
    const highB = b < 0 ? lowB : lowB + dims;
    const low = at * 2 * dims;
    for (let j = 0; j < dims; j++) {
      box[low + j] = Math.min(ofA[lowA + j] as number, ofB[lowB + j] as number);
      box[low + dims + j] = Math.max(ofA[highA + j] as number, ofB[highB + j] as number);
    }
  }

  /** Puts `child` where the node at position `above` of the path (-1: nothing above, the root) had `old`. */
  private replace(tree: number, above: number, old: number, child: number): void {
    if (above < 0) {
      this.root[tree] = child;
      return;
    }
    const at = tree * this.room + (this.path[above] as number);
    if (this.left[at] === old) this.left[at] = child;
    else this.right[at] = child;
  }

  private childFor(at: number, x: number): number {
    const goesLeft = (this.points[x + (this.dim[at] as number)] as number) <= (this.cut[at] as number);
    return (goesLeft ? this.left[at] : this.right[at]) as number;
  }

  private massOf(base: number, node: number): number {
    return (node < 0 ? this.copies[-1 - node] : this.mass[base + node]) as number;
  }

  memoryBytes(): number {
    const { points, copies, root, free, left, right, dim, cut, mass, box, path } = this;
    return [points, copies, root, free, left, right, dim, cut, mass, box, path].reduce(
      (sum, a) => sum + a.byteLength,
      0,
    );
  }

  /** Shapes and cuts in preorder; `ageOf` says how a slot is named in saved state. Masses and boxes follow. */
  save(to: ByteWriter, ageOf: (slot: number) => number): void {
    for (let tree = 0; tree < this.trees; tree++) {
      const base = tree * this.room;
      const write = (node: number) => {
        if (node < 0) {
          to.u32(0).u32(ageOf(-1 - node));
          return;
        }
        to.u32(1 + (this.dim[base + node] as number)).f64(this.cut[base + node] as number);
        write(this.left[base + node] as number);
        write(this.right[base + node] as number);
      };
      if (this.root[tree] !== NONE) write(this.root[tree] as number);
    }
  }

  /** After `clear`, with points and copies in place: slots are ages. `leaves`: whether there is anything to read. */
  load(from: ByteReader, leaves: boolean): void {
    for (let tree = 0; tree < this.trees && leaves; tree++) {
      const base = tree * this.room;
      const read = (): number => {
        const kind = from.u32();
        if (kind === 0) return -1 - from.u32();
        const node = this.free[tree] as number;
        this.free[tree] = this.left[base + node] as number;
        this.dim[base + node] = kind - 1;
        this.cut[base + node] = from.f64();
        const [left, right] = [read(), read()];
        this.left[base + node] = left;
        this.right[base + node] = right;
        this.mass[base + node] = this.massOf(base, left) + this.massOf(base, right);
        this.unite(base + node);
        return node;
      };
      this.root[tree] = read();
    }
  }
}

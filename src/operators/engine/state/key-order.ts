import { compareKeys, type Key } from "./keys.js";
import { atOnce, type Steps } from "./steps.js";

/** Slots sorted, or visited, in one step: below a ms on a machine at rest. */
const STEP = 512;
/** Integer keys sorted natively in one step, or merged: as long as the above. */
const INTEGERS_STEP = 8_192;
const SLOTS = 0x20_0000;
const KEYS = 0x8000_0000;

/** A set of slots with their keys, as it was at one moment. */
export interface KeyedSlots {
  /** Slots beyond this were not there. */
  readonly length: number;
  readonly size: number;
  /** Undefined where the slot is free. */
  keyAt(slot: number): Key | undefined;
}

/** Sorts slots in use by their keys; in place or not. */
export function* sortInSteps(slots: Int32Array, keyAt: (slot: number) => Key | undefined): Steps<Int32Array> {
  const packed = new Float64Array(slots.length);
  for (let i = 0; i < slots.length; i++) {
    const slot = slots[i] as number;
    const key = keyAt(slot);
    if (!(typeof key === "number" && Number.isInteger(key) && key >= 0 && key < KEYS && slot < SLOTS))
      return yield* sortOthers(slots, keyAt);
    packed[i] = key * SLOTS + slot;
    if (i % INTEGERS_STEP === INTEGERS_STEP - 1) yield;
  }
  const sorted = yield* sortDoubles(packed);
  for (let i = 0; i < slots.length; i++) slots[i] = (sorted[i] as number) % SLOTS;
  return slots;
}

/** As `sortInSteps`, at once. */
export function sortSlots(slots: Int32Array, keyAt: (slot: number) => Key | undefined): Int32Array {
  return atOnce(sortInSteps(slots, keyAt));
}

function* sortOthers(slots: Int32Array, keyAt: (slot: number) => Key | undefined): Steps<Int32Array> {
  const sorted = new Int32Array(slots.length);
  let n = 0;
  const asKeyed: KeyedSlots = {
    length: slots.length,
    size: slots.length,
    keyAt: (i) => keyAt(slots[i] as number),
  };
  yield* inKeyOrder(asKeyed, (i) => {
    sorted[n++] = slots[i] as number;
  });
  return sorted;
}

/** Runs are sorted natively, then merged two by two. */
function* sortDoubles(values: Float64Array): Steps<Float64Array> {
  const { length } = values;
  for (let from = 0; from < length; from += INTEGERS_STEP) {
    values.subarray(from, from + INTEGERS_STEP).sort();
    if (from + INTEGERS_STEP < length) yield;
  }
  let [from, into] = [values, length > INTEGERS_STEP ? new Float64Array(length) : values];
  for (let width = INTEGERS_STEP; width < length; width *= 2) {
    for (let start = 0; start < length; start += 2 * width) {
      const middle = Math.min(start + width, length);
      const end = Math.min(start + 2 * width, length);
      let [i, j] = [start, middle];
      for (let at = start; at < end; at++) {
        const takeFirst = i < middle && (j >= end || (from[i] as number) < (from[j] as number));
        into[at] = from[takeFirst ? i++ : j++] as number;
        if (at % INTEGERS_STEP === 0) yield;
      }
    }
    [from, into] = [into, from];
  }
  return from;
}

/** Two lists of slots in key order as one. */
export function* mergeInSteps(
  old: Int32Array,
  added: Int32Array,
  keyAt: (slot: number) => Key | undefined,
): Steps<Int32Array> {
  if (added.length === 0) return old;
  const merged = new Int32Array(old.length + added.length);
  let j = 0;
  let right = keyAt(added[0] as number);
  // New keys are often the largest: what comes before the first of them stays as it is.
  let i = countBelow(right as Key, old, keyAt);
  let left = keyAt(old[i] ?? -1);
  merged.set(old.subarray(0, i));
  for (let n = i; n < merged.length; n++) {
    if (j >= added.length || (i < old.length && compareKeys(left as Key, right as Key) < 0)) {
      merged[n] = old[i++] as number;
      left = keyAt(old[i] ?? -1);
    } else {
      merged[n] = added[j++] as number;
      right = keyAt(added[j] ?? -1);
    }
    if (n % INTEGERS_STEP === INTEGERS_STEP - 1) yield;
  }
  return merged;
}

/** How many of the slots in key order stand before `key`. */
function countBelow(key: Key, slots: Int32Array, keyAt: (slot: number) => Key | undefined): number {
  let [from, to] = [0, slots.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (compareKeys(keyAt(slots[middle] as number) as Key, key) < 0) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** Visits the slots in key order, a step each turn: runs are sorted, then merged. O(n log n). */
export function* inKeyOrder(slots: KeyedSlots, visit: (slot: number, key: Key) => void): Steps {
  const { length, size } = slots;
  const runs: Int32Array[] = [];
  for (let from = 0; from < length; from += STEP) {
    const run = sortedRun(slots, from, Math.min(from + STEP, length));
    if (run.length > 0) runs.push(run);
    if (from + STEP < length) yield;
  }
  const heap = new RunHeap(runs.map((run) => ({ run, at: 0, key: slots.keyAt(run[0] as number) as Key })));
  for (let visited = 0; visited < size; visited++) {
    if (visited > 0 && visited % STEP === 0) yield;
    const head = heap.top;
    const key = head.key;
    const slot = head.run[head.at++] as number;
    const next = head.run[head.at];
    if (next === undefined) heap.dropTop();
    else heap.replaceTop(slots.keyAt(next) as Key);
    visit(slot, key);
  }
}

function sortedRun(slots: KeyedSlots, from: number, to: number): Int32Array {
  const pairs: { slot: number; key: Key }[] = [];
  for (let slot = from; slot < to; slot++) {
    const key = slots.keyAt(slot);
    if (key !== undefined) pairs.push({ slot, key });
  }
  pairs.sort((a, b) => compareKeys(a.key, b.key));
  return Int32Array.from(pairs, ({ slot }) => slot);
}

interface Head {
  readonly run: Int32Array;
  at: number;
  key: Key;
}

/** Runs by their next key. */
class RunHeap {
  readonly #heads: Head[];

  constructor(heads: Head[]) {
    this.#heads = heads;
    for (let i = (heads.length >> 1) - 1; i >= 0; i--) this.#sink(i);
  }

  get top(): Head {
    return this.#heads[0] as Head;
  }

  replaceTop(key: Key): void {
    this.top.key = key;
    this.#sink(0);
  }

  dropTop(): void {
    const last = this.#heads.pop() as Head;
    if (this.#heads.length === 0) return;
    this.#heads[0] = last;
    this.#sink(0);
  }

  #sink(from: number): void {
    const heads = this.#heads;
    const head = heads[from] as Head;
    let i = from;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heads.length) break;
      if (child + 1 < heads.length && compareKeys((heads[child + 1] as Head).key, (heads[child] as Head).key) < 0)
        child++;
      if (compareKeys((heads[child] as Head).key, head.key) >= 0) break;
      heads[i] = heads[child] as Head;
      i = child;
    }
    heads[i] = head;
  }
}

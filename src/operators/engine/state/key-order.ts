import { compareKeys, type Key } from "./keys.js";

/** Slots sorted, or visited, in one step: below a ms on a machine at rest. */
const STEP = 512;

/** A set of slots with their keys, as it was at one moment. */
export interface KeyedSlots {
  /** Slots beyond this were not there. */
  readonly length: number;
  readonly size: number;
  /** Undefined where the slot is free. */
  keyAt(slot: number): Key | undefined;
}

/** Visits the slots in key order, a step each turn: runs are sorted, then merged. O(n log n). */
export function* inKeyOrder(slots: KeyedSlots, visit: (slot: number, key: Key) => void): Generator<void> {
  const { length, size } = slots;
  const runs: Int32Array[] = [];
  for (let from = 0; from < length; from += STEP) {
    const run = sortedRun(slots, from, Math.min(from + STEP, length));
    if (run.length > 0) runs.push(run);
    yield;
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

import type { KeyTable } from "./key-table.js";
import { compareKeys, type Key } from "./keys.js";

/** With so many entries for each key there was, and these, most are of keys that went: it begins anew. */
const STALE_FACTOR = 4;
const STALE_LEAST = 64;

interface Entry {
  readonly key: Key;
  readonly timeMs: number;
}

/**
 * Which key to forget where keys are bounded: that with the earliest time, of equals the smallest. Its owner keeps the truth and says it
 * when asked: an entry that no longer holds is dropped or moved on when it comes up, so nothing is noted of most events, or saved.
 *
 * Cost: O(n) for the first time, O(log n) after that; nothing before.
 */
export class LongestUnused {
  /** A heap, least first; empty until the bound is reached. */
  #heap: Entry[] = [];
  #most = 0;

  /** A key came, or came back, or has an earlier time than before. */
  add(key: Key, timeMs: number): void {
    if (this.#most === 0) return;
    if (this.#heap.length < this.#most) this.#push({ key, timeMs });
    else this.clear();
  }

  /** The slot of the key to forget. `timeAt` answers undefined for a slot in use that must not go; there is another one. */
  take(table: KeyTable, timeAt: (slot: number) => number | undefined): number {
    for (;;) {
      if (this.#heap.length === 0) this.#begin(table, timeAt);
      const { key, timeMs } = this.#pop();
      const slot = table.find(key);
      const nowMs = slot < 0 ? undefined : timeAt(slot);
      if (nowMs === timeMs) return slot;
      if (nowMs !== undefined) this.#push({ key, timeMs: nowMs });
    }
  }

  clear(): void {
    this.#heap = [];
    this.#most = 0;
  }

  #begin(table: KeyTable, timeAt: (slot: number) => number | undefined): void {
    for (let slot = 0; slot < table.length; slot++) {
      const timeMs = table.has(slot) ? timeAt(slot) : undefined;
      if (timeMs !== undefined) this.#push({ key: table.keyAt(slot) as Key, timeMs });
    }
    this.#most = STALE_FACTOR * this.#heap.length + STALE_LEAST;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let i = heap.length;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(entry, heap[parent] as Entry)) break;
      heap[i] = heap[parent] as Entry;
      i = parent;
    }
    heap[i] = entry;
  }

  #pop(): Entry {
    const heap = this.#heap;
    const least = heap[0] as Entry;
    const last = heap.pop() as Entry;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Entry, heap[child] as Entry)) child++;
      if (!isBefore(heap[child] as Entry, last)) break;
      heap[i] = heap[child] as Entry;
      i = child;
    }
    if (heap.length > 0) heap[i] = last;
    return least;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.timeMs < b.timeMs || (a.timeMs === b.timeMs && compareKeys(a.key, b.key) < 0);
}

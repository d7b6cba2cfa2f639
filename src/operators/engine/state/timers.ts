import { grown } from "./keys.js";

/**
 * A heap of (time, number), least time first. Its owner keeps the truth: a timer that no longer holds is skipped when it comes
 * up, so nothing is ever searched for or saved.
 *
 * Cost: O(log n) a push or pop, 12 bytes an entry.
 */
export class TimerHeap {
  #times = new Float64Array(64);
  #ids = new Int32Array(64);
  size = 0;

  /** Infinity when empty. */
  get nextMs(): number {
    return this.size === 0 ? Number.POSITIVE_INFINITY : (this.#times[0] as number);
  }

  push(timeMs: number, id: number): void {
    if (this.size === this.#times.length) this.#grow();
    const times = this.#times;
    const ids = this.#ids;
    let i = this.size++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if ((times[parent] as number) <= timeMs) break;
      times[i] = times[parent] as number;
      ids[i] = ids[parent] as number;
      i = parent;
    }
    times[i] = timeMs;
    ids[i] = id;
  }

  /** Removes the least and returns its number; -1 when empty. Numbers of equal times come in no particular order. */
  pop(): number {
    if (this.size === 0) return -1;
    const times = this.#times;
    const ids = this.#ids;
    const top = ids[0] as number;
    const last = --this.size;
    const timeMs = times[last] as number;
    const id = ids[last] as number;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= last) break;
      if (child + 1 < last && (times[child + 1] as number) < (times[child] as number)) child++;
      if ((times[child] as number) >= timeMs) break;
      times[i] = times[child] as number;
      ids[i] = ids[child] as number;
      i = child;
    }
    times[i] = timeMs;
    ids[i] = id;
    return top;
  }

  clear(): void {
    this.size = 0;
  }

  #grow(): void {
    this.#times = grown(this.#times);
    this.#ids = grown(this.#ids);
  }
}

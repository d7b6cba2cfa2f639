import { sortInSteps } from "./key-order.js";
import type { Key } from "./keys.js";
import type { Steps } from "./steps.js";
import type { TimerHeap } from "./timers.js";

/** Timers taken from the heap in one step. */
const STEP = 2_048;

/** What timers stand for. */
interface Keyed {
  has(slot: number): boolean;
  keyOf(slot: number): Key | undefined;
}

/**
 * Takes everything else that is due at `timeMs` with `first`, which was taken already: slots in use, each once where no two have one key, in
 * key order.
 */
export function* popInKeyOrder(heap: TimerHeap, table: Keyed, timeMs: number, first: number): Steps<Int32Array> {
  const due: number[] = table.has(first) ? [first] : [];
  for (let popped = 1; heap.nextMs === timeMs; popped++) {
    const slot = heap.pop();
    if (table.has(slot)) due.push(slot);
    if (popped % STEP === 0) yield;
  }
  if (due.length < 2) return Int32Array.from(due);
  const sorted = yield* sortInSteps(Int32Array.from(due), table.keyOf);
  return sorted.filter((slot, i) => slot !== sorted[i - 1]);
}

import { STEP_SLOTS, type Steps } from "./steps.js";

/**
 * Sorts slots by a number each, and by `isBefore` where the numbers are equal: a merge sort, from bottom to top. Both lists are used up; the
 * result is one of their size. Stable. Cost: O(n log n), no objects.
 */
export function* sortByPrefix(
  prefixes: Float64Array,
  slots: Int32Array,
  isBefore: (slot: number, other: number) => boolean,
): Steps<Int32Array> {
  const { length } = slots;
  let [keys, order] = [prefixes, slots];
  let nextKeys: Float64Array = new Float64Array(length);
  let nextOrder: Int32Array = new Int32Array(length);
  let work = 0;
  for (let width = 1; width < length; width *= 2) {
    for (let start = 0; start < length; start += 2 * width) {
      const middle = Math.min(start + width, length);
      const end = Math.min(start + 2 * width, length);
      let [i, j] = [start, middle];
      for (let at = start; at < end; at++) {
        let takeFirst = j >= end;
        if (!takeFirst && i < middle) {
          const [a, b] = [keys[i] as number, keys[j] as number];
          takeFirst = a < b || (a === b && !isBefore(order[j] as number, order[i] as number));
        }
        const from = takeFirst ? i++ : j++;
        nextKeys[at] = keys[from] as number;
        nextOrder[at] = order[from] as number;
        if (++work % (8 * STEP_SLOTS) === 0) yield;
      }
    }
    [keys, nextKeys] = [nextKeys, keys];
    [order, nextOrder] = [nextOrder, order];
  }
  return order;
}

import type { Stateful } from "../state.js";

type Held<T> = readonly [timeMs: number, order: string, item: T];

interface Saved<T> {
  readonly passedMs: number | null;
  readonly held: readonly Held<T>[];
}

export interface InOrder<T> extends Stateful<Saved<T>> {
  /** Holds the item; false when its time is already behind the watermark: the caller says it is late. `T` is JSON. */
  add(timeMs: number, order: string, item: T): boolean;
  /** Hands out everything earlier than `watermarkMs`, by time, then by `order`. */
  drain(watermarkMs: number, take: (timeMs: number, item: T) => void): void;
  readonly size: number;
}

/**
 * Holds items until the watermark has passed them, then hands them out in event time, whatever order they came in.
 *
 * Order: by time, then by `order`, which must come from the item's content alone (never from its place in the log); of two items
 *        equal in both, the first to come is first.
 * State: the items between the watermark and the newest; no bound of its own, the bound is the sources' disorder times their rate.
 * Cost:  O(n log n) for n items at a drain.
 */
export function inOrder<T>(): InOrder<T> {
  let held: Held<T>[] = [];
  let passedMs: number | null = null;
  return {
    add(timeMs, order, item) {
      if (passedMs !== null && timeMs < passedMs) return false;
      held.push([timeMs, order, item]);
      return true;
    },
    drain(watermarkMs, take) {
      if (passedMs === null || watermarkMs > passedMs) passedMs = watermarkMs;
      const ready = held.filter(([timeMs]) => timeMs < watermarkMs);
      if (ready.length === 0) return;
      held = held.filter(([timeMs]) => timeMs >= watermarkMs);
      for (const [timeMs, , item] of ready.sort(byTimeAndOrder)) take(timeMs, item);
    },
    get size() {
      return held.length;
    },
    save: () => ({ passedMs, held: [...held].sort(byTimeAndOrder) }),
    load(state) {
      passedMs = state.passedMs;
      held = [...state.held];
    },
  };
}

function byTimeAndOrder(a: Held<unknown>, b: Held<unknown>): number {
  return a[0] - b[0] || (a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0);
}

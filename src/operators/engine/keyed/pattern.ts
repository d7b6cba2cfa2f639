import type { Key } from "../state/keys.js";
import type { ProcessFunction } from "./process-function.js";

export interface PatternOptions<V, O> {
  /** Begins a match. While one waits, a further A of the key replaces it (the match is from the latest A). */
  readonly first: (value: V) => boolean;
  /** Completes it, when its time is not before A's and at most `withinMs` after. */
  readonly second: (value: V) => boolean;
  readonly withinMs: number;
  /** What to say of A followed by B. @default nothing */
  readonly matched?: (first: V, second: V) => O;
  /** What to say when no B came within the time, at A's time + withinMs by watermark. @default nothing */
  readonly absent?: (first: V) => O;
}

interface Waiting<V> {
  readonly value: V | null;
  readonly sinceMs: number;
}

/**
 * A, then B within a time; or A and no B within it.
 *
 * Order: events of a key are taken in the order of the log; where disorder matters, put a window before it.
 * State: the latest A of a key while it waits.
 */
export function patternFunction<K extends Key, V, O>(
  options: PatternOptions<V, O>,
): ProcessFunction<K, V, Waiting<V>, O> {
  const { first, second, withinMs, matched, absent } = options;
  return {
    ttlMs: withinMs + 1,
    init: () => ({ value: null, sinceMs: 0 }),
    onEvent(state, value, at) {
      const { value: begun, sinceMs } = state;
      if (begun !== null && second(value) && at.timeMs >= sinceMs && at.timeMs - sinceMs <= withinMs) {
        at.cancelTimer(sinceMs + withinMs + 1);
        if (matched !== undefined) at.emit(matched(begun, value));
        return undefined;
      }
      if (!first(value)) return begun === null ? undefined : state;
      if (begun !== null) at.cancelTimer(sinceMs + withinMs + 1);
      at.setTimer(at.timeMs + withinMs + 1); // one past: a B exactly at the end still counts
      return { value, sinceMs: at.timeMs };
    },
    onTimer({ value }, _timeMs, at) {
      if (value !== null && absent !== undefined) at.emit(absent(value));
      return undefined;
    },
  };
}

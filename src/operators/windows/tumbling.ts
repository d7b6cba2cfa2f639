import { MillraceError } from "../../core/index.js";
import type { Stateful } from "../state.js";

/** Folds the events of one window. `A` is JSON: it is saved as it is. */
export interface Aggregate<E, A, R> {
  init(): A;
  /** Changes `accumulator` in place. */
  add(accumulator: A, event: E): void;
  result(accumulator: A): R;
}

export interface WindowResult<R> {
  readonly key: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly result: R;
}

interface Saved<A> {
  readonly watermarkMs: number | null;
  readonly open: readonly (readonly [startMs: number, keys: readonly (readonly [key: string, accumulator: A])[]])[];
}

export interface Tumbling<E, A, R> extends Stateful<Saved<A>> {
  /** Undefined when the event was counted; else how late it is, ms (0: its window has just fired), and it was not counted. */
  add(key: string, timeMs: number, event: E): number | undefined;
  /** Fires, through `fire`, every window that ends by the watermark, in (end, key) order. */
  advance(watermarkMs: number, fire: (result: WindowResult<R>) => void): void;
}

/**
 * Folds events per key in fixed, gap-free windows of event time.
 *
 * Window: half-open `[startMs, endMs)`, aligned to the Unix epoch: an event at `endMs` opens the next one.
 * Out:    one result per key and window, once, when the watermark reaches `endMs`; a window without events has none.
 * Late:   its window has fired (lateness is 0): not counted, the caller sends it to the late stream.
 * State:  one accumulator per key and open window, freed on firing. O(1) an event; O(fired log fired) a watermark.
 * Errors: MR_OPTION_INVALID unless `sizeMs` is a positive integer.
 */
export function tumbling<E, A, R>(sizeMs: number, aggregate: Aggregate<E, A, R>): Tumbling<E, A, R> {
  if (!Number.isSafeInteger(sizeMs) || sizeMs <= 0) {
    throw new MillraceError("MR_OPTION_INVALID", `window size must be a positive integer of ms, got ${sizeMs}`);
  }
  let passedMs: number | null = null;
  const open = new Map<number, Map<string, A>>();
  let earliestEndMs = Number.POSITIVE_INFINITY;

  return {
    add(key, timeMs, event) {
      const startMs = Math.floor(timeMs / sizeMs) * sizeMs; // floor, not truncation: aligned before 1970 too
      const endMs = startMs + sizeMs;
      if (passedMs !== null && endMs <= passedMs) return passedMs - endMs;
      let keys = open.get(startMs);
      if (keys === undefined) {
        keys = new Map();
        open.set(startMs, keys);
        if (endMs < earliestEndMs) earliestEndMs = endMs;
      }
      let accumulator = keys.get(key);
      if (accumulator === undefined) {
        accumulator = aggregate.init();
        keys.set(key, accumulator);
      }
      aggregate.add(accumulator, event);
      return undefined;
    },
    advance(watermarkMs, fire) {
      if (passedMs === null || watermarkMs > passedMs) passedMs = watermarkMs;
      if (earliestEndMs > passedMs) return;
      const until = passedMs;
      const due = [...open].filter(([startMs]) => startMs + sizeMs <= until).sort(([a], [b]) => a - b);
      for (const [startMs, keys] of due) {
        open.delete(startMs);
        for (const [key, accumulator] of [...keys].sort(byKey)) {
          fire({ key, startMs, endMs: startMs + sizeMs, result: aggregate.result(accumulator) });
        }
      }
      earliestEndMs = earliestEnd(open, sizeMs);
    },
    save: () => ({
      watermarkMs: passedMs,
      open: [...open].sort(([a], [b]) => a - b).map(([startMs, keys]) => [startMs, [...keys].sort(byKey)] as const),
    }),
    load(state) {
      passedMs = state.watermarkMs;
      open.clear();
      for (const [startMs, keys] of state.open) open.set(startMs, new Map(keys.map(([key, value]) => [key, value])));
      earliestEndMs = earliestEnd(open, sizeMs);
    },
  };
}

function byKey(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : 1;
}

function earliestEnd(open: ReadonlyMap<number, unknown>, sizeMs: number): number {
  let earliest = Number.POSITIVE_INFINITY;
  for (const startMs of open.keys()) if (startMs + sizeMs < earliest) earliest = startMs + sizeMs;
  return earliest;
}

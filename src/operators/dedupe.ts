import { DAY_MS, MillraceError } from "../core/index.js";
import type { Stateful } from "./state.js";

interface Saved {
  readonly days: readonly (readonly [day: number, ids: readonly string[]])[];
}

export interface Dedupe extends Stateful<Saved> {
  /** True when `id` was seen before; else remembers it as of `nowMs`, the time of its source. */
  isDuplicate(id: string, nowMs: number): boolean;
  /** Forgets ids seen more than `ttlMs` before the watermark. */
  forget(watermarkMs: number): void;
  readonly size: number;
}

/**
 * Recognises an event that was delivered before, by its id.
 *
 * Kept:   at least `ttlMs` and up to a day longer (ids are filed by the day of `nowMs`), as the watermark counts time.
 * State:  one map entry an id; its bound is the rate of events times the time kept. O(1) an event, O(ids) once a day of watermark.
 * Errors: MR_OPTION_INVALID unless `ttlMs` is positive.
 */
export function dedupe({ ttlMs }: { ttlMs: number }): Dedupe {
  if (!(ttlMs > 0)) throw new MillraceError("MR_OPTION_INVALID", `dedupe needs a positive ttlMs, got ${ttlMs}`);
  const dayOf = new Map<string, number>();
  let forgottenBefore = Number.MIN_SAFE_INTEGER;
  return {
    isDuplicate(id, nowMs) {
      if (dayOf.has(id)) return true;
      dayOf.set(id, Math.floor(nowMs / DAY_MS));
      return false;
    },
    forget(watermarkMs) {
      const firstKept = Math.floor((watermarkMs - ttlMs) / DAY_MS);
      if (firstKept <= forgottenBefore) return;
      forgottenBefore = firstKept;
      for (const [id, day] of dayOf) if (day < firstKept) dayOf.delete(id);
    },
    get size() {
      return dayOf.size;
    },
    save() {
      const days = new Map<number, string[]>();
      for (const [id, day] of dayOf) {
        const ids = days.get(day);
        if (ids === undefined) days.set(day, [id]);
        else ids.push(id);
      }
      return { days: [...days].sort(([a], [b]) => a - b).map(([day, ids]) => [day, ids.sort()] as const) };
    },
    load(state) {
      dayOf.clear();
      forgottenBefore = Number.MIN_SAFE_INTEGER; // forgetting again what is forgotten already changes nothing
      for (const [day, ids] of state.days) for (const id of ids) dayOf.set(id, day);
    },
  };
}

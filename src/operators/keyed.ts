import { MillraceError } from "../core/index.js";
import type { Stateful } from "./state.js";

interface Entry<D> {
  timeMs: number;
  readonly value: D;
}

type SavedEntry = readonly [key: string, timeMs: number, value: unknown];

export interface KeyedOptions<D> {
  /** Keys kept at once; one more and the key longest without an event (then the smallest name) is forgotten. */
  readonly maxKeys: number;
  create(): D;
  /** The value as JSON. */
  save(value: D): unknown;
  load(saved: unknown): D;
}

export interface Keyed<D> extends Stateful<readonly SavedEntry[]> {
  /** The key's value, made when there is none; `timeMs` of an event counts as its latest use. */
  at(key: string, timeMs: number): D;
  get(key: string): D | undefined;
  delete(key: string): void;
  entries(): IterableIterator<readonly [string, D]>;
  readonly size: number;
}

/**
 * One value per key, for a bounded number of keys.
 *
 * Bound: `maxKeys`; what is forgotten starts anew if its key returns. Which key goes depends on event times and names alone.
 * Cost:  O(1); O(maxKeys) for a new key at the bound.
 * Errors: MR_OPTION_INVALID unless `maxKeys` is a positive integer.
 */
export function keyed<D>({ maxKeys, create, save, load }: KeyedOptions<D>): Keyed<D> {
  if (!Number.isSafeInteger(maxKeys) || maxKeys <= 0) {
    throw new MillraceError("MR_OPTION_INVALID", `maxKeys must be a positive integer, got ${maxKeys}`);
  }
  const entries = new Map<string, Entry<D>>();
  return {
    at(key, timeMs) {
      const found = entries.get(key);
      if (found !== undefined) {
        if (timeMs > found.timeMs) found.timeMs = timeMs;
        return found.value;
      }
      if (entries.size >= maxKeys) entries.delete(longestUnused(entries));
      const value = create();
      entries.set(key, { timeMs, value });
      return value;
    },
    get: (key) => entries.get(key)?.value,
    delete: (key) => void entries.delete(key),
    *entries() {
      for (const [key, { value }] of entries) yield [key, value] as const;
    },
    get size() {
      return entries.size;
    },
    save: () =>
      [...entries]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, { timeMs, value }]) => [key, timeMs, save(value)] as const),
    load(state) {
      entries.clear();
      for (const [key, timeMs, value] of state) entries.set(key, { timeMs, value: load(value) });
    },
  };
}

function longestUnused(entries: ReadonlyMap<string, Entry<unknown>>): string {
  let chosen = "";
  let chosenMs = Number.POSITIVE_INFINITY;
  for (const [key, { timeMs }] of entries) {
    if (timeMs > chosenMs || (timeMs === chosenMs && key > chosen)) continue;
    chosen = key;
    chosenMs = timeMs;
  }
  return chosen;
}

import type { Undo, Undoable } from "../state/undo.js";
import { readValue, writeValue } from "../state/values.js";
import { type Aggregate, type Cell, celled, type NumberOf } from "./aggregate.js";

interface Choice {
  readonly rank: number;
  readonly timeMs: number;
  readonly value: unknown;
}

class Chosen implements Undoable {
  best: Choice | undefined;
  #undo: Undo | undefined;

  set(next: Choice, undo: Undo | undefined): void {
    if (undo !== undefined) {
      undo.note(this, undo.keep(this.best), 0);
      this.#undo = undo;
    }
    this.best = next;
  }

  undo(index: number): void {
    this.best = (this.#undo as Undo).kept(index) as Choice | undefined;
  }
}

/** Keeps one event of a window: the one with the largest rank, then by `newer` the later or the earlier in time. */
function chosen<V>(
  rankOf: (value: V, timeMs: number) => number,
  pick: (value: V) => unknown,
  newer: boolean,
): Cell<V, Chosen> {
  const beats = (a: Choice, b: Choice | undefined): boolean => {
    if (b === undefined || a.rank !== b.rank) return b === undefined || a.rank > b.rank;
    return newer ? a.timeMs >= b.timeMs : a.timeMs < b.timeMs;
  };
  return {
    create: () => new Chosen(),
    add: (cell, value, timeMs, undo) => {
      const rank = rankOf(value, timeMs);
      if (Number.isNaN(rank)) return;
      const choice = { rank, timeMs, value: undefined };
      if (beats(choice, cell.best)) cell.set({ rank, timeMs, value: pick(value) }, undo);
    },
    merge: (cell, from) => {
      if (from.best !== undefined && beats(from.best, cell.best)) cell.set(from.best, undefined);
    },
    save: (writer, { best }) => writeValue(writer, best),
    load: (reader) => {
      const cell = new Chosen();
      cell.best = readValue(reader) as Choice | undefined;
      return cell;
    },
  };
}

/** NaN for what is no number: types end where the log begins. */
function numberOr(x: number | null | undefined): number {
  return typeof x === "number" ? x : Number.NaN;
}

/** What `pick` takes from the event with the smallest number; of equals the earliest event. Undefined when none had a number. */
export function argmin<V, X>(by: NumberOf<V>, pick: (value: V) => X): Aggregate<V, X | undefined> {
  return celled(
    "argmin",
    chosen<V>((value) => -numberOr(by(value)), pick, false),
    (cell) => cell.best?.value as X | undefined,
  );
}

/** What `pick` takes from the event with the largest number; of equals the earliest event. Undefined when none had a number. */
export function argmax<V, X>(by: NumberOf<V>, pick: (value: V) => X): Aggregate<V, X | undefined> {
  return celled(
    "argmax",
    chosen<V>((value) => numberOr(by(value)), pick, false),
    (cell) => cell.best?.value as X | undefined,
  );
}

/** What `pick` takes from the earliest event; of equal times the first in the log. */
export function first<V, X>(pick: (value: V) => X): Aggregate<V, X> {
  return celled(
    "first",
    chosen<V>(() => 0, pick, false),
    (cell) => (cell.best as Choice).value as X,
  );
}

/** What `pick` takes from the latest event; of equal times the last in the log. */
export function last<V, X>(pick: (value: V) => X): Aggregate<V, X> {
  return celled(
    "last",
    chosen<V>(() => 0, pick, true),
    (cell) => (cell.best as Choice).value as X,
  );
}

export interface Collected<X> {
  readonly items: readonly X[];
  /** How many did not fit. */
  readonly dropped: number;
}

class Collection implements Undoable {
  readonly times: number[] = [];
  readonly items: unknown[] = [];
  dropped = 0;

  insert(timeMs: number, item: unknown): number {
    const i = this.times.findLastIndex((known) => known <= timeMs) + 1;
    this.times.splice(i, 0, timeMs);
    this.items.splice(i, 0, item);
    return i;
  }

  undo(index: number): void {
    if (index < 0) {
      this.dropped--;
    } else {
      this.times.splice(index, 1);
      this.items.splice(index, 1);
    }
  }
}

/**
 * What `pick` takes from the events, by event time, then as they came; the first `limit` to arrive, the rest counted in `dropped`.
 * State: up to `limit` plain values a window.
 */
export function collect<V, X>(
  pick: (value: V) => X,
  { limit }: { readonly limit: number },
): Aggregate<V, Collected<X>> {
  const cell: Cell<V, Collection> = {
    create: () => new Collection(),
    add: (into, value, timeMs, undo) => {
      if (into.items.length < limit) {
        undo.note(into, into.insert(timeMs, pick(value)), 0);
      } else {
        into.dropped++;
        undo.note(into, -1, 0);
      }
    },
    merge: (into, from) => {
      from.items.forEach((item, i) => {
        if (into.items.length < limit) into.insert(from.times[i] as number, item);
        else into.dropped++;
      });
      into.dropped += from.dropped;
    },
    save: (writer, { times, items, dropped }) => writeValue(writer, { times, items, dropped }),
    load: (reader) => {
      const saved = readValue(reader) as { times: number[]; items: unknown[]; dropped: number };
      const into = new Collection();
      into.times.push(...saved.times);
      into.items.push(...saved.items);
      into.dropped = saved.dropped;
      return into;
    },
  };
  return celled("collect", cell, ({ items, dropped }) => ({ items: [...(items as X[])], dropped }));
}

/** As text, so that each aggregate has a call of its own: see fuse.ts. */
function addHeld<V, A>(definition: Pick<CustomAggregate<V, A, unknown>, "add">): Cell<V, Held<A>>["add"] {
  const body = "return (held, value, timeMs, undo) => held.set(definition.add(held.value, value, timeMs), undo);";
  return new Function("definition", body)(definition) as Cell<V, Held<A>>["add"];
}

/** An aggregate of the user's own. `A` is plain data, never changed in place: each step returns the next. */
export interface CustomAggregate<V, A, R> {
  readonly name: string;
  init(): A;
  add(accumulator: A, value: V, timeMs: number): A;
  result(accumulator: A): R;
  /** Needed by hopping and session windows, which refuse to start without it. */
  merge?(a: A, b: A): A;
  /** The opposite of merge, where exact: sliding windows then subtract. */
  subtract?(a: A, b: A): A;
  /** The opposite of add, where exact: windows over a changelog need it (`retracts`). */
  retract?(accumulator: A, value: V, timeMs: number): A;
}

class Held<A> implements Undoable {
  value: A;
  #undo: Undo | undefined;

  constructor(value: A) {
    this.value = value;
  }

  set(next: A, undo: Undo): void {
    if (next === this.value) return;
    undo.note(this, undo.keep(this.value), 0);
    this.#undo = undo;
    this.value = next;
  }

  undo(index: number): void {
    this.value = (this.#undo as Undo).kept(index) as A;
  }
}

export function custom<V, A, R>(definition: CustomAggregate<V, A, R>): Aggregate<V, R> {
  const { merge, subtract, retract } = definition;
  const cell: Cell<V, Held<A>> = {
    create: () => new Held(definition.init()),
    add: addHeld<V, A>(definition),
    ...(retract && {
      retract: (held: Held<A>, value: V, timeMs: number, undo: Undo) =>
        held.set(retract(held.value, value, timeMs), undo),
    }),
    ...(merge && {
      merge: (held: Held<A>, from: Held<A>) => {
        held.value = merge(held.value, from.value);
      },
    }),
    ...(subtract && {
      subtract: (held: Held<A>, from: Held<A>) => {
        held.value = subtract(held.value, from.value);
      },
    }),
    save: (writer, held) => writeValue(writer, held.value),
    load: (reader) => new Held(readValue(reader) as A),
  };
  return celled(definition.name, cell, (held) => definition.result(held.value));
}

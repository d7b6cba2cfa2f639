import { MillraceError } from "../../../core/index.js";
import { type Aggregate, type NumberOf, type Part, picked, single } from "./aggregate.js";

/** Events, counted. */
export function count(): Aggregate<unknown, number> {
  return single("count", COUNT, (rows, at) => rows[at] as number);
}

const COUNT: Part<unknown> = {
  id: "count",
  width: 1,
  init: (rows, at) => {
    rows[at] = 0;
  },
  add: (rows, at) => {
    rows[at] = (rows[at] as number) + 1;
  },
  merge: (rows, at, from, fromAt) => {
    rows[at] = (rows[at] as number) + (from[fromAt] as number);
  },
  subtract: (rows, at, from, fromAt) => {
    rows[at] = (rows[at] as number) - (from[fromAt] as number);
  },
  retract: (rows, at) => {
    rows[at] = (rows[at] as number) - 1;
  },
};

/**
 * Sum of a number; 0 of none.
 *
 * Error: compensated (Neumaier): within one rounding of the exact sum plus O(n ε²) Σ|x|, whatever the order.
 * Source: Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", ZAMM 54, 1974.
 */
export function sum<F extends string>(field: F): Aggregate<Readonly<Partial<Record<F, number | null>>>, number>;
export function sum<V>(of: NumberOf<V>): Aggregate<V, number>;
export function sum<V>(field: string | NumberOf<V>): Aggregate<V, number> {
  return single("sum", sumPart(field), sumAt);
}

function sumAt(rows: Float64Array, at: number): number {
  return (rows[at] as number) + (rows[at + 1] as number);
}

export function sumPart<V>(field: string | NumberOf<V>): Part<V> {
  const { id, of } = picked<V, number | null | undefined>(field);
  return {
    id: `sum ${id}`,
    width: 2,
    init: (rows, at) => {
      rows[at] = 0;
      rows[at + 1] = 0;
    },
    add: (rows, at, value) => {
      const x = of(value);
      if (Number.isFinite(x)) addCompensated(rows, at, x as number);
    },
    merge: (rows, at, from, fromAt) => {
      addCompensated(rows, at, from[fromAt] as number);
      rows[at + 1] = (rows[at + 1] as number) + (from[fromAt + 1] as number);
    },
  };
}

function addCompensated(rows: Float64Array, at: number, x: number): void {
  const before = rows[at] as number;
  const after = before + x;
  rows[at] = after;
  const lost = Math.abs(before) >= Math.abs(x) ? before - after + x : x - after + before;
  if (lost !== 0) rows[at + 1] = (rows[at + 1] as number) + lost;
}

/**
 * Sum of safe integers, exact, so that sliding windows may subtract what leaves.
 *
 * Errors: a value that is not a safe integer, or a sum beyond 2^53, throws: the event becomes a dead letter.
 */
export function sumIntegers<F extends string>(field: F): Aggregate<Readonly<Partial<Record<F, number | null>>>, number>;
export function sumIntegers<V>(of: NumberOf<V>): Aggregate<V, number>;
export function sumIntegers<V>(field: string | NumberOf<V>): Aggregate<V, number> {
  const { id, of } = picked<V, number | null | undefined>(field);
  const change = (rows: Float64Array, at: number, x: number): void => {
    const next = (rows[at] as number) + x;
    if (!Number.isSafeInteger(x) || !Number.isSafeInteger(next))
      throw new RangeError(`sum of integers: ${x} makes it inexact`);
    rows[at] = next;
  };
  const part: Part<V> = {
    id: `sum of integers ${id}`,
    width: 1,
    init: COUNT.init,
    add: (rows, at, value) => change(rows, at, of(value) ?? 0),
    merge: (rows, at, from, fromAt) => change(rows, at, from[fromAt] as number),
    subtract: (rows, at, from, fromAt) => change(rows, at, -(from[fromAt] as number)),
    retract: (rows, at, value) => change(rows, at, -(of(value) ?? 0)),
  };
  return single("sumIntegers", part, (rows, at) => rows[at] as number);
}

/** How many events had a finite number there. */
export function seenPart<V>(field: string | NumberOf<V>): Part<V> {
  const { id, of } = picked<V, number | null | undefined>(field);
  return {
    ...COUNT,
    id: `seen ${id}`,
    add: (rows, at, value) => {
      if (Number.isFinite(of(value))) rows[at] = (rows[at] as number) + 1;
    },
    retract: (rows, at, value) => {
      if (Number.isFinite(of(value))) rows[at] = (rows[at] as number) - 1;
    },
  };
}

/** Arithmetic mean, from the compensated sum; NaN of none (null in JSON). */
export function mean<F extends string>(field: F): Aggregate<Readonly<Partial<Record<F, number | null>>>, number>;
export function mean<V>(of: NumberOf<V>): Aggregate<V, number>;
export function mean<V>(field: string | NumberOf<V>): Aggregate<V, number> {
  return {
    name: "mean",
    parts: [seenPart(field), sumPart(field)],
    result:
      ([seen = 0, total = 0]) =>
      (rows, at) =>
        sumAt(rows, at + total) / (rows[at + seen] as number),
  };
}

/** Smallest number; NaN of none (null in JSON). */
export function min<F extends string>(field: F): Aggregate<Readonly<Partial<Record<F, number | null>>>, number>;
export function min<V>(of: NumberOf<V>): Aggregate<V, number>;
export function min<V>(field: string | NumberOf<V>): Aggregate<V, number> {
  const { id, of } = picked<V, number | null | undefined>(field);
  const part: Part<V> = {
    id: `min ${id}`,
    width: 1,
    init: (rows, at) => {
      rows[at] = Number.POSITIVE_INFINITY;
    },
    add: (rows, at, value) => {
      const x = of(value);
      if (typeof x === "number" && x < (rows[at] as number)) rows[at] = x;
    },
    merge: (rows, at, from, fromAt) => {
      rows[at] = Math.min(rows[at] as number, from[fromAt] as number);
    },
  };
  return single("min", part, (rows, at) => (rows[at] === Number.POSITIVE_INFINITY ? Number.NaN : (rows[at] as number)));
}

/** Largest number; NaN of none (null in JSON). */
export function max<F extends string>(field: F): Aggregate<Readonly<Partial<Record<F, number | null>>>, number>;
export function max<V>(of: NumberOf<V>): Aggregate<V, number>;
export function max<V>(field: string | NumberOf<V>): Aggregate<V, number> {
  const { id, of } = picked<V, number | null | undefined>(field);
  const part: Part<V> = {
    id: `max ${id}`,
    width: 1,
    init: (rows, at) => {
      rows[at] = Number.NEGATIVE_INFINITY;
    },
    add: (rows, at, value) => {
      const x = of(value);
      if (typeof x === "number" && x > (rows[at] as number)) rows[at] = x;
    },
    merge: (rows, at, from, fromAt) => {
      rows[at] = Math.max(rows[at] as number, from[fromAt] as number);
    },
  };
  return single("max", part, (rows, at) => (rows[at] === Number.NEGATIVE_INFINITY ? Number.NaN : (rows[at] as number)));
}

/**
 * Sample variance (n − 1); NaN of fewer than two.
 *
 * Error: Welford's update and Chan's merge: no cancellation for data far from zero.
 * Source: Chan, Golub, LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979.
 */
export function variance<F extends string>(field: F): Aggregate<Readonly<Partial<Record<F, number | null>>>, number>;
export function variance<V>(of: NumberOf<V>): Aggregate<V, number>;
export function variance<V>(field: string | NumberOf<V>): Aggregate<V, number> {
  return single("variance", momentsPart(field), varianceAt);
}

/** Square root of `variance`. */
export function stddev<F extends string>(field: F): Aggregate<Readonly<Partial<Record<F, number | null>>>, number>;
export function stddev<V>(of: NumberOf<V>): Aggregate<V, number>;
export function stddev<V>(field: string | NumberOf<V>): Aggregate<V, number> {
  return single("stddev", momentsPart(field), (rows, at) => Math.sqrt(varianceAt(rows, at)));
}

function varianceAt(rows: Float64Array, at: number): number {
  const n = rows[at] as number;
  return n < 2 ? Number.NaN : (rows[at + 2] as number) / (n - 1);
}

function momentsPart<V>(field: string | NumberOf<V>): Part<V> {
  const { id, of } = picked<V, number | null | undefined>(field);
  return {
    id: `moments ${id}`,
    width: 3,
    init: (rows, at) => {
      rows[at] = 0;
      rows[at + 1] = 0;
      rows[at + 2] = 0;
    },
    add: (rows, at, value) => {
      const x = of(value) as number;
      if (!Number.isFinite(x)) return;
      const n = (rows[at] as number) + 1;
      const delta = x - (rows[at + 1] as number);
      const next = (rows[at + 1] as number) + delta / n;
      rows[at] = n;
      rows[at + 1] = next;
      rows[at + 2] = (rows[at + 2] as number) + delta * (x - next);
    },
    merge: (rows, at, from, fromAt) => {
      const added = from[fromAt] as number;
      if (added === 0) return;
      const before = rows[at] as number;
      const n = before + added;
      const delta = (from[fromAt + 1] as number) - (rows[at + 1] as number);
      rows[at] = n;
      rows[at + 1] = (rows[at + 1] as number) + (delta * added) / n;
      rows[at + 2] = (rows[at + 2] as number) + (from[fromAt + 2] as number) + (delta * delta * before * added) / n;
    },
  };
}

/**
 * Counts per class: `bounds` ascending; class i holds bounds[i−1] <= x < bounds[i], the last everything from the last bound on.
 * One count more than bounds. Exact, so sliding windows subtract.
 */
export function histogram<F extends string>(
  field: F,
  bounds: readonly number[],
): Aggregate<Readonly<Partial<Record<F, number | null>>>, readonly number[]>;
export function histogram<V>(of: NumberOf<V>, bounds: readonly number[]): Aggregate<V, readonly number[]>;
export function histogram<V>(field: string | NumberOf<V>, bounds: readonly number[]): Aggregate<V, readonly number[]> {
  if (bounds.some((bound, i) => !(bound > (bounds[i - 1] ?? Number.NEGATIVE_INFINITY)))) {
    throw new MillraceError("MR_OPTION_INVALID", `histogram bounds must ascend, got ${bounds.join(", ")}`);
  }
  const { id, of } = picked<V, number | null | undefined>(field);
  const width = bounds.length + 1;
  const change = (rows: Float64Array, at: number, value: V, by: number): void => {
    const x = of(value);
    if (typeof x !== "number" || Number.isNaN(x)) return;
    let low = 0;
    for (let high = bounds.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((bounds[middle] as number) <= x) low = middle + 1;
      else high = middle;
    }
    rows[at + low] = (rows[at + low] as number) + by;
  };
  const shift = (rows: Float64Array, at: number, from: Float64Array, fromAt: number, by: number): void => {
    for (let i = 0; i < width; i++) rows[at + i] = (rows[at + i] as number) + by * (from[fromAt + i] as number);
  };
  const part: Part<V> = {
    id: `histogram ${id} ${bounds.join(" ")}`,
    width,
    init: (rows, at) => void rows.fill(0, at, at + width),
    add: (rows, at, value) => change(rows, at, value, 1),
    retract: (rows, at, value) => change(rows, at, value, -1),
    merge: (rows, at, from, fromAt) => shift(rows, at, from, fromAt, 1),
    subtract: (rows, at, from, fromAt) => shift(rows, at, from, fromAt, -1),
  };
  return single("histogram", part, (rows, at) => Array.from(rows.subarray(at, at + width)));
}

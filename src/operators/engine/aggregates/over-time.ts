import type { Undo, Undoable } from "../state/undo.js";
import { type Aggregate, type Cell, celled, type NumberOf, type Part, picked, single } from "./aggregate.js";

/** Samples of one window in time order; equal times keep the order of arrival. */
class Samples implements Undoable {
  readonly times: number[] = [];
  readonly values: number[] = [];

  insert(timeMs: number, value: number): number {
    const i = this.times.findLastIndex((known) => known <= timeMs) + 1;
    this.times.splice(i, 0, timeMs);
    this.values.splice(i, 0, value);
    return i;
  }

  undo(index: number): void {
    this.times.splice(index, 1);
    this.values.splice(index, 1);
  }
}

function samples<V>(of: (value: V) => number | null | undefined): Cell<V, Samples> {
  return {
    create: () => new Samples(),
    add: (cell, value, timeMs, undo: Undo) => {
      const x = of(value);
      if (Number.isFinite(x)) undo.note(cell, cell.insert(timeMs, x as number), 0);
    },
    merge: (cell, from) => from.times.forEach((timeMs, i) => void cell.insert(timeMs, from.values[i] as number)),
    save: (writer, cell) => {
      writer.uint(cell.times.length);
      cell.times.forEach((timeMs, i) => {
        writer.f64(timeMs);
        writer.f64(cell.values[i] as number);
      });
    },
    load: (reader) => {
      const cell = new Samples();
      for (let left = reader.uint(); left > 0; left--) {
        cell.times.push(reader.f64());
        cell.values.push(reader.f64());
      }
      return cell;
    },
  };
}

/** Options of what is measured between two samples: a longer gap than `maxGapMs` counts nothing. @default no limit */
export interface GapOptions {
  readonly maxGapMs?: number;
}

/**
 * Integral over event time by the trapezoid rule, in units × hours: litres per hour become litres.
 *
 * Edges: from the window's first sample to its last; gaps above `maxGapMs` count nothing.
 * State: every sample of the window (16 bytes each), so that events may come in any order.
 */
export function integral<F extends string>(
  field: F,
  options?: GapOptions,
): Aggregate<Readonly<Partial<Record<F, number | null>>>, number>;
export function integral<V>(of: NumberOf<V>, options?: GapOptions): Aggregate<V, number>;
export function integral<V>(field: string | NumberOf<V>, options: GapOptions = {}): Aggregate<V, number> {
  const { of } = picked<V, number | null | undefined>(field);
  const { maxGapMs = Number.POSITIVE_INFINITY } = options;
  return celled("integral", samples(of), ({ times, values }) => {
    let area = 0;
    for (let i = 1; i < times.length; i++) {
      const gapMs = (times[i] as number) - (times[i - 1] as number);
      if (gapMs <= maxGapMs) area += (((values[i] as number) + (values[i - 1] as number)) / 2) * gapMs;
    }
    return area / 3_600_000;
  });
}

/**
 * How long a predicate held, ms: from each event where it holds to the next event, whatever that says.
 *
 * Edges: the window's last event starts nothing; gaps above `maxGapMs` count nothing. State: every event of the window.
 */
export function duration<V>(holds: (value: V) => boolean, options: GapOptions = {}): Aggregate<V, number> {
  const { maxGapMs = Number.POSITIVE_INFINITY } = options;
  return celled(
    "duration",
    samples<V>((value) => (holds(value) ? 1 : 0)),
    ({ times, values }) => {
      let total = 0;
      for (let i = 1; i < times.length; i++) {
        const gapMs = (times[i] as number) - (times[i - 1] as number);
        if (values[i - 1] === 1 && gapMs <= maxGapMs) total += gapMs;
      }
      return total;
    },
  );
}

/** Change of a counter per second between the earliest and the latest event; NaN of fewer than two times. Resets are not guessed. */
export function rate<F extends string>(field: F): Aggregate<Readonly<Partial<Record<F, number | null>>>, number>;
export function rate<V>(of: NumberOf<V>): Aggregate<V, number>;
export function rate<V>(field: string | NumberOf<V>): Aggregate<V, number> {
  const { id, of } = picked<V, number | null | undefined>(field);
  const note = (rows: Float64Array, at: number, timeMs: number, x: number): void => {
    if (timeMs < (rows[at] as number)) {
      rows[at] = timeMs;
      rows[at + 1] = x;
    }
    if (timeMs >= (rows[at + 2] as number)) {
      rows[at + 2] = timeMs;
      rows[at + 3] = x;
    }
  };
  const part: Part<V> = {
    id: `rate ${id}`,
    width: 4,
    init: (rows, at) => {
      rows[at] = Number.POSITIVE_INFINITY;
      rows[at + 1] = 0;
      rows[at + 2] = Number.NEGATIVE_INFINITY;
      rows[at + 3] = 0;
    },
    add: (rows, at, value, timeMs) => {
      const x = of(value);
      if (Number.isFinite(x)) note(rows, at, timeMs, x as number);
    },
    merge: (rows, at, from, fromAt) => {
      if (from[fromAt] === Number.POSITIVE_INFINITY) return;
      note(rows, at, from[fromAt] as number, from[fromAt + 1] as number);
      note(rows, at, from[fromAt + 2] as number, from[fromAt + 3] as number);
    },
  };
  return single("rate", part, (rows, at) => {
    const spanMs = (rows[at + 2] as number) - (rows[at] as number);
    return spanMs > 0 ? (((rows[at + 3] as number) - (rows[at + 1] as number)) / spanMs) * 1_000 : Number.NaN;
  });
}

/**
 * Mean weighted by age: an event `halfLifeMs` older than the newest counts half. NaN of none.
 *
 * Order: none: weights come from event times, so late-comers weigh what they should.
 */
export function ewma<F extends string>(
  field: F,
  options: { readonly halfLifeMs: number },
): Aggregate<Readonly<Partial<Record<F, number | null>>>, number>;
export function ewma<V>(of: NumberOf<V>, options: { readonly halfLifeMs: number }): Aggregate<V, number>;
export function ewma<V>(
  field: string | NumberOf<V>,
  { halfLifeMs }: { readonly halfLifeMs: number },
): Aggregate<V, number> {
  const { id, of } = picked<V, number | null | undefined>(field);
  // rows: newest time, weighted sum, weight, both as of the newest time.
  const fold = (rows: Float64Array, at: number, timeMs: number, total: number, weight: number): void => {
    const newest = rows[at] as number;
    const fade = 2 ** (-Math.abs(timeMs - newest) / halfLifeMs); // 0 of none: they are infinitely old
    const [old, young] = timeMs > newest ? [fade, 1] : [1, fade];
    rows[at] = Math.max(timeMs, newest);
    rows[at + 1] = (rows[at + 1] as number) * old + total * young;
    rows[at + 2] = (rows[at + 2] as number) * old + weight * young;
  };
  const part: Part<V> = {
    id: `ewma ${id} ${halfLifeMs}`,
    width: 3,
    init: (rows, at) => {
      rows[at] = Number.NEGATIVE_INFINITY;
      rows[at + 1] = 0;
      rows[at + 2] = 0;
    },
    add: (rows, at, value, timeMs) => {
      const x = of(value);
      if (Number.isFinite(x)) fold(rows, at, timeMs, x as number, 1);
    },
    merge: (rows, at, from, fromAt) => {
      if (from[fromAt] === Number.NEGATIVE_INFINITY) return;
      fold(rows, at, from[fromAt] as number, from[fromAt + 1] as number, from[fromAt + 2] as number);
    },
  };
  return single("ewma", part, (rows, at) => (rows[at + 1] as number) / (rows[at + 2] as number));
}

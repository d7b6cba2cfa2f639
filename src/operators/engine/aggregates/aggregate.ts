import type { ByteReader, ByteWriter } from "../state/bytes.js";
import type { Undo } from "../state/undo.js";
import { fieldOf } from "./fuse.js";

/** A fold into a few doubles at `rows[at…]`. Parts with the same `id` in one window are kept once (mean shares sum's). */
export interface Part<V> {
  readonly id: string;
  readonly width: number;
  readonly init: (rows: Float64Array, at: number) => void;
  readonly add: (rows: Float64Array, at: number, value: V, timeMs: number) => void;
  /** Adds what `from[fromAt…]` holds. */
  readonly merge: (rows: Float64Array, at: number, from: Float64Array, fromAt: number) => void;
  /** Takes exactly that away again; absent where that cannot be exact. */
  readonly subtract?: (rows: Float64Array, at: number, from: Float64Array, fromAt: number) => void;
  /** Takes one value away again; absent where that cannot be exact. */
  readonly retract?: (rows: Float64Array, at: number, value: V, timeMs: number) => void;
}

/** A fold into an object, for what does not fit a few doubles. `C` is changed in place and notes its changes with `undo`. */
export interface Cell<V, C> {
  readonly create: () => C;
  readonly add: (cell: C, value: V, timeMs: number, undo: Undo) => void;
  /** Takes one value away again; absent where that cannot be exact. */
  readonly retract?: (cell: C, value: V, timeMs: number, undo: Undo) => void;
  /** Adds what `from` holds, which stays as it is. Absent: only windows that never merge can use it. */
  readonly merge?: (cell: C, from: C) => void;
  readonly subtract?: (cell: C, from: C) => void;
  readonly save: (writer: ByteWriter, cell: C) => void;
  readonly load: (reader: ByteReader) => C;
}

/** What a window computes from its events. Made by the functions of this folder; `V` is the event, `R` the result. */
export interface Aggregate<V, R> {
  readonly name: string;
  readonly parts: readonly Part<V>[];
  // biome-ignore lint/suspicious/noExplicitAny: a cell's type is its aggregate's own affair, and appears in both directions.
  readonly cell?: Cell<V, any>;
  /** `offsets[i]` is the place of part i within a row. */
  readonly result: (offsets: readonly number[]) => (rows: Float64Array, at: number, cell: unknown) => R;
}

/** The name of a numeric field, or a function that finds the number. Values that are not finite are skipped. */
export type NumberOf<V> = (value: V) => number | null | undefined;

/** A field by name (parts over the same field are shared) or by function (never shared: functions have no identity). */
export interface Picked<V, X> {
  readonly id: string;
  readonly of: (value: V) => X;
}

let anonymous = 0;

export function picked<V, X>(field: string | ((value: V) => X)): Picked<V, X> {
  if (typeof field === "string") return { id: JSON.stringify(field), of: fieldOf<V, X>(field) };
  return { id: `function ${++anonymous}`, of: field };
}

export function single<V, R>(
  name: string,
  part: Part<V>,
  result: (rows: Float64Array, at: number) => R,
): Aggregate<V, R> {
  return {
    name,
    parts: [part],
    result: ([offset = 0]) => (offset === 0 ? result : (rows, at) => result(rows, at + offset)),
  };
}

export function celled<V, C, R>(name: string, cell: Cell<V, C>, result: (cell: C) => R): Aggregate<V, R> {
  return { name, parts: [], cell, result: () => (_rows, _at, state) => result(state as C) };
}

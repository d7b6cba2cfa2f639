import { MillraceError } from "../../../core/index.js";
import type { ByteReader, ByteWriter } from "../state/bytes.js";
import type { Key } from "../state/keys.js";
import type { Undo } from "../state/undo.js";
import type { Aggregate, Cell, Part } from "./aggregate.js";
import { inTurn, recordOf } from "./fuse.js";

/** Aggregates by result name. */
// biome-ignore lint/suspicious/noExplicitAny: each aggregate has a result type of its own; `Results` recovers it.
export type Aggregates<V> = Readonly<Record<string, Aggregate<V, any>>>;

/** What a set of aggregates gives: one field each. */
export type Results<A> = { readonly [Name in keyof A]: A[Name] extends Aggregate<never, infer R> ? R : never };

/** A set of aggregates laid out in one row of doubles and some cells. */
export interface Plan<V, R> {
  /** Doubles of a row, `extra` included, which come last. */
  readonly stride: number;
  /** Place of the first extra double. */
  readonly extraAt: number;
  readonly cells: readonly Cell<V, unknown>[];
  readonly names: readonly string[];
  readonly mergeable: boolean;
  readonly subtractable: boolean;
  init(rows: Float64Array, at: number): void;
  addParts(rows: Float64Array, at: number, value: V, timeMs: number): void;
  /** Folds a value into the slot's cells. */
  addCells(cells: readonly unknown[][], slot: number, value: V, timeMs: number, undo: Undo): void;
  mergeParts(rows: Float64Array, at: number, from: Float64Array, fromAt: number): void;
  /** Only where `subtractable`. */
  subtractParts(rows: Float64Array, at: number, from: Float64Array, fromAt: number): void;
  /** The row of one window and key. `cells[i][slot]` is the slot's state of cell i. */
  result(
    rows: Float64Array,
    at: number,
    cells: readonly unknown[][],
    slot: number,
    key: Key,
    startMs: number,
    endMs: number,
    kind: ResultKind,
    revision: number,
  ): R;
}

/**
 * Why a result is emitted. final: its time is over. early: a trigger, more may come. update: corrected within the lateness.
 * retract: an earlier result of exactly these values no longer holds.
 */
export type ResultKind = "final" | "early" | "update" | "retract";

/** One window and key: the aggregates, and what they are about. `revision` counts the results of one window and key from 0. */
export type WindowRow<K, R> = R & {
  readonly key: K;
  readonly startMs: number;
  readonly endMs: number;
  readonly kind: ResultKind;
  readonly revision: number;
};

const ROW_FIELDS = ["key", "startMs", "endMs", "kind", "revision"];

/** Lays aggregates out; equal parts are kept once. `extra` doubles are left for the window's own bookkeeping. */
export function planAggregates<V>(aggregates: Aggregates<V>, extra = 0): Plan<V, unknown> {
  const taken = Object.keys(aggregates).find((name) => [...ROW_FIELDS, "__proto__"].includes(name));
  if (taken !== undefined)
    throw new MillraceError("MR_OPTION_INVALID", `an aggregate cannot be called ${taken}: every result has that field`);
  const parts: Part<V>[] = [];
  const offsets: number[] = [];
  const cells: Cell<V, unknown>[] = [];
  let width = 0;
  const place = (part: Part<V>): number => {
    const known = parts.findIndex(({ id }) => id === part.id);
    if (known >= 0) return offsets[known] as number;
    parts.push(part);
    offsets.push(width);
    width += part.width;
    return offsets[offsets.length - 1] as number;
  };
  const results: Record<string, unknown> = {};
  for (const [name, aggregate] of Object.entries(aggregates)) {
    const result = aggregate.result(aggregate.parts.map(place));
    if (aggregate.cell === undefined) {
      results[name] = result;
    } else {
      const i = cells.push(aggregate.cell as Cell<V, unknown>) - 1;
      results[name] = (rows: Float64Array, at: number, all: readonly unknown[][], slot: number): unknown =>
        result(rows, at, (all[i] as unknown[])[slot]);
    }
  }
  const each = (pick: (part: Part<V>) => unknown, params: string[], args: (offset: number) => string) =>
    inTurn<never>(parts.map(pick), params, offsets.map(args));
  const folded = ["rows", "at", "value", "timeMs"];
  const paired = ["rows", "at", "from", "fromAt"];
  const foldArgs = (offset: number): string => `rows, at + ${offset}, value, timeMs`;
  const pairArgs = (offset: number): string => `rows, at + ${offset}, from, fromAt + ${offset}`;
  return {
    stride: width + extra,
    extraAt: width,
    cells,
    names: Object.keys(aggregates),
    mergeable: cells.every(({ merge }) => merge !== undefined),
    subtractable:
      parts.every(({ subtract }) => subtract !== undefined) && cells.every(({ subtract }) => subtract !== undefined),
    init: each(
      (part) => part.init,
      ["rows", "at"],
      (offset) => `rows, at + ${offset}`,
    ),
    addParts: each((part) => part.add, folded, foldArgs),
    addCells: inTurn(
      cells.map(({ add }) => add),
      ["cells", "slot", "value", "timeMs", "undo"],
      cells.map((_, i) => `cells[${i}][slot], value, timeMs, undo`),
    ),
    mergeParts: each((part) => part.merge, paired, pairArgs),
    subtractParts: each((part) => part.subtract, paired, pairArgs),
    result: recordOf(
      results,
      ["rows", "at", "cells", "slot", ...ROW_FIELDS],
      ["rows", "at", "cells", "slot"],
      ROW_FIELDS,
    ),
  };
}

export function saveCells(
  plan: Plan<never, unknown>,
  cells: readonly unknown[][],
  slot: number,
  writer: ByteWriter,
): void {
  writer.selfContained = true; // a save in steps writes cells apart from their frame
  plan.cells.forEach((cell, i) => cell.save(writer, (cells[i] as unknown[])[slot]));
  writer.selfContained = false;
}

export function loadCells(
  plan: Plan<never, unknown>,
  cells: readonly unknown[][],
  slot: number,
  reader: ByteReader,
): void {
  plan.cells.forEach((cell, i) => {
    (cells[i] as unknown[])[slot] = cell.load(reader);
  });
}

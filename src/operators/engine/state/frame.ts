import { loadCells, type Plan, type ResultKind, saveCells } from "../aggregates/plan.js";
import type { HeldPart } from "../topology/runtime.js";
import type { ByteReader, ByteWriter } from "./bytes.js";
import { FrameCut } from "./cut.js";
import { KeyTable } from "./key-table.js";
import { grown, type Key, readKey } from "./keys.js";
import type { Steps } from "./steps.js";
import type { Undo, Undoable } from "./undo.js";

const INSERTED = -1;
const NOTHING_TO_KEEP = new Uint8Array(0);

/**
 * Aggregates by key: a row of doubles each, and cells for what does not fit. Every change is noted with `undo`.
 *
 * State: stride × 8 bytes a key and the key table's 20 or so, beside the key itself.
 */
export class Frame<V> implements Undoable {
  readonly table: KeyTable;
  readonly plan: Plan<V, unknown>;
  readonly cells: unknown[][];
  rows: Float64Array;
  /** While a save is under way: keeps what is about to change. */
  #cut: FrameCut<V> | undefined;
  /**
   * Its pages: 0 where a change must wait for a copy. Always asked, and empty when there is no save: were it a question of whether there is
   * one, the machine would take saves for a common case or for none, by chance, and every event would cost more or less for good.
   */
  #isKept: Uint8Array = NOTHING_TO_KEEP;
  #pageBits = 0;
  readonly #undo: Undo;
  /** Slot opened last: neighbours are often of one key. */
  #latest = 0;

  constructor(plan: Plan<V, unknown>, undo: Undo, capacity = 16) {
    this.plan = plan;
    this.table = new KeyTable(capacity);
    this.#undo = undo;
    this.rows = new Float64Array(plan.stride * capacity);
    this.cells = plan.cells.map(() => []);
  }

  /** The key's slot, ready to be changed: its row can be taken back. */
  open(key: Key): number {
    // Of numbers alone: to tell two texts apart takes longer than to look one up.
    if (typeof key === "number" && this.table.isNumber(this.#latest, key)) {
      this.touch(this.#latest);
      return this.#latest;
    }
    const slot = this.table.slotOf(key);
    if (this.table.fresh) this.#start(slot);
    else this.touch(slot);
    this.#latest = slot;
    return slot;
  }

  /** As `open`, for the key of another frame's slot. */
  openOther(other: Frame<V>, otherSlot: number): number {
    const slot = this.table.slotOfOther(other.table, otherSlot);
    if (this.table.fresh) this.#start(slot);
    else this.touch(slot);
    return slot;
  }

  #start(slot: number): void {
    const { plan } = this;
    const at = slot * plan.stride;
    if (at + plan.stride > this.rows.length) this.#grow(at + plan.stride);
    plan.init(this.rows, at);
    if (plan.extraAt < plan.stride) this.rows.fill(0, at + plan.extraAt, at + plan.stride);
    for (let i = 0; i < plan.cells.length; i++) (this.cells[i] as unknown[])[slot] = plan.cells[i]?.create();
    this.#undo.note(this, slot, INSERTED);
  }

  #grow(needed: number): void {
    // Large tables grow by an eighth: half a gigabyte of reserve would be the price of doubling.
    const factor = this.rows.length < 1 << 17 ? 2 : 1.125;
    const room = Math.ceil((this.rows.length * factor) / this.plan.stride) * this.plan.stride;
    this.rows = grown(this.rows, Math.max(needed, room));
  }

  /** Call before changing a row in place. */
  touch(slot: number): void {
    const { stride } = this.plan;
    if (this.#isKept[slot >> this.#pageBits] === 0) this.#cut?.keep(slot);
    this.#undo.row(this, slot, this.rows, slot * stride, stride);
  }

  /** Folds a value into the slot, which must be open. */
  add(slot: number, value: V, timeMs: number): void {
    const { plan } = this;
    plan.addParts(this.rows, slot * plan.stride, value, timeMs);
    if (plan.cells.length > 0) plan.addCells(this.cells, slot, value, timeMs, this.#undo);
  }

  /** Adds another frame's slot. Cells change in place and are not noted: for firing, never for an event. */
  mergeFrom(slot: number, from: Frame<V>, fromSlot: number): void {
    const { plan } = this;
    plan.mergeParts(this.rows, slot * plan.stride, from.rows, fromSlot * plan.stride);
    for (let i = 0; i < plan.cells.length; i++)
      plan.cells[i]?.merge?.(this.cells[i]?.[slot], from.cells[i]?.[fromSlot]);
  }

  /** Starts the slot's aggregates over; extras stay. */
  reset(slot: number): void {
    const { plan } = this;
    plan.init(this.rows, slot * plan.stride);
    for (let i = 0; i < plan.cells.length; i++) (this.cells[i] as unknown[])[slot] = plan.cells[i]?.create();
  }

  result(slot: number, key: Key, startMs: number, endMs: number, kind: ResultKind, revision: number): unknown {
    return this.plan.result(this.rows, slot * this.plan.stride, this.cells, slot, key, startMs, endMs, kind, revision);
  }

  remove(slot: number): void {
    if (this.#isKept[slot >> this.#pageBits] === 0) this.#cut?.keep(slot);
    this.#cut?.keepKey(slot);
    this.table.remove(slot);
    for (const cells of this.cells) cells[slot] = undefined;
  }

  /** Forgets all keys and keeps the room for others. False, and nothing is done, while a save still reads it. */
  reuse(): boolean {
    if (this.#cut !== undefined) return false;
    this.table.reuse();
    for (const cells of this.cells) cells.length = 0;
    return true;
  }

  undo(slot: number, at: number): void {
    if (at === INSERTED) {
      this.remove(slot);
      return;
    }
    const { stride } = this.plan;
    this.rows.set(this.#undo.doubles.subarray(at, at + stride), slot * stride);
  }

  /** What the frame of a window holds for a key, for people. */
  held(key: Key, startMs: number, endMs: number): readonly HeldPart[] {
    const slot = this.table.find(key);
    return slot < 0 ? [] : [this.heldAt(slot, key, startMs, endMs)];
  }

  heldAt(slot: number, key: Key, startMs: number, endMs: number): HeldPart {
    const row = this.result(slot, key, startMs, endMs, "early", 0) as Record<string, unknown>;
    const value = Object.fromEntries(this.plan.names.map((name) => [name, row[name]]));
    return { startMs, endMs, value };
  }

  /** Bytes held, without keys and cells. */
  get bytes(): number {
    return this.rows.byteLength + this.table.bytes;
  }

  save(writer: ByteWriter): void {
    const { plan, table } = this;
    writer.uint(table.size);
    for (const slot of table.sortedSlots()) {
      table.writeKeyAt(writer, slot);
      writer.doubles(this.rows, slot * plan.stride, plan.stride);
      saveCells(plan, this.cells, slot, writer);
    }
  }

  /** Writes the frame as it is now, in steps between which it may change. One at a time. */
  *saveInSteps(writer: ByteWriter): Steps {
    const cut = new FrameCut(this);
    this.#cut = cut;
    this.#isKept = cut.isKept;
    this.#pageBits = cut.pageBits;
    yield;
    yield* cut.steps(writer);
    this.#cut = undefined;
    this.#isKept = NOTHING_TO_KEEP;
  }

  load(reader: ByteReader): void {
    const { plan } = this;
    for (let left = reader.uint(); left > 0; left--) {
      const slot = this.open(readKey(reader));
      reader.doubles(this.rows, slot * plan.stride, plan.stride);
      loadCells(plan, this.cells, slot, reader);
    }
  }
}

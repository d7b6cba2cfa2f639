import { saveCells } from "../aggregates/plan.js";
import { ByteWriter } from "./bytes.js";
import type { Frame } from "./frame.js";
import type { Steps } from "./steps.js";

/** Slots written in one step: below a ms on a machine at rest. */
const STEP = 512;
/** Rows in a page of what is kept. */
const PAGE_BITS = 9;
const WITHIN = (1 << PAGE_BITS) - 1;
/** Of a slot: its turn is still to come and it has not changed; else where it is kept + 1; or it is written, or was not there. */
const UNTOUCHED = 0;
const OVER = -1;

/**
 * A frame as it was at one moment, written bit by bit while the frame goes on changing: a slot whose turn is still to come is copied just
 * before its first change (copy on write). What is written is byte for byte what `Frame.save` would have written at that moment.
 */
export class FrameCut<V> {
  readonly #frame: Frame<V>;
  readonly #size: number;
  readonly #order: Steps<Int32Array>;
  readonly #places: Int32Array;
  #kept = 0;
  /** Kind and value of the key, then the row. */
  readonly #pages: Float64Array[] = [];
  /** Saved cells of what is kept, where there are any. */
  readonly #cells: Uint8Array[] = [];

  constructor(frame: Frame<V>) {
    this.#frame = frame;
    this.#size = frame.table.size;
    this.#places = new Int32Array(frame.table.length);
    frame.table.keepTexts(true);
    this.#order = frame.table.cutInOrder();
  }

  /** Call before a slot changes; after a free slot got its key, with `isNew`. */
  preserve(slot: number, isNew: boolean): void {
    if (slot >= this.#places.length || this.#places[slot] !== UNTOUCHED) return;
    if (isNew) this.#places[slot] = OVER;
    else this.#keep(slot);
  }

  #keep(slot: number): void {
    const { table, rows, plan, cells } = this.#frame;
    if (!table.has(slot)) return; // free then and now
    const { stride } = plan;
    const place = this.#kept++;
    this.#places[slot] = place + 1;
    if ((place & WITHIN) === 0) this.#pages.push(new Float64Array((2 + stride) << PAGE_BITS));
    const page = this.#pages[place >> PAGE_BITS] as Float64Array;
    const at = (place & WITHIN) * (2 + stride);
    page[at] = table.kindOf(slot);
    page[at + 1] = table.valueOf(slot);
    for (let i = 0, from = slot * stride; i < stride; i++) page[at + 2 + i] = rows[from + i] as number;
    if (plan.cells.length > 0) this.#cells.push(this.#cellsOf(cells, slot));
  }

  #cellsOf(cells: readonly unknown[][], slot: number): Uint8Array {
    const writer = new ByteWriter(256);
    saveCells(this.#frame.plan, cells, slot, writer);
    return writer.finish();
  }

  /** Writes the frame; each turn of the generator is one step. */
  *steps(writer: ByteWriter): Steps {
    writer.uint(this.#size);
    const order = yield* this.#order;
    for (let i = 0; i < order.length; i++) {
      if (i > 0 && i % STEP === 0) yield;
      const slot = order[i] as number;
      const place = this.#places[slot] as number;
      if (place === UNTOUCHED) this.#writeSlot(writer, slot);
      else this.#writeKept(writer, place - 1);
      this.#places[slot] = OVER;
    }
    this.#frame.table.keepTexts(false);
  }

  #writeSlot(writer: ByteWriter, slot: number): void {
    const { table, plan, rows, cells } = this.#frame;
    table.writeKeyAt(writer, slot);
    writer.doubles(rows, slot * plan.stride, plan.stride);
    if (plan.cells.length > 0) saveCells(plan, cells, slot, writer);
  }

  #writeKept(writer: ByteWriter, place: number): void {
    const { table, plan } = this.#frame;
    const page = this.#pages[place >> PAGE_BITS] as Float64Array;
    const at = (place & WITHIN) * (2 + plan.stride);
    table.writeKey(writer, page[at] as number, page[at + 1] as number);
    writer.doubles(page, at + 2, plan.stride);
    if (plan.cells.length > 0) writer.raw(this.#cells[place] as Uint8Array);
  }
}

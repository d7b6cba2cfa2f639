import { saveCells } from "../aggregates/plan.js";
import { ByteWriter } from "./bytes.js";
import type { Frame } from "./frame.js";
import type { KeysImage } from "./key-table.js";
import type { Steps } from "./steps.js";

/** Slots written in one step: below a ms on a machine at rest. */
const STEP = 512;
/** Slots in a page of what is kept; one where aggregates have cells, which cannot be copied many at once. */
const PAGE_BITS = 9;

/**
 * A frame as it was at one moment, written bit by bit while the frame goes on changing: a page of slots is copied just before the first
 * change of one of them (copy on write; to ask whether it was takes no cache). What is written is byte for byte what `Frame.save`
 * would have written at that moment.
 */
export class FrameCut<V> {
  readonly #frame: Frame<V>;
  readonly #size: number;
  readonly #length: number;
  readonly #order: Steps<Int32Array>;
  readonly #bits: number;
  /** By page: 1 when it is kept. */
  readonly #isKept: Uint8Array;
  /** By slot, as in the frame; of pages that are kept. */
  #rows = new Float64Array(0);
  #keys: KeysImage = { kinds: new Int32Array(0), values: new Float64Array(0) };
  /** Saved cells by slot, where there are any. */
  readonly #cells: (Uint8Array | undefined)[] = [];

  constructor(frame: Frame<V>) {
    const { table, plan } = frame;
    this.#frame = frame;
    this.#size = table.size;
    this.#length = table.length;
    this.#bits = plan.cells.length > 0 ? 0 : PAGE_BITS;
    this.#isKept = new Uint8Array(((this.#length - 1) >> this.#bits) + 1);
    table.keepTexts(true);
    this.#order = table.cutInOrder();
  }

  /** Call before a slot changes; after a free slot got its key, with `isNew`. */
  preserve(slot: number, isNew: boolean): void {
    const page = slot >> this.#bits;
    if (page < this.#isKept.length && this.#isKept[page] === 0 && !isNew) this.#keep(page);
  }

  #keep(page: number): void {
    const { table, rows, plan } = this.#frame;
    const { stride } = plan;
    const length = this.#length;
    if (this.#rows.length === 0) {
      this.#rows = new Float64Array(length * stride); // takes memory page by page, as it is written
      this.#keys = { kinds: new Int32Array(length), values: new Float64Array(length) };
    }
    this.#isKept[page] = 1;
    const from = page << this.#bits;
    const to = Math.min(length, from + (1 << this.#bits));
    this.#rows.set(rows.subarray(from * stride, to * stride), from * stride);
    table.copyKeys(from, to, this.#keys);
    if (plan.cells.length > 0 && table.has(from)) this.#cells[from] = this.#cellsOf(from);
  }

  #cellsOf(slot: number): Uint8Array {
    const { plan, cells } = this.#frame;
    const writer = new ByteWriter(256);
    saveCells(plan, cells, slot, writer);
    return writer.finish();
  }

  /** Writes the frame; each turn of the generator is one step. */
  *steps(writer: ByteWriter): Steps {
    writer.uint(this.#size);
    const order = yield* this.#order;
    for (let i = 0; i < order.length; i++) {
      if (i > 0 && i % STEP === 0) yield;
      const slot = order[i] as number;
      if (this.#isKept[slot >> this.#bits] === 0) this.#writeSlot(writer, slot);
      else this.#writeKept(writer, slot);
      if (this.#bits === 0) this.#isKept[slot] = 1; // its turn is over
    }
    this.#frame.table.keepTexts(false);
  }

  #writeSlot(writer: ByteWriter, slot: number): void {
    const { table, plan, rows, cells } = this.#frame;
    table.writeKeyAt(writer, slot);
    writer.doubles(rows, slot * plan.stride, plan.stride);
    if (plan.cells.length > 0) saveCells(plan, cells, slot, writer);
  }

  #writeKept(writer: ByteWriter, slot: number): void {
    const { table, plan } = this.#frame;
    const { kinds, values } = this.#keys;
    table.writeKey(writer, kinds[slot] as number, values[slot] as number);
    writer.doubles(this.#rows, slot * plan.stride, plan.stride);
    if (plan.cells.length === 0) return;
    writer.raw(this.#cells[slot] as Uint8Array);
    this.#cells[slot] = undefined;
  }
}

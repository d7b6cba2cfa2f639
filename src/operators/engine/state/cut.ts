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
  /** What a slot's number is shifted by to have its page's. */
  readonly pageBits: number;
  /** By page: 0 where a copy must be kept before one of its slots changes. */
  readonly isKept: Uint8Array;
  /** By slot, as in the frame; of pages that are kept. */
  #rows = new Float64Array(0);
  #keys: KeysImage = { kinds: new Int32Array(0), values: new Float64Array(0) };
  /** Saved cells by slot, where there are any. */
  readonly #cells: (Uint8Array | undefined)[] = [];
  /** Of the slots written in the step at hand, in their order. */
  readonly #gathered: { readonly rows: Float64Array; readonly keys: KeysImage; readonly texts: Uint8Array };

  constructor(frame: Frame<V>) {
    const { table, plan } = frame;
    this.#frame = frame;
    this.#size = table.size;
    this.#length = table.length;
    this.pageBits = plan.cells.length > 0 ? 0 : PAGE_BITS;
    this.isKept = new Uint8Array(((this.#length - 1) >> this.pageBits) + 1);
    this.#gathered = {
      rows: new Float64Array(STEP * plan.stride),
      keys: { kinds: new Int32Array(STEP), values: new Float64Array(STEP) },
      texts: new Uint8Array(STEP),
    };
    table.keepTexts(true);
    this.#order = table.cutInOrder();
  }

  /** Call before a slot of a page that is not kept changes. */
  keep(slot: number): void {
    const page = slot >> this.pageBits;
    const { table, rows, plan } = this.#frame;
    const { stride } = plan;
    const length = this.#length;
    if (this.#rows.length === 0) {
      this.#rows = new Float64Array(length * stride); // takes memory page by page, as it is written
      this.#keys = { kinds: new Int32Array(length), values: new Float64Array(length) };
    }
    this.isKept[page] = 1;
    const from = page << this.pageBits;
    const to = Math.min(length, from + (1 << this.pageBits));
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
    const { table, plan } = this.#frame;
    const { rows, keys } = this.#gathered;
    for (let from = 0; from < order.length; from += STEP) {
      if (from > 0) yield;
      const slots = order.subarray(from, from + STEP);
      this.#gather(slots);
      for (let i = 0; i < slots.length; i++) {
        table.writeKey(writer, keys.kinds[i] as number, keys.values[i] as number);
        writer.doubles(rows, i * plan.stride, plan.stride);
        if (plan.cells.length > 0) this.#writeCells(writer, slots[i] as number);
      }
    }
    table.keepTexts(false);
  }

  /** Rows and keys in key order lie anywhere: fetched in a loop by themselves, many are on their way from memory at a time. */
  #gather(slots: Int32Array): void {
    const { table, plan, rows: present } = this.#frame;
    const { stride } = plan;
    const { rows, keys, texts } = this.#gathered;
    for (let i = 0, into = 0; i < slots.length; i++) {
      const slot = slots[i] as number;
      const isKept = this.isKept[slot >> this.pageBits] === 1;
      const from = isKept ? this.#rows : present;
      keys.kinds[i] = isKept ? (this.#keys.kinds[slot] as number) : table.kindOf(slot);
      keys.values[i] = isKept ? (this.#keys.values[slot] as number) : table.valueOf(slot);
      for (let at = slot * stride; at < (slot + 1) * stride; at++) rows[into++] = from[at] as number;
    }
    // One byte of each text, so that the rest is near when it is written.
    for (let i = 0; i < slots.length; i++)
      texts[i] = table.firstByte(keys.kinds[i] as number, keys.values[i] as number);
  }

  #writeCells(writer: ByteWriter, slot: number): void {
    const { plan, cells } = this.#frame;
    if (this.isKept[slot] === 0) saveCells(plan, cells, slot, writer);
    else writer.raw(this.#cells[slot] as Uint8Array);
    this.#cells[slot] = undefined;
    this.isKept[slot] = 1; // its turn is over
  }
}

import { saveCells } from "../aggregates/plan.js";
import { ByteWriter } from "./bytes.js";
import type { Frame } from "./frame.js";
import type { KeysImage } from "./key-table.js";
import type { Steps } from "./steps.js";

/** Slots written in one step: below a ms on a machine at rest. */
const STEP = 512;
/** Slots in a page of what is kept; one where aggregates have cells, which take long to copy. */
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
  /** Of pages that are kept. Small pieces of memory: what one save frees serves the next, where new memory would cost more than the copy. */
  readonly #rows: (Float64Array | undefined)[];
  /** Of pages in which keys went. */
  readonly #keys: (KeysImage | undefined)[];
  /** Instead of rows where aggregates have cells, and a page is one slot: the row and they, as saved. */
  readonly #entries: (Uint8Array | undefined)[];
  /** Of the slots written in the step at hand, in their order. */
  readonly #gathered: { readonly rows: Float64Array; readonly keys: KeysImage; readonly texts: Uint8Array };

  constructor(frame: Frame<V>) {
    const { table, plan } = frame;
    this.#frame = frame;
    this.#size = table.size;
    this.#length = table.length;
    this.pageBits = plan.cells.length > 0 ? 0 : PAGE_BITS;
    const pages = ((this.#length - 1) >> this.pageBits) + 1;
    this.isKept = new Uint8Array(pages);
    this.#rows = new Array(pages);
    this.#keys = new Array(pages);
    this.#entries = new Array(pages);
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
    const { stride, cells } = plan;
    this.isKept[page] = 1;
    if (cells.length === 0) this.#rows[page] = rows.slice((page << this.pageBits) * stride, this.#endOf(page) * stride);
    else if (table.has(slot)) {
      const writer = new ByteWriter(256);
      this.#write(writer, slot);
      this.#entries[slot] = writer.finish();
    }
  }

  /** Call, after `keep`, before a slot's key goes. */
  keepKey(slot: number): void {
    const page = slot >> this.pageBits;
    if (page < this.isKept.length)
      this.#keys[page] ??= this.#frame.table.imageOf(page << this.pageBits, this.#endOf(page));
  }

  #endOf(page: number): number {
    return Math.min(this.#length, (page + 1) << this.pageBits);
  }

  /** Row and cells as they are now. */
  #write(writer: ByteWriter, slot: number): void {
    const { plan, rows, cells } = this.#frame;
    writer.doubles(rows, slot * plan.stride, plan.stride);
    saveCells(plan, cells, slot, writer);
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
        if (plan.cells.length === 0) writer.doubles(rows, i * plan.stride, plan.stride);
        else this.#writeEntry(writer, slots[i] as number);
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
      const page = slot >> this.pageBits;
      const inPage = slot - (page << this.pageBits);
      const former = this.#keys[page];
      keys.kinds[i] = former === undefined ? table.kindOf(slot) : (former.kinds[inPage] as number);
      keys.values[i] = former === undefined ? table.valueOf(slot) : (former.values[inPage] as number);
      const kept = this.#rows[page];
      const from = kept ?? present;
      let at = (kept === undefined ? slot : inPage) * stride;
      for (const end = into + stride; into < end; into++, at++) rows[into] = from[at] as number;
    }
    // One byte of each text, so that the rest is near when it is written.
    for (let i = 0; i < slots.length; i++)
      texts[i] = table.firstByte(keys.kinds[i] as number, keys.values[i] as number);
  }

  #writeEntry(writer: ByteWriter, slot: number): void {
    const kept = this.#entries[slot];
    if (kept === undefined) this.#write(writer, slot);
    else writer.raw(kept);
    this.#entries[slot] = undefined;
    this.isKept[slot] = 1; // its turn is over
  }
}

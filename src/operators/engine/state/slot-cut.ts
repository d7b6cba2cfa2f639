import type { ByteWriter } from "./bytes.js";
import type { KeyTable } from "./key-table.js";
import { type Key, writeKey } from "./keys.js";
import type { Steps } from "./steps.js";

/** Slots written in one step: below a ms on a machine at rest. */
const STEP = 512;

/** Where an entry begins in what is written. */
export interface Entry {
  readonly piece: number;
  readonly from: number;
}

/**
 * What an operator holds by key as it was at one moment, written bit by bit while the operator goes on: a slot's image is taken just
 * before its first change (copy on write), the others when their turn comes.
 *
 * `imageOf(slot, true)` must give something that later changes of the slot leave alone; `imageOf(slot, false)` is used at once.
 */
export class SlotCut<I> {
  readonly length: number;
  readonly size: number;
  readonly #table: KeyTable;
  readonly #imageOf: (slot: number, keep: boolean) => I;
  readonly #kept: Uint8Array;
  readonly #images = new Map<number, { readonly key: Key; readonly image: I }>();
  readonly #order: Steps<Int32Array>;

  constructor(table: KeyTable, imageOf: (slot: number, keep: boolean) => I) {
    this.#table = table;
    this.#imageOf = imageOf;
    this.length = table.length;
    this.size = table.size;
    this.#kept = new Uint8Array(this.length);
    table.keepTexts(true);
    this.#order = table.cutInOrder();
  }

  /** Call before a slot changes; after a free slot got its key, with `isNew`. */
  preserve(slot: number, isNew: boolean): void {
    if (slot >= this.length || this.#kept[slot] === 1) return;
    this.#kept[slot] = 1;
    const key = this.#table.keyAt(slot);
    if (!isNew && key !== undefined) this.#images.set(slot, { key, image: this.#imageOf(slot, true) });
  }

  /**
   * Writes the number of keys, then each key and what `write` makes of its image; each turn of the generator is one step. `changed`
   * tells whether the slot has changed since the cut. Where it has not, `copy` may have written key and all before.
   */
  *steps(
    writer: ByteWriter,
    write: (image: I, slot: number, changed: boolean, entry: Entry) => void,
    copy: (slot: number, changed: boolean) => boolean = () => false,
  ): Steps {
    writer.uint(this.size);
    const order = yield* this.#order;
    this.#table.keepTexts(false);
    for (let i = 0; i < order.length; i++) {
      if (i > 0 && i % STEP === 0) yield;
      const slot = order[i] as number;
      const kept = this.#images.get(slot);
      if (copy(slot, kept !== undefined)) continue;
      const entry = { piece: writer.piece, from: writer.place };
      if (kept === undefined) {
        this.#table.writeKeyAt(writer, slot);
        write(this.#imageOf(slot, false), slot, false, entry);
      } else {
        writeKey(writer, kept.key);
        write(kept.image, slot, true, entry);
        this.#images.delete(slot); // its turn is over
      }
    }
  }
}

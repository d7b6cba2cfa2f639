import type { ByteWriter } from "./bytes.js";
import { inKeyOrder, type KeyedSlots } from "./key-order.js";
import type { KeyTable } from "./key-table.js";
import { type Key, writeKey } from "./keys.js";
import type { Steps } from "./steps.js";

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
export class SlotCut<I> implements KeyedSlots {
  readonly length: number;
  readonly size: number;
  readonly #table: KeyTable;
  readonly #imageOf: (slot: number, keep: boolean) => I;
  readonly #kept: Uint8Array;
  readonly #images = new Map<number, { readonly key: Key; readonly image: I }>();

  constructor(table: KeyTable, imageOf: (slot: number, keep: boolean) => I) {
    this.#table = table;
    this.#imageOf = imageOf;
    this.length = table.length;
    this.size = table.size;
    this.#kept = new Uint8Array(this.length);
  }

  /** Call before a slot changes; after a free slot got its key, with `isNew`. */
  preserve(slot: number, isNew: boolean): void {
    if (slot >= this.length || this.#kept[slot] === 1) return;
    this.#kept[slot] = 1;
    const key = this.#table.keyAt(slot);
    if (!isNew && key !== undefined) this.#images.set(slot, { key, image: this.#imageOf(slot, true) });
  }

  keyAt(slot: number): Key | undefined {
    return this.#kept[slot] === 0 ? this.#table.keyAt(slot) : this.#images.get(slot)?.key;
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
    yield* inKeyOrder(this, (slot, key) => {
      const kept = this.#images.get(slot);
      if (copy(slot, kept !== undefined)) return;
      const entry = { piece: writer.piece, from: writer.place };
      writeKey(writer, key);
      if (kept === undefined) {
        write(this.#imageOf(slot, false), slot, false, entry);
      } else {
        write(kept.image, slot, true, entry);
        this.#images.delete(slot); // its turn is over; the key is not asked for again
      }
    });
  }
}

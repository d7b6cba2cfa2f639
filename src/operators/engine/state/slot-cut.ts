import type { ByteWriter } from "./bytes.js";
import type { KeyTable } from "./key-table.js";
import type { Steps } from "./steps.js";

/** Slots written in one step: below a ms on a machine at rest. */
const STEP = 512;
/** Of a slot: its turn is still to come and it has not changed; else where it is kept + 1; or it is written, or was not there. */
const UNTOUCHED = 0;
const OVER = -1;

/** Where an entry begins in what is written. */
export interface Entry {
  readonly piece: number;
  readonly from: number;
}

/**
 * What an operator holds by key as it was at one moment, written bit by bit while the operator goes on: of a slot whose turn is still to
 * come an image is taken just before its first change (copy on write), of the others when their turn comes.
 *
 * `imageOf(slot, true)` must give something that later changes of the slot leave alone; `imageOf(slot, false)` is used at once.
 */
export class SlotCut<I> {
  readonly length: number;
  readonly size: number;
  readonly #table: KeyTable;
  readonly #imageOf: (slot: number, keep: boolean) => I;
  readonly #places: Int32Array;
  /** Of what is kept: the key, as the table has it, and the image until it is written. */
  readonly #kinds: number[] = [];
  readonly #values: number[] = [];
  readonly #images: (I | undefined)[] = [];
  readonly #order: Steps<Int32Array>;

  constructor(table: KeyTable, imageOf: (slot: number, keep: boolean) => I) {
    this.#table = table;
    this.#imageOf = imageOf;
    this.length = table.length;
    this.size = table.size;
    this.#places = new Int32Array(this.length);
    table.keepTexts(true);
    this.#order = table.cutInOrder();
  }

  /** Call before a slot changes; after a free slot got its key, with `isNew`. */
  preserve(slot: number, isNew: boolean): void {
    if (slot >= this.length || this.#places[slot] !== UNTOUCHED) return;
    if (isNew) this.#places[slot] = OVER;
    else if (this.#table.has(slot)) this.#keep(slot);
  }

  #keep(slot: number): void {
    this.#kinds.push(this.#table.kindOf(slot));
    this.#values.push(this.#table.valueOf(slot));
    this.#places[slot] = this.#images.push(this.#imageOf(slot, true));
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
    for (let i = 0; i < order.length; i++) {
      if (i > 0 && i % STEP === 0) yield;
      const slot = order[i] as number;
      const place = this.#places[slot] as number;
      const changed = place !== UNTOUCHED;
      this.#places[slot] = OVER;
      if (copy(slot, changed)) continue;
      const entry = { piece: writer.piece, from: writer.place };
      if (changed) {
        const kept = place - 1;
        this.#table.writeKey(writer, this.#kinds[kept] as number, this.#values[kept] as number);
        write(this.#images[kept] as I, slot, true, entry);
        this.#images[kept] = undefined;
      } else {
        this.#table.writeKeyAt(writer, slot);
        write(this.#imageOf(slot, false), slot, false, entry);
      }
    }
    this.#table.keepTexts(false);
  }
}

import { saveCells } from "../aggregates/plan.js";
import { ByteWriter } from "./bytes.js";
import type { Frame } from "./frame.js";
import type { KeysImage } from "./key-table.js";
import { type Key, writeKey } from "./keys.js";
import type { Steps } from "./steps.js";

/** Slots written in one step: below a ms on a machine at rest. */
const STEP = 512;
/** Slots copied at once when one of them changes during a save: some 100 µs. Cells must be written out, so fewer. */
const CHUNK = 1_024;
const CHUNK_WITH_CELLS = 8;

interface Image {
  readonly keys: KeysImage;
  readonly rows: Float64Array;
  /** Saved cells by slot, where there are any. */
  readonly cells: (Uint8Array | undefined)[];
}

/**
 * A frame as it was at one moment, written bit by bit while the frame goes on changing: a chunk of slots is copied just before its
 * first change (copy on write). What is written is byte for byte what `Frame.save` would have written at that moment.
 */
export class FrameCut<V> {
  readonly #frame: Frame<V>;
  readonly length: number;
  readonly size: number;
  readonly #chunk: number;
  readonly #images: (Image | undefined)[] = [];
  readonly #order: Steps<Int32Array>;

  constructor(frame: Frame<V>) {
    this.#frame = frame;
    this.#chunk = frame.plan.cells.length === 0 ? CHUNK : CHUNK_WITH_CELLS;
    this.length = frame.table.length;
    this.size = frame.table.size;
    frame.table.keepTexts(true);
    this.#order = frame.table.cutInOrder();
  }

  /** Call before a slot changes; after a free slot got its key, with `isNew`. */
  preserve(slot: number, isNew: boolean): void {
    if (slot >= this.length) return;
    const chunk = Math.floor(slot / this.#chunk);
    if (this.#images[chunk] !== undefined) return;
    this.#images[chunk] = this.#copy(chunk, isNew ? slot % this.#chunk : -1);
  }

  /** `fresh` is the place of a key that was not there at the cut. */
  #copy(chunk: number, fresh: number): Image {
    const { table, rows, plan, cells } = this.#frame;
    const from = chunk * this.#chunk;
    const to = Math.min(from + this.#chunk, this.length);
    const keys = table.imageOf(from, to);
    if (fresh >= 0) keys.kinds[fresh] = 0;
    const saved: (Uint8Array | undefined)[] = [];
    if (plan.cells.length > 0)
      for (let i = 0; i < to - from; i++)
        saved.push(table.keyIn(keys, i) === undefined ? undefined : this.#cellsOf(cells, from + i));
    return { keys, rows: rows.slice(from * plan.stride, to * plan.stride), cells: saved };
  }

  #cellsOf(cells: readonly unknown[][], slot: number): Uint8Array {
    const writer = new ByteWriter(256);
    saveCells(this.#frame.plan, cells, slot, writer);
    return writer.finish();
  }

  /** Writes the frame; each turn of the generator is one step. */
  *steps(writer: ByteWriter): Steps {
    writer.uint(this.size);
    const order = yield* this.#order;
    for (let i = 0; i < order.length; i++) {
      if (i > 0 && i % STEP === 0) yield;
      const slot = order[i] as number;
      this.#writeSlot(writer, slot);
    }
    this.#frame.table.keepTexts(false);
  }

  #writeSlot(writer: ByteWriter, slot: number): void {
    const { table, plan, rows, cells } = this.#frame;
    const image = this.#images[Math.floor(slot / this.#chunk)];
    const place = slot % this.#chunk;
    if (image === undefined) table.writeKeyAt(writer, slot);
    else writeKey(writer, table.keyIn(image.keys, place) as Key);
    writer.doubles(image?.rows ?? rows, (image === undefined ? slot : place) * plan.stride, plan.stride);
    if (plan.cells.length === 0) return;
    writer.raw(image?.cells[place] ?? this.#cellsOf(cells, slot));
  }
}

import { ByteReader, type ByteWriter } from "./bytes.js";
import type { Entry } from "./slot-cut.js";
import { readValue } from "./values.js";

/** Of a slot: number of the piece + 1, or 0 when nothing rests; there the first byte of the entry and of its value, and the end of both. */
const PIECE = 0;
const FROM = 1;
const VALUE = 2;
const END = 3;
const STRIDE = 4;
/** Entries copied at once, bytes. */
const RUN_BYTES = 0x8000;

/**
 * Entries as the latest save wrote them, by slot: a value that does not change rests as bytes, costs no heap, and is saved again with its
 * neighbours by one copy. 16 bytes a slot beside the saved bytes.
 */
export class Resting {
  /** The saved bytes; set once the save is over. */
  pieces: readonly Uint8Array[] = [];
  readonly #readers: (ByteReader | undefined)[] = [];
  readonly #rows: Int32Array;

  constructor(slots = 0) {
    this.#rows = new Int32Array(slots * STRIDE);
  }

  has(slot: number): boolean {
    const at = slot * STRIDE;
    return at < this.#rows.length && this.#rows[at] !== 0;
  }

  /** The value's bytes; undefined when it does not rest. */
  bytesOf(slot: number): Uint8Array | undefined {
    if (!this.has(slot)) return undefined;
    const at = slot * STRIDE;
    return this.pieces[(this.#rows[at] as number) - 1]?.subarray(this.#rows[at + VALUE], this.#rows[at + END]);
  }

  read(slot: number): unknown {
    const piece = (this.#rows[slot * STRIDE] as number) - 1;
    let reader = this.#readers[piece];
    if (reader === undefined) {
      reader = new ByteReader(this.pieces[piece] as Uint8Array);
      this.#readers[piece] = reader;
    }
    reader.seek(this.#rows[slot * STRIDE + VALUE] as number);
    return readValue(reader);
  }

  /** Notes where the slot's entry began and its value, and that both end where the writer is; not when it runs over into the next piece. */
  put(slot: number, writer: ByteWriter, { piece, from }: Entry, value: number): void {
    if (writer.piece === piece) this.#set(slot, piece, from, value, writer.place);
  }

  #set(slot: number, piece: number, from: number, value: number, end: number): void {
    const at = slot * STRIDE;
    this.#rows[at + PIECE] = piece + 1;
    this.#rows[at + FROM] = from;
    this.#rows[at + VALUE] = value;
    this.#rows[at + END] = end;
  }

  forget(slot: number): void {
    if (slot * STRIDE < this.#rows.length) this.#rows[slot * STRIDE] = 0;
  }

  get bytes(): number {
    let bytes = this.#rows.byteLength;
    for (const piece of this.pieces) bytes += piece.length;
    return bytes;
  }

  /** Copies entries from here to the writer, and notes in `into` where they are then. */
  copier(writer: ByteWriter, into: Resting): Copier {
    const rows = this.#rows;
    const slots: number[] = [];
    let run = { piece: -1, from: 0, end: 0 };
    const flush = (): void => {
      if (slots.length === 0) return;
      writer.raw((this.pieces[run.piece] as Uint8Array).subarray(run.from, run.end));
      const moved = writer.place - run.end;
      const { piece } = writer;
      for (const slot of slots) {
        const at = slot * STRIDE;
        const [from, value, end] = [rows[at + FROM] as number, rows[at + VALUE] as number, rows[at + END] as number];
        into.#set(slot, piece, from + moved, value + moved, end + moved);
      }
      slots.length = 0;
    };
    const take = (slot: number): boolean => {
      if (!this.has(slot)) return false;
      const at = slot * STRIDE;
      const from = rows[at + FROM] as number;
      const piece = (rows[at + PIECE] as number) - 1;
      if (slots.length === 0 || piece !== run.piece || from !== run.end || from - run.from > RUN_BYTES) {
        flush();
        run = { piece, from, end: from };
      }
      run.end = rows[at + END] as number;
      slots.push(slot);
      return true;
    };
    return { take, flush };
  }
}

export interface Copier {
  /** Copies the slot's entry, now or at the next `flush`; false when it does not rest. */
  take(slot: number): boolean;
  /** Call before anything else is written, and before a slot taken changes. */
  flush(): void;
}

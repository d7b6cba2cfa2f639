import { ByteReader, type ByteWriter } from "./bytes.js";
import { readValue } from "./values.js";

/**
 * Values as the latest save wrote them, by slot: what does not change rests as bytes, costs no heap and is saved again by a copy.
 * 12 bytes a slot beside the saved bytes.
 */
export class Resting {
  /** The saved bytes; set once the save is over. */
  pieces: readonly Uint8Array[] = [];
  readonly #readers: (ByteReader | undefined)[] = [];
  /** By slot: number of the piece, or -1 when the value does not rest; first byte and length there. */
  #piece: Int32Array;
  #from: Int32Array;
  #length: Int32Array;

  constructor(slots = 0) {
    this.#piece = new Int32Array(slots).fill(-1);
    this.#from = new Int32Array(slots);
    this.#length = new Int32Array(slots);
  }

  has(slot: number): boolean {
    return slot < this.#piece.length && this.#piece[slot] !== -1;
  }

  /** The value's bytes; undefined when it does not rest. */
  bytesOf(slot: number): Uint8Array | undefined {
    if (!this.has(slot)) return undefined;
    const from = this.#from[slot] as number;
    return this.pieces[this.#piece[slot] as number]?.subarray(from, from + (this.#length[slot] as number));
  }

  read(slot: number): unknown {
    const piece = this.#piece[slot] as number;
    let reader = this.#readers[piece];
    if (reader === undefined) {
      reader = new ByteReader(this.pieces[piece] as Uint8Array);
      this.#readers[piece] = reader;
    }
    reader.seek(this.#from[slot] as number);
    return readValue(reader);
  }

  /** Notes that the value begins at `from` of the piece and ends where the writer is; not when it runs over into the next piece. */
  put(slot: number, writer: ByteWriter, piece: number, from: number): void {
    if (writer.piece !== piece) return;
    this.#piece[slot] = piece;
    this.#from[slot] = from;
    this.#length[slot] = writer.place - from;
  }

  forget(slot: number): void {
    if (slot < this.#piece.length) this.#piece[slot] = -1;
  }

  get bytes(): number {
    let bytes = this.#piece.length * 12;
    for (const piece of this.pieces) bytes += piece.length;
    return bytes;
  }
}

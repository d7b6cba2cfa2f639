import { ByteReader, type ByteWriter } from "./bytes.js";
import { grown } from "./keys.js";
import type { Entry } from "./slot-cut.js";
import { readValue } from "./values.js";

/** Of a slot: number of the piece + 1, or 0 when nothing rests; there the first byte of the entry and of its value, and the end of both. */
const PIECE = 0;
const FROM = 1;
const VALUE = 2;
const END = 3;
const STRIDE = 4;
const NOTHING = new Uint8Array(0);

/**
 * Entries as the latest save wrote them, by slot: a value that does not change rests as bytes, costs no heap, and is saved again with its
 * neighbours by one copy, or with its whole piece by none. 16 bytes a slot beside the saved bytes.
 */
export class Resting {
  /** The saved bytes, of pieces in which something rests. */
  pieces: readonly Uint8Array[] = [];
  readonly #isUsed: boolean[] = [];
  readonly #readers: (ByteReader | undefined)[] = [];
  readonly #rows: Int32Array;

  constructor(slots = 0) {
    this.#rows = new Int32Array(slots * STRIDE);
  }

  /** The save is over: what nothing rests in is let go of. */
  keep(pieces: readonly Uint8Array[]): void {
    this.pieces = pieces.map((piece, i) => (this.#isUsed[i] ? piece : NOTHING));
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
    this.#isUsed[piece] = true;
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
    return new Copier(writer, this, into);
  }

  /** Whether the slot's entry rests right behind byte `end` of a piece; there `end` is left behind its own. */
  follows(slot: number, run: Run): boolean {
    const at = slot * STRIDE;
    if (this.#rows[at + PIECE] !== run.piece + 1 || this.#rows[at + FROM] !== run.end) return false;
    run.end = this.#rows[at + END] as number;
    return true;
  }

  startRun(slot: number, run: Run): void {
    const at = slot * STRIDE;
    run.piece = (this.#rows[at + PIECE] as number) - 1;
    run.from = this.#rows[at + FROM] as number;
    run.end = this.#rows[at + END] as number;
  }

  /** Takes over where the slot's entry is, which stands `moved` bytes further on in piece `piece`. */
  moveFrom(old: Resting, slot: number, piece: number, moved: number): void {
    const at = slot * STRIDE;
    const rows = old.#rows;
    this.#set(
      slot,
      piece,
      (rows[at + FROM] as number) + moved,
      (rows[at + VALUE] as number) + moved,
      (rows[at + END] as number) + moved,
    );
  }
}

/** Entries that stand behind one another in one piece. */
interface Run {
  piece: number;
  from: number;
  end: number;
}

/** Copies entries that rest from one save to the next, neighbours at once; a whole piece in which nothing has changed becomes one of the new. */
export class Copier {
  readonly #writer: ByteWriter;
  readonly #from: Resting;
  readonly #into: Resting;
  readonly #run: Run = { piece: -1, from: 0, end: 0 };
  #slots = new Int32Array(256);
  #count = 0;

  constructor(writer: ByteWriter, from: Resting, into: Resting) {
    this.#writer = writer;
    this.#from = from;
    this.#into = into;
  }

  /** Copies the slot's entry, now or at the next `flush`; false when it does not rest. */
  take(slot: number): boolean {
    const from = this.#from;
    if (!from.has(slot)) return false;
    if (this.#count === 0 || !from.follows(slot, this.#run)) {
      this.flush();
      from.startRun(slot, this.#run);
    }
    if (this.#count === this.#slots.length) this.#slots = grown(this.#slots);
    this.#slots[this.#count++] = slot;
    return true;
  }

  /** Call before anything else is written, and before a slot taken changes. */
  flush(): void {
    if (this.#count === 0) return;
    const { from, end } = this.#run;
    const writer = this.#writer;
    const bytes = this.#from.pieces[this.#run.piece] as Uint8Array;
    const shared = from === 0 && end === bytes.length && writer.share(bytes);
    if (!shared) {
      writer.cut(end - from);
      writer.raw(bytes.subarray(from, end));
    }
    const piece = shared ? writer.piece - 1 : writer.piece;
    const moved = shared ? 0 : writer.place - end;
    for (let i = 0; i < this.#count; i++) this.#into.moveFrom(this.#from, this.#slots[i] as number, piece, moved);
    this.#count = 0;
  }
}

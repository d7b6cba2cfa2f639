import type { Slices } from "../../../core/index.js";
import type { ByteWriter } from "./bytes.js";

/** Bytes of a chunk: 2^16. Only the first one grows, by moving; a text that is longer has a chunk of its own. */
const CHUNK_BITS = 16;
const CHUNK = 1 << CHUNK_BITS;
const WITHIN = CHUNK - 1;
const FIRST = 256;
const NONE = -1;
/** What fits a double exactly. */
const PREFIX_BYTES = 6;

/**
 * Many short texts as bytes, each at a place: no object a text, so the garbage collector has nothing to walk through.
 *
 * Form:  `form` of a text is twice its length in UTF-16 units, and one more where a unit needs two bytes.
 * Space: lengths are rounded up to 4 bytes; what is freed serves the next text of that length.
 */
export class TextArena {
  readonly #chunks: Buffer[] = [Buffer.alloc(0)];
  #end = 0;
  /** First hole by length; a hole holds the place of the next. */
  readonly #holes = new Map<number, number>();
  /** Freed while texts must stay readable: places and forms in turn. */
  #waiting: number[] = [];
  #kept = false;
  /** Of the text put last. */
  form = 0;

  /** Keeps a text and returns its place; `form` tells its form. */
  put(text: string): number {
    const { length } = text;
    const place = this.#alloc(length);
    const chunk = this.#chunks[place >> CHUNK_BITS] as Buffer;
    const at = place & WITHIN;
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0xff) {
        this.free(place, length * 2);
        return this.#putWide(text);
      }
      chunk[at + i] = unit;
    }
    this.form = length * 2;
    return place;
  }

  #putWide(text: string): number {
    const { length } = text;
    const place = this.#alloc(length * 2);
    (this.#chunks[place >> CHUNK_BITS] as Buffer).write(text, place & WITHIN, "utf16le");
    this.form = length * 2 + 1;
    return place;
  }

  equals(place: number, form: number, text: string): boolean {
    const { length } = text;
    if (form >> 1 !== length) return false;
    const chunk = this.#chunks[place >> CHUNK_BITS] as Buffer;
    const at = place & WITHIN;
    if ((form & 1) === 1) return this.get(place, form) === text;
    for (let i = 0; i < length; i++) if (chunk[at + i] !== text.charCodeAt(i)) return false;
    return true;
  }

  /** Whether another arena has the same text there. */
  equalsOther(place: number, form: number, other: TextArena, otherPlace: number): boolean {
    const a = this.#chunks[place >> CHUNK_BITS] as Buffer;
    const b = other.#chunks[otherPlace >> CHUNK_BITS] as Buffer;
    const [at, otherAt, bytes] = [place & WITHIN, otherPlace & WITHIN, bytesOf(form)];
    for (let i = 0; i < bytes; i++) if (a[at + i] !== b[otherAt + i]) return false;
    return true;
  }

  /** How many bytes two texts of one byte a unit have in common at their start, no more than `most`. */
  common(place: number, form: number, otherPlace: number, otherForm: number, most: number): number {
    const a = this.#chunks[place >> CHUNK_BITS] as Buffer;
    const b = this.#chunks[otherPlace >> CHUNK_BITS] as Buffer;
    const [at, otherAt] = [place & WITHIN, otherPlace & WITHIN];
    const length = Math.min(form >> 1, otherForm >> 1, most);
    let i = 0;
    while (i < length && a[at + i] === b[otherAt + i]) i++;
    return i;
  }

  /** Six bytes of a text of one byte a unit as a number that orders as they do; zeros stand for what is beyond its end. */
  prefix(place: number, form: number, from: number): number {
    const chunk = this.#chunks[place >> CHUNK_BITS] as Buffer;
    const at = place & WITHIN;
    const end = form >> 1;
    let prefix = 0;
    for (let i = from; i < from + PREFIX_BYTES; i++) prefix = prefix * 256 + (i < end ? (chunk[at + i] as number) : 0);
    return prefix;
  }

  /** Of an empty text whatever lies there. */
  firstByte(place: number): number {
    return (this.#chunks[place >> CHUNK_BITS] as Buffer)[place & WITHIN] as number;
  }

  get(place: number, form: number): string {
    const chunk = this.#chunks[place >> CHUNK_BITS] as Slices;
    const at = place & WITHIN;
    const end = at + bytesOf(form);
    return (form & 1) === 0 ? chunk.latin1Slice(at, end) : chunk.toString("utf16le", at, end);
  }

  /** As `writer.text` of the text, mostly without making it. */
  write(writer: ByteWriter, place: number, form: number): void {
    const isNarrow = (form & 1) === 0;
    if (isNarrow && writer.ascii(this.#chunks[place >> CHUNK_BITS] as Buffer, place & WITHIN, form >> 1)) return;
    writer.text(this.get(place, form));
  }

  /** Gives the text's space to the next one, at once or when texts need stay no longer. */
  free(place: number, form: number): void {
    if (this.#kept) this.#waiting.push(place, form);
    else this.#release(place, form);
  }

  #release(place: number, form: number): void {
    const space = spaceOf(bytesOf(form));
    if (space > CHUNK) {
      this.#chunks[place >> CHUNK_BITS] = Buffer.alloc(0);
      return;
    }
    (this.#chunks[place >> CHUNK_BITS] as Buffer).writeInt32LE(this.#holes.get(space) ?? NONE, place & WITHIN);
    this.#holes.set(space, place);
  }

  /** Forgets all texts; the room of the first ones stays. */
  clear(): void {
    this.#chunks.length = 1;
    this.#end = 0;
    this.#holes.clear();
    this.#waiting = [];
    this.#kept = false;
  }

  /** While true, freed texts can still be read. */
  keep(kept: boolean): void {
    this.#kept = kept;
    if (kept) return;
    const waiting = this.#waiting;
    for (let i = 0; i < waiting.length; i += 2) this.#release(waiting[i] as number, waiting[i + 1] as number);
    this.#waiting = [];
  }

  #alloc(bytes: number): number {
    const space = spaceOf(bytes);
    const hole = this.#holes.get(space) ?? NONE;
    if (hole !== NONE) {
      this.#holes.set(space, (this.#chunks[hole >> CHUNK_BITS] as Buffer).readInt32LE(hole & WITHIN));
      return hole;
    }
    if ((this.#end & WITHIN) + space > CHUNK || (this.#end & WITHIN) === 0) this.#openChunk(space);
    else if (this.#chunks.length === 1) this.#growFirst(this.#end + space);
    const place = this.#end;
    this.#end += Math.min(space, CHUNK);
    return place;
  }

  #openChunk(space: number): void {
    if (this.#end === 0) {
      if ((this.#chunks[0] as Buffer).length < space)
        this.#chunks[0] = Buffer.alloc(space > FIRST ? Math.max(space, CHUNK) : FIRST);
      return;
    }
    this.#end = this.#chunks.length * CHUNK;
    this.#chunks.push(Buffer.alloc(Math.max(space, CHUNK)));
  }

  #growFirst(needed: number): void {
    const [first] = this.#chunks as [Buffer];
    if (needed <= first.length) return;
    const grown = Buffer.alloc(Math.max(needed, Math.min(first.length * 2, CHUNK)));
    grown.set(first);
    this.#chunks[0] = grown;
  }

  get bytes(): number {
    let bytes = 0;
    for (const chunk of this.#chunks) bytes += chunk.length;
    return bytes;
  }
}

function bytesOf(form: number): number {
  return (form & 1) === 0 ? form >> 1 : form - 1;
}

function spaceOf(bytes: number): number {
  return bytes === 0 ? 4 : (bytes + 3) & ~3;
}

const TABLE = 256;

/** Which wanted field a key of an object names: one look into a table without collisions, then one comparison. */
export class FieldNames {
  readonly #names: readonly string[];
  readonly #keys: readonly Uint8Array[];
  /** Field number + 1 by a hash of key length, first, last and middle byte; chosen so that no two fields meet. */
  readonly #table = new Uint8Array(TABLE);
  readonly #factor: number;

  /** `names` must be printable ASCII without quote and backslash, at most 255 of them. */
  constructor(names: readonly string[]) {
    this.#names = names;
    this.#keys = names.map((name) => {
      if (!/^[ !#-[\]-~]*$/.test(name)) throw new RangeError(`field ${JSON.stringify(name)} is not plain ASCII`);
      return Uint8Array.from(name, (char) => char.charCodeAt(0));
    });
    this.#factor = this.#chooseFactor();
  }

  /** The number of the field that `data[from…to)` names; -1 when none. */
  find(data: Uint8Array, from: number, to: number): number {
    const length = to - from;
    const first = length === 0 ? 0 : (data[from] as number);
    const last = length === 0 ? 0 : (data[to - 1] as number);
    const middle = length === 0 ? 0 : (data[from + (length >> 1)] as number);
    const field = (this.#table[hash(this.#factor, length, first, last, middle)] as number) - 1;
    if (field < 0) return -1;
    const key = this.#keys[field] as Uint8Array;
    if (key.length !== length) return -1;
    for (let i = 0; i < length; i++) if (key[i] !== data[from + i]) return -1;
    return field;
  }

  /** A key written with escapes, between its quotes: rare, so decoded. */
  findEscaped(data: Uint8Array, from: number, to: number): number {
    const quoted = Buffer.from(data.buffer, data.byteOffset + from - 1, to - from + 2).toString("utf8");
    return this.#names.indexOf(JSON.parse(quoted) as string);
  }

  /** Names that agree in length, first, last and middle byte cannot be told apart by any factor: those are refused. */
  #chooseFactor(): number {
    for (let factor = 1; factor < 100_000; factor += 2) {
      this.#table.fill(0);
      if (this.#keys.every((key, i) => this.#place(factor, key, i))) return factor;
    }
    throw new RangeError(`fields ${this.#names.join(", ")} cannot be told apart`);
  }

  #place(factor: number, key: Uint8Array, i: number): boolean {
    const length = key.length;
    const at = hash(factor, length, key[0] ?? 0, key[length - 1] ?? 0, key[length >> 1] ?? 0);
    if (this.#table[at] !== 0) return false;
    this.#table[at] = i + 1;
    return true;
  }
}

function hash(factor: number, length: number, first: number, last: number, middle: number): number {
  const mixed = Math.imul(length + first * 37 + last * 1009 + middle * 7919, factor * 2 + 0x9e3779b1);
  return (mixed >>> 24) & (TABLE - 1);
}

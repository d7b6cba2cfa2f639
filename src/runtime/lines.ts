/** Bytes of a slab: some hundred outputs. */
const SLAB_BYTES = 64 * 1024;
const NEWLINE = 10;

/** A text as bytes: `from` to `to` of a slab, a newline behind it. */
export interface Line {
  readonly slab: Buffer;
  readonly from: number;
  readonly to: number;
}

/** Texts as bytes behind one another: no Buffer each, and neighbours become one message without a copy. */
export class Lines {
  #slab: Buffer = Buffer.alloc(0);
  #end = 0;

  add(text: string): Line {
    const most = text.length * 3 + 1;
    if (this.#end + most > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, most));
      this.#end = 0;
    }
    const from = this.#end;
    const to = from + this.#slab.write(text, from);
    this.#slab[to] = NEWLINE;
    this.#end = to + 1;
    return { slab: this.#slab, from, to };
  }
}

/** Lines with newlines between them. At least one; no copy where they lie behind one another. */
export function joined(lines: readonly Line[]): Uint8Array {
  const runs: Buffer[] = [];
  let { slab, from, to } = lines[0] as Line;
  for (const line of lines.slice(1)) {
    if (line.slab !== slab || line.from !== to + 1) {
      runs.push(slab.subarray(from, to + 1));
      ({ slab, from } = line);
    }
    to = line.to;
  }
  const last = slab.subarray(from, to);
  return runs.length === 0 ? last : Buffer.concat([...runs, last]);
}

/**
 * Order-independent checksum of rows: the sum of a hash of each. A retraction takes its row's hash away, so what is left at the end
 * is the checksum of the rows that still hold.
 */
export class Checksum {
  sum = 0;
  rows = 0;
  /** Rows and retractions written. */
  writes = 0;

  reset(): void {
    this.sum = 0;
    this.rows = 0;
    this.writes = 0;
  }

  add(hash: number, sign: number): void {
    this.sum += sign * (hash >>> 0);
    this.rows += sign;
    this.writes++;
  }

  toString(): string {
    return `${this.rows} rows, checksum ${this.sum}`;
  }
}

/** A function that hashes the named columns of a row. Numbers count to 9 significant digits, integers exactly. */
export function rowHash<R>(columns: readonly string[]): (row: R) => number {
  const steps = columns.map((column) => `hash = mix(hash, row[${JSON.stringify(column)}]);`).join(" ");
  return new Function("mix", `return (row) => { let hash = ${columns.length}; ${steps} return hash; };`)(mix) as (
    row: R,
  ) => number;
}

function mix(hash: number, value: number | string | null | undefined): number {
  if (typeof value === "number") {
    if ((value | 0) === value) return step(hash, value);
    const exact = Number.isInteger(value) ? value : Number(value.toPrecision(9));
    return step(
      step(hash, exact % 0x1_0000_0000),
      Number.isInteger(exact) ? exact / 0x1_0000_0000 : (exact * 1e9) % 0x1_0000_0000,
    );
  }
  if (typeof value !== "string") return step(hash, 0x7fff_0001);
  let h = hash;
  for (let i = 0; i < value.length; i++) h = Math.imul(h ^ value.charCodeAt(i), 0x01000193);
  return step(h, value.length);
}

function step(hash: number, word: number): number {
  const h = Math.imul(hash ^ word, 0x85ebca6b);
  return Math.imul(h ^ (h >>> 15), 0xc2b2ae35) ^ (h >>> 13);
}

/** Scrambles 32 bits so that each input bit changes about half of the output. Source: MurmurHash3's finaliser. */
export function scramble(bits: number): number {
  let h = bits ^ (bits >>> 16);
  h = Math.imul(h, 0x85eb_ca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2_ae35);
  return h ^ (h >>> 16);
}

/** A cell number as an integer of 32 bits; cells beyond a thousand million from the origin are one. */
export function cellOf(x: number): number {
  return Math.floor(Math.min(Math.max(x, -1e9), 1e9));
}

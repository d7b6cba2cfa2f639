/**
 * Two kinds of chance, never mixed. `seeded` is published: the same seed cuts the same sample. `secret*` come from the
 * operating system, are used once while cutting and stored nowhere: pseudonyms and the time shift hang on them.
 */
import { createHash, randomInt } from "node:crypto";

/** A generator of floats in [0, 1), sfc32 seeded by the SHA-256 of `seed`. The same string gives the same numbers. */
export function seeded(seed) {
  const digest = createHash("sha256").update(seed).digest();
  let [a, b, c, d] = [0, 4, 8, 12].map((offset) => digest.readInt32LE(offset));
  return () => {
    const sum = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
}

/** Integer in [0, below). */
export const integer = (random, below) => Math.floor(random() * below);

/** One of `items`. */
export const pick = (random, items) => items[integer(random, items.length)];

/** One of `items`, from the operating system's generator. */
export const secretPick = (items) => items[randomInt(items.length)];

/** A new array in an order nobody can repeat (Fisher-Yates). */
export function secretShuffle(items) {
  const shuffled = [...items];
  for (let i = shuffled.length - 1; i > 0; i--) {
    const j = randomInt(i + 1);
    [shuffled[i], shuffled[j]] = [shuffled[j], shuffled[i]];
  }
  return shuffled;
}

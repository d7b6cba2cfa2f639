import type { ByteReader, ByteWriter } from "./bytes.js";
import { numberOption } from "./errors.js";

/**
 * Seeded uniform numbers: sfc32 (128 bits of state), the same on every machine.
 *
 * Source: PractRand's sfc32 by C. Doty-Humphrey, seeded through splitmix32.
 */
export class Random {
  private a = 0;
  private b = 0;
  private c = 0;
  private counter = 1;

  /** `seed`: any finite number; its low 32 and next 21 bits count. */
  constructor(seed: number) {
    numberOption("seed", seed, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    const mix = splitmix32(seed >>> 0);
    this.a = mix();
    this.b = (mix() ^ Math.floor(seed / 4_294_967_296)) | 0;
    this.c = mix();
    for (let i = 0; i < 12; i++) this.bits();
  }

  /** 32 random bits as a signed integer. */
  bits(): number {
    const sum = (((this.a + this.b) | 0) + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + sum;
    this.c |= 0;
    return sum;
  }

  /** Uniform in [0, 1), 53 bits. */
  next(): number {
    const high = this.bits() >>> 5;
    const low = this.bits() >>> 6;
    return (high * 67_108_864 + low) / 9_007_199_254_740_992;
  }

  /** Uniform in [0, 1), 32 bits: half the cost of `next`. */
  next32(): number {
    return (this.bits() >>> 0) / 4_294_967_296;
  }

  /** Uniform integer in [0, n). The bias for n < 2^31 is below 2^-21. */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  /** Standard normal: Box and Muller, one of the two. */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }

  /** Continues where `other` is, without disturbing it. */
  copy(other: Random): void {
    this.a = other.a;
    this.b = other.b;
    this.c = other.c;
    this.counter = other.counter;
  }

  save(to: ByteWriter): void {
    to.u32(this.a >>> 0)
      .u32(this.b >>> 0)
      .u32(this.c >>> 0)
      .u32(this.counter >>> 0);
  }

  load(from: ByteReader): void {
    this.a = from.u32() | 0;
    this.b = from.u32() | 0;
    this.c = from.u32() | 0;
    this.counter = from.u32() | 0;
  }
}

function splitmix32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e37_79b9) | 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x85eb_ca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2_ae35);
    return z ^ (z >>> 16);
  };
}

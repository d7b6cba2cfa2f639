/** test/golden/inputs.py again, number for number: golden files hold outputs only. */
export class Inputs {
  private state: number;

  constructor(seed: number) {
    this.state = seed * 7919 + 1;
  }

  below(n: number): number {
    this.state = (this.state * 48_271) % 2_147_483_647; // below 2^47: exact
    return this.state % n;
  }

  /** Roughly bell-shaped in [-2, 2). */
  real(): number {
    return (this.below(10_000) + this.below(10_000) + this.below(10_000) + this.below(10_000) - 20_000) / 10_000;
  }

  rows(n: number, d: number, kind: string): number[][] {
    const out: number[][] = [];
    for (let i = 0; i < n; i++) {
      if (kind === "lattice") out.push(Array.from({ length: d }, () => this.below(4)));
      else if (kind === "duplicates" && i % 3 !== 0) out.push([...(out[this.below(out.length)] as number[])]);
      else {
        const far = this.below(12) === 0 ? 5 : 1;
        out.push(Array.from({ length: d }, () => this.real() * far));
      }
    }
    return out;
  }
}

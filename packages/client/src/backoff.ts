/** Pauses before coming back, full jitter: anywhere between nothing and a bound that doubles, so that a crowd spreads out. */
export interface Backoff {
  /** Default 500. */
  readonly firstMs?: number;
  /** Default 30000. */
  readonly lastMs?: number;
}

/** Codes after which the answer would be the same. */
export function isFinal(closeCode: number): boolean {
  return (closeCode >= 3500 && closeCode <= 3999) || [1002, 1003, 1007, 1008, 1009].includes(closeCode);
}

/** `failures`: connections in a row that did not last; `chance` in [0, 1). */
export function pauseMs(closeCode: number, failures: number, chance: number, backoff: Backoff = {}): number {
  if (closeCode === 1001) return 1_000 + 4_000 * chance;
  if (closeCode === 3013) return 10_000 + 50_000 * chance;
  const { firstMs = 500, lastMs = 30_000 } = backoff;
  return chance * Math.min(lastMs, firstMs * 2 ** Math.min(failures, 20));
}

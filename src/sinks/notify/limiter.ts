import type { RateLimit } from "./notifier.js";

/**
 * Keeps what a receiver allows: in no window of `perMs` more than `count` attempts, counted from the attempts themselves, so it
 * holds over restarts too (they are in the log). Cost O(limits) a question; memory is the largest count.
 */
export class Limiter {
  readonly #limits: readonly RateLimit[];
  readonly #keep: number;
  /** Times of attempts, ms, oldest first. */
  readonly #attempts: number[] = [];

  constructor(limits: readonly RateLimit[]) {
    this.#limits = limits;
    this.#keep = Math.max(0, ...limits.map(({ count }) => count));
  }

  note(atMs: number): void {
    this.#attempts.push(atMs);
    if (this.#attempts.length > this.#keep) this.#attempts.shift();
  }

  /** How long to wait before the next attempt, ms; 0 when it may be now. */
  waitMs(nowMs: number): number {
    let wait = 0;
    for (const { count, perMs } of this.#limits) {
      const oldest = this.#attempts[this.#attempts.length - count];
      if (oldest !== undefined) wait = Math.max(wait, oldest + perMs - nowMs);
    }
    return wait;
  }

  /**
   * After a restart: the last attempt was written down before it was made, and may have been made as late as now.
   */
  resume(nowMs: number): void {
    if (this.#attempts.pop() !== undefined) this.#attempts.push(nowMs);
  }

  /** What a restart needs. */
  get attempts(): readonly number[] {
    return this.#attempts;
  }
}

/**
 * Of saves in steps, all those of a thread together: so long a step takes at least, and at most where the event loop's turns are long
 * because much comes and the save must get on all the same.
 */
const STEP_MS = { least: 3, most: 8 } as const;
/**
 * Rest after a step, in times of what it took: a save may take its time, what comes meanwhile may not wait. A rest by the clock, because
 * one network read after the other may wake a task in a single turn of the event loop: were each followed by a step, nothing would
 * leave and nobody else would work for tenths of a second.
 */
const REST_TIMES = 5;

/** Shares a thread's time between its tasks' work and their saves, however many of them save at the same time. Times by the monotonic clock. */
export class Pace {
  #restedMs = Number.NEGATIVE_INFINITY;

  /** Until the next step may be done, ms; 0: now. */
  waitMs(nowMs: number): number {
    return Math.max(0, Math.ceil(this.#restedMs - nowMs));
  }

  /** How long a step that is done now may take, ms. @param readyMs since when whoever does it could have */
  stepMs(nowMs: number, readyMs: number): number {
    const lateMs = nowMs - Math.max(this.#restedMs, readyMs);
    return Math.min(STEP_MS.most, STEP_MS.least + lateMs / REST_TIMES);
  }

  /** Call after a step. */
  worked(fromMs: number, toMs: number): void {
    this.#restedMs = toMs + REST_TIMES * (toMs - fromMs);
  }
}

/** Work cut into steps: whoever drives the generator may do something else between two turns. */
export type Steps<R = void> = Generator<void, R>;

/** Slots of a table looked at or merged in one step, where each takes no more than a fraction of a µs. */
export const STEP_SLOTS = 2_048;

/** Does all steps in one go. */
export function atOnce<R>(steps: Steps<R>): R {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

import type { Steps } from "../../../../src/operators/engine/state/steps.js";

/** Does all steps; returns what the last one gives, and how often there was a pause. */
export function drive<R>(steps: Steps<R>): { readonly result: R; readonly pauses: number } {
  for (let pauses = 0; ; pauses++) {
    const { done, value } = steps.next();
    if (done === true) return { result: value, pauses };
  }
}

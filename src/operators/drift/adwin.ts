import { type Adwin, type AdwinOptions, adwin } from "ml-anomaly-detection";
import { keyed } from "../keyed.js";
import type { Stateful } from "../state.js";

export interface DriftOptions {
  /** Chance of a false cut at one test. */
  readonly delta: number;
  /** Values between tests. 1: test at every value. */
  readonly clock: number;
  /** Values each side of a cut must have. */
  readonly minWindow: number;
  readonly maxKeys: number;
}

export interface Drift {
  /** The difference of the two means over its bound: above 1. */
  readonly score: number;
  readonly meanBefore: number;
  readonly meanAfter: number;
  /** Values the newer part holds. */
  readonly width: number;
}

export interface DriftWatch extends Stateful {
  /** Takes the next value of a key; what changed, when it reveals that the mean did. */
  process(key: string, timeMs: number, value: number): Drift | undefined;
}

/**
 * ADWIN per key: tells when the mean of a key's values has changed, and from what to what.
 *
 * State: O(log values) numbers a key, at most `maxKeys` keys. Cost O(1) a value, O(log values) every `clock` values.
 * Errors: AD_OPTION_INVALID and MR_OPTION_INVALID for options out of range.
 */
export function driftWatch({ maxKeys, delta, clock, minWindow }: DriftOptions): DriftWatch {
  const options: AdwinOptions = { delta, clock, minWindow, gracePeriod: 2 * minWindow };
  const states = keyed<Adwin>({
    maxKeys,
    create: () => adwin(options),
    save: (detector) => Buffer.from(detector.save()).toString("base64"),
    load(saved) {
      const detector = adwin(options);
      detector.load(Buffer.from(saved as string, "base64"));
      return detector;
    },
  });
  adwin(options); // refuses wrong options now, not at the first event

  return {
    process(key, timeMs, value) {
      const detector = states.at(key, timeMs);
      const { width, total } = detector;
      if (!detector.update(value)) return undefined;
      const dropped = width + 1 - detector.width;
      const meanBefore = (total + value - detector.total) / dropped;
      return { score: detector.score ?? 1, meanBefore, meanAfter: detector.mean, width: detector.width };
    },
    save: () => states.save(),
    load: (state) => states.load(state as ReturnType<typeof states.save>),
  };
}

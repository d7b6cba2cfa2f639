import { type Adwin, type AdwinOptions, adwin } from "ml-anomaly-detection";
import { MillraceError } from "../../core/index.js";
import { addMoment, emptyMoments, standardDeviation } from "../features/moments.js";

export interface DriftOptions {
  /** Chance of a false cut at one test. */
  readonly delta: number;
  /** Values between tests. 1: test at every value. */
  readonly clock: number;
  /** Values each side of a cut must have. */
  readonly minWindow: number;
  /**
   * Spread of the values while nothing changes, in their units; "first": that of a key's first `minWindow` values. ADWIN's bound holds
   * for values of unit size: it is deaf to smaller ones and nervous about larger ones.
   */
  readonly spread: number | "first";
}

export interface Drift {
  /** The difference of the two means over its bound: above 1. */
  readonly score: number;
  /** Mean of what the window held before its last `minWindow` values. */
  readonly meanBefore: number;
  /** Mean of the last `minWindow` values. */
  readonly meanAfter: number;
}

/** What is known of a key's values. Plain data, never changed in place. */
export interface DriftState {
  /** The detector's own bytes. */
  readonly detector: Uint8Array;
  /** What the detector counts in: (value - origin) / spread. Null while a key's first values are collected. */
  readonly unit: { readonly origin: number; readonly spread: number } | null;
  /** The last `minWindow` values, oldest first. */
  readonly recent: readonly number[];
}

export interface DriftWatch {
  /** Of a key without values. */
  readonly fresh: DriftState;
  /** Takes a key's next value; says what changed, when it reveals that the mean did. */
  next(state: DriftState, value: number): { readonly state: DriftState; readonly drift: Drift | undefined };
}

/**
 * ADWIN for the state of a process function: tells when the mean of a key's values has changed, and from what to what.
 *
 * Means:  of the newest values and of those before, not of ADWIN's two parts: it fires while most of what it keeps is still old, and
 *         the mean of that would understate the change.
 * State:  O(log values) + `minWindow` numbers a key. O(minWindow + log values) a value: the detector is read from its bytes and
 *         written again, some microseconds, so that a value can be taken back.
 * Errors: AD_OPTION_INVALID and MR_OPTION_INVALID for options out of range.
 */
export function driftWatch({ delta, clock, minWindow, spread }: DriftOptions): DriftWatch {
  const options: AdwinOptions = { delta, clock, minWindow, gracePeriod: 2 * minWindow };
  if (spread !== "first" && !(spread > 0)) {
    throw new MillraceError("MR_OPTION_INVALID", `drift needs a positive spread or "first", got ${spread}`);
  }
  const detector: Adwin = adwin(options); // at work for one key at a time
  const fresh: DriftState = {
    detector: detector.save(),
    unit: spread === "first" ? null : { origin: 0, spread },
    recent: [],
  };

  function firstUnit(state: DriftState, recent: readonly number[]): DriftState {
    const unit = unitOf(recent);
    detector.load(state.detector);
    for (const early of recent) detector.update((early - unit.origin) / unit.spread);
    return { detector: detector.save(), unit, recent };
  }

  return {
    fresh,
    next(state, value) {
      const { unit } = state;
      const recent = [...state.recent, value].slice(-minWindow);
      if (unit === null) {
        const next = recent.length < minWindow ? { ...state, recent } : firstUnit(state, recent);
        return { state: next, drift: undefined };
      }
      detector.load(state.detector);
      const inUnit = (value - unit.origin) / unit.spread;
      const began = detector.score !== undefined && detector.score > 1; // it fired last time: this value begins a new window
      const [width, total] = began ? [1, inUnit] : [detector.width + 1, detector.total + inUnit];
      const fired = detector.update(inUnit);
      const next: DriftState = { detector: detector.save(), unit, recent };
      if (!fired) return { state: next, drift: undefined };
      const newest = recent.reduce((sum, one) => sum + one, 0);
      const all = total * unit.spread + width * unit.origin;
      const meanBefore = (all - newest) / (width - recent.length);
      return { state: next, drift: { score: detector.score ?? 1, meanBefore, meanAfter: newest / recent.length } };
    },
  };
}

/** Of values that hardly vary the spread is a hundredth of their size: less is noise of the measurement. */
function unitOf(values: readonly number[]): { readonly origin: number; readonly spread: number } {
  const moments = emptyMoments();
  for (const value of values) addMoment(moments, value, 0);
  const spread = Math.max(standardDeviation(moments), 0.01 * Math.abs(moments.mean));
  return { origin: moments.mean, spread: spread > 0 ? spread : 1 };
}

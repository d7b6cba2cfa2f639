import { type Adwin, type AdwinOptions, adwin } from "ml-anomaly-detection";
import { MillraceError } from "../../core/index.js";
import { addMoment, emptyMoments, standardDeviation } from "../features/moments.js";
import { keyed } from "../keyed.js";
import type { Stateful } from "../state.js";

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
  readonly maxKeys: number;
}

export interface Drift {
  /** The difference of the two means over its bound: above 1. */
  readonly score: number;
  /** Mean of what the window held before its last `minWindow` values. */
  readonly meanBefore: number;
  /** Mean of the last `minWindow` values. */
  readonly meanAfter: number;
}

export interface DriftWatch extends Stateful {
  /** Takes the next value of a key; what changed, when it reveals that the mean did. */
  process(key: string, timeMs: number, value: number): Drift | undefined;
}

interface State {
  readonly detector: Adwin;
  /** What the detector counts in: (value - origin) / spread. Null while a key's first values are collected. */
  unit: { readonly origin: number; readonly spread: number } | null;
  /** The last `minWindow` values, oldest first. */
  recent: number[];
}

/**
 * ADWIN per key: tells when the mean of a key's values has changed, and from what to what.
 *
 * Means:  of the newest values and of those before, not of ADWIN's two parts: it fires while most of what it keeps is still old, and
 *         the mean of that would understate the change.
 * State:  O(log values) + `minWindow` numbers a key, at most `maxKeys` keys. O(minWindow) a value, O(log values) every `clock`.
 * Errors: AD_OPTION_INVALID and MR_OPTION_INVALID for options out of range.
 */
export function driftWatch({ maxKeys, delta, clock, minWindow, spread }: DriftOptions): DriftWatch {
  const options: AdwinOptions = { delta, clock, minWindow, gracePeriod: 2 * minWindow };
  if (spread !== "first" && !(spread > 0)) {
    throw new MillraceError("MR_OPTION_INVALID", `drift needs a positive spread or "first", got ${spread}`);
  }
  const create = (): State => {
    return { detector: adwin(options), unit: spread === "first" ? null : { origin: 0, spread }, recent: [] };
  };
  const states = keyed<State>({
    maxKeys,
    create,
    save: ({ detector, ...state }) => ({ ...state, detector: Buffer.from(detector.save()).toString("base64") }),
    load(saved) {
      const { detector: bytes, ...state } = saved as Omit<State, "detector"> & { detector: string };
      const { detector } = create();
      detector.load(Buffer.from(bytes, "base64"));
      return { ...state, detector };
    },
  });
  create(); // refuses wrong options now, not at the first event

  return {
    process(key, timeMs, value) {
      const state = states.at(key, timeMs);
      const { recent, unit } = state;
      recent.push(value);
      if (unit !== null) return update(state, unit, value);
      if (recent.length < minWindow) return undefined;
      const learned = unitOf(recent);
      state.unit = learned;
      for (const early of recent) state.detector.update((early - learned.origin) / learned.spread);
      return undefined;
    },
    save: () => states.save(),
    load: (state) => states.load(state as ReturnType<typeof states.save>),
  };

  function update({ detector, recent }: State, unit: NonNullable<State["unit"]>, value: number): Drift | undefined {
    if (recent.length > minWindow) recent.shift();
    const inUnit = (value - unit.origin) / unit.spread;
    const fresh = detector.score !== undefined && detector.score > 1; // it fired last time: this value begins a new window
    const [width, total] = fresh ? [1, inUnit] : [detector.width + 1, detector.total + inUnit];
    if (!detector.update(inUnit)) return undefined;
    const newest = recent.reduce((sum, one) => sum + one, 0);
    const all = total * unit.spread + width * unit.origin;
    const meanBefore = (all - newest) / (width - recent.length);
    return { score: detector.score ?? 1, meanBefore, meanAfter: newest / recent.length };
  }
}

/** Of values that hardly vary the spread is a hundredth of their size: less is noise of the measurement. */
function unitOf(values: readonly number[]): { readonly origin: number; readonly spread: number } {
  const moments = emptyMoments();
  for (const value of values) addMoment(moments, value, 0);
  const spread = Math.max(standardDeviation(moments), 0.01 * Math.abs(moments.mean));
  return { origin: moments.mean, spread: spread > 0 ? spread : 1 };
}

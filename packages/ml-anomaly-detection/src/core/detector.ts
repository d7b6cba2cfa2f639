/**
 * One observation. A number (one feature), an array of numbers in feature order, or named features.
 *
 * NaN, Infinity, `undefined` and an absent name mean "missing"; each detector documents what it puts there.
 */
export type Input = number | ArrayLike<number> | Readonly<Record<string, number | undefined>>;

/** What all stateful things here share. */
export interface Stateful {
  /** The name in saved state and tables, e.g. `"slidingLof"`. */
  readonly kind: string;
  /** The whole state. The same history gives the same bytes; `load(save())` then `save()` gives them again. */
  save(): Uint8Array;
  /** Replaces the state. Errors: AD_STATE_INVALID unless saved by the same kind with the same options; then unchanged. */
  load(bytes: Uint8Array): void;
  /** Bytes held by the state, an upper estimate; never grows past a bound set by the options. */
  memoryBytes(): number;
}

/**
 * An online anomaly detector. Higher scores are more anomalous; the range is in each detector's own text.
 *
 * Always `scoreOne(x)` before `learnOne(x)`, or `process(x)`, which does both in that order and returns the score.
 * Neither call allocates. Nothing here reads a clock or draws unseeded randomness: same input, same output, bit for bit.
 */
export interface Detector extends Stateful {
  /** Number of features it reads. */
  readonly dimensions: number;
  /** How anomalous `x` is given what was learned; `undefined` while warming up. Never changes the state. */
  scoreOne(x: Input): number | undefined;
  /** Makes `x` part of what is normal. */
  learnOne(x: Input): void;
  /** `scoreOne`, then `learnOne`. */
  process(x: Input): number | undefined;
  /**
   * Share of each feature in the score of `x`: `dimensions` numbers, >= 0, that sum to 1 (all 0 while warming up or
   * when nothing stands out). The array is reused by the next call.
   */
  explain(x: Input): Float64Array;
}

/** Watches a stream of numbers for a change of its distribution. */
export interface DriftDetector extends Stateful {
  /**
   * Takes the next number; true when it reveals a change. NaN and Infinity are ignored (false).
   * Calls do not allocate.
   */
  update(x: number): boolean;
  /** The last test's statistic divided by its threshold: above 1 exactly when that test fired; `undefined` before one. */
  readonly score: number | undefined;
  /** Numbers taken since the start or the last change. */
  readonly width: number;
}

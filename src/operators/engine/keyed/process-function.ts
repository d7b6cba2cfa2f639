import type { At } from "../topology/runtime.js";

/** What a process function may do beside returning its next state. */
export interface ProcessAt<K, O> extends At<K> {
  /** Sends a value on, under the same key and time. */
  emit(value: O): void;
  /** Calls `onTimer` when the watermark reaches `timeMs`; the same time twice is one timer. */
  setTimer(timeMs: number): void;
  cancelTimer(timeMs: number): void;
  /** Sends a value of the input to the late stream instead, and counts it. */
  late(value: unknown, lateByMs: number): void;
}

/**
 * A function of a key's state and its events. State is plain data and never changed in place: each call returns the next state,
 * or undefined to forget the key (its timers stay until cancelled).
 */
export interface ProcessFunction<K, V, S, O> {
  /** State of a key seen for the first time. */
  init(): S;
  onEvent(state: S, value: V, at: ProcessAt<K, O>): S | undefined;
  onTimer?(state: S, timeMs: number, at: ProcessAt<K, O>): S | undefined;
  /** Forgets a key so long after its latest event, by watermark, ms. `Infinity` must be said: state without end is a leak. */
  readonly ttlMs: number;
  /**
   * Keys kept at once: one more, and the key longest without an event (then the smallest) is forgotten, timers too. O(log keys) for a
   * new key at the bound. @default no bound
   */
  readonly maxKeys?: number;
}

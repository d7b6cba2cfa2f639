import { MillraceError } from "../../../core/index.js";
import { type Aggregates, type Plan, planAggregates, type Results, type WindowRow } from "../aggregates/plan.js";
import type { ProcessAt, ProcessFunction } from "../keyed/process-function.js";
import type { Key } from "../state/keys.js";

export interface PerKeyOptions {
  /** Size of the tumbling windows, ms. */
  readonly sizeMs: number;
  /** How far a key's own watermark trails its newest event, ms. */
  readonly disorderMs: number;
  /** A key's watermark is never further behind the partition's than this, ms: how long a device may store before it forwards. */
  readonly maxDelayMs: number;
}

interface Open {
  readonly startMs: number;
  readonly row: readonly number[];
}

interface State {
  readonly highestMs: number;
  /** Ascending by start. */
  readonly open: readonly Open[];
}

/**
 * Tumbling windows under a watermark of each key's own, for devices that store and forward: one that was out of reach for an hour is
 * not late when it delivers the hour, and its neighbours need not wait for it.
 *
 * Watermark: of a key, the larger of newest event − disorderMs and the partition's watermark − maxDelayMs.
 * Out:       with the event that moves the key's watermark past the end; at the latest when the partition's passes end + maxDelayMs.
 * Late:      the window has ended by the key's own watermark. State: a row a key and open window; numeric aggregates only.
 * Errors:    MR_OPTION_INVALID for an aggregate that does not fit a row of numbers.
 */
export function perKeyWindows<K extends Key, V, A extends Aggregates<V>>(
  name: string,
  { sizeMs, disorderMs, maxDelayMs }: PerKeyOptions,
  aggregates: A,
): ProcessFunction<K, V, State, WindowRow<K, Results<A>>> {
  const plan = planAggregates<V>(aggregates) as Plan<V, WindowRow<K, Results<A>>>;
  if (plan.cells.length > 0)
    throw new MillraceError("MR_OPTION_INVALID", `${name}: windows per key take aggregates of numbers only`);
  if (!(sizeMs > 0 && disorderMs >= 0 && maxDelayMs >= disorderMs)) {
    throw new MillraceError("MR_OPTION_INVALID", `${name}: needs sizeMs > 0 and 0 <= disorderMs <= maxDelayMs`);
  }
  const scratch = new Float64Array(plan.stride);
  type At = ProcessAt<K, WindowRow<K, Results<A>>>;

  function fire(state: State, markMs: number, at: At): State {
    const due = state.open.filter(({ startMs }) => startMs + sizeMs <= markMs);
    if (due.length === 0) return state;
    for (const { startMs, row } of due) {
      at.cancelTimer(startMs + sizeMs + maxDelayMs);
      scratch.set(row);
      at.emit(plan.result(scratch, 0, [], 0, at.key, startMs, startMs + sizeMs, "final", 0));
    }
    return { highestMs: state.highestMs, open: state.open.slice(due.length) };
  }

  function folded(value: V, timeMs: number, known: Open | undefined): readonly number[] {
    if (known === undefined) plan.init(scratch, 0);
    else scratch.set(known.row);
    plan.addParts(scratch, 0, value, timeMs);
    return Array.from(scratch);
  }

  return {
    ttlMs: maxDelayMs + sizeMs,
    init: () => ({ highestMs: Number.NEGATIVE_INFINITY, open: [] }),
    onEvent(state, value, at) {
      const { timeMs } = at;
      const startMs = Math.floor(timeMs / sizeMs) * sizeMs;
      const markMs = Math.max(state.highestMs - disorderMs, at.watermarkMs - maxDelayMs);
      if (startMs + sizeMs <= markMs) {
        at.late(value, markMs - startMs - sizeMs);
        return state;
      }
      const known = state.open.find((open) => open.startMs === startMs);
      if (known === undefined) at.setTimer(startMs + sizeMs + maxDelayMs);
      const others = state.open.filter((open) => open !== known);
      const open = [...others, { startMs, row: folded(value, timeMs, known) }].sort((a, b) => a.startMs - b.startMs);
      const highestMs = Math.max(state.highestMs, timeMs);
      return fire({ highestMs, open }, Math.max(highestMs - disorderMs, at.watermarkMs - maxDelayMs), at);
    },
    onTimer: (state, timeMs, at) => fire(state, timeMs - maxDelayMs, at),
  };
}

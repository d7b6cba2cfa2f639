import type { Key } from "../state/keys.js";
import type { Target } from "../topology/steps.js";
import type { ProcessFunction } from "./process-function.js";

export interface RequestOptions<V, A, O> {
  /** Names the question; the answer carries it. Values of one name that wait at the same time are one question. */
  readonly id: (value: V) => Key;
  /** The question, written to the log for whoever may wait: a solver, an HTTP worker. */
  readonly ask: Target<V>;
  /** The answer comes as a control message of this kind. `read` throws what is wrong with one: it becomes a dead letter. */
  readonly answers: {
    readonly kind: string;
    readonly read: (body: unknown) => { readonly id: Key; readonly answer: A };
  };
  /** By event time, from the value's own time. Later answers are nobody's and change nothing. */
  readonly timeoutMs: number;
  readonly answered: (value: V, answer: A) => O;
  /** What to say when no answer came in time. @default nothing */
  readonly timedOut?: (value: V) => O;
}

interface Asked<K, V> {
  readonly key: K;
  readonly value: V;
}

/** A question (`of`) or an answer, filed under what it is about. */
export type Dialogue<K, V, A> = { readonly id: Key } & (
  | { readonly of: Asked<K, V>; readonly answer?: never }
  | { readonly answer: A; readonly of?: never }
);

export interface Done<K, O> {
  readonly key: K;
  readonly result: O;
}

interface Turn<K, V, O> {
  readonly ask?: { readonly value: V };
  readonly done?: Done<K, O>;
}

type Waiting<K, V> = readonly (Asked<K, V> & { readonly untilMs: number })[];

/** What waits for one answer; see `KeyedStream.request`. */
export function dialogue<K extends Key, V, A, O>({
  timeoutMs,
  answered,
  timedOut,
}: RequestOptions<V, A, O>): ProcessFunction<Key, Dialogue<K, V, A>, Waiting<K, V>, Turn<K, V, O>> {
  return {
    ttlMs: timeoutMs,
    init: () => [],
    onEvent(waiting, said, at) {
      if (said.of !== undefined) {
        const { key, value } = said.of;
        const untilMs = at.timeMs + timeoutMs;
        at.setTimer(untilMs);
        if (waiting.length === 0) at.emit({ ask: { value } });
        return [...waiting, { key, value, untilMs }];
      }
      for (const { key, value, untilMs } of waiting) {
        at.cancelTimer(untilMs);
        at.emit({ done: { key, result: answered(value, said.answer) } });
      }
      return undefined;
    },
    onTimer(waiting, timeMs, at) {
      for (const { key, value, untilMs } of waiting)
        if (untilMs === timeMs && timedOut !== undefined) at.emit({ done: { key, result: timedOut(value) } });
      const still = waiting.filter(({ untilMs }) => untilMs !== timeMs);
      return still.length > 0 ? still : undefined;
    },
  };
}

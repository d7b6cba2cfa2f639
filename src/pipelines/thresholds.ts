import type { Key, KeyedStream, Table, Topology } from "../operators/index.js";

/** Kind of the control message, name of the table. */
export const DETECTOR = "detector";

/** What the scores of a pipeline's rules must exceed. */
export interface Thresholds<R extends string> {
  /** By rule, as alerts name it. */
  readonly defaults: Readonly<Record<R, number>>;
  /** What the log says instead. */
  readonly table: Table<Readonly<Partial<Record<R, number>>>>;
}

/** A value and what its score must exceed. */
export interface Limited<V> {
  readonly value: V;
  readonly threshold: number;
}

/**
 * The thresholds of a pipeline's detectors. A control message `<stream>.<p>._ctl.detector` such as `{"truck-unusual": 2.5}` holds from
 * its place in the log on; a rule it does not name has its default.
 */
export function thresholds<R extends string>(topology: Topology, defaults: Readonly<Record<R, number>>): Thresholds<R> {
  const table = topology.table<Readonly<Partial<Record<R, number>>>>(DETECTOR, {
    kind: DETECTOR,
    read: (body) => ({ key: DETECTOR, value: checked(body, defaults) }),
  });
  return { defaults, table };
}

/** Each value with the threshold of the rule that will judge it. */
export function limited<K extends Key, V, R extends string>(
  values: KeyedStream<K, V>,
  { defaults, table }: Thresholds<R>,
  rule: R,
): KeyedStream<K, Limited<V>> {
  return values.lookup(
    table,
    () => DETECTOR,
    (value, said) => ({ value, threshold: said?.[rule] ?? defaults[rule] }),
  );
}

/** For `score`. */
export function thresholdOf({ threshold }: Limited<unknown>): number {
  return threshold;
}

function checked<R extends string>(body: unknown, defaults: Readonly<Record<R, number>>): Partial<Record<R, number>> {
  for (const [rule, threshold] of Object.entries(body as object)) {
    if (!Object.hasOwn(defaults, rule))
      throw new TypeError(`there is no rule ${rule}; those with a threshold are ${Object.keys(defaults).join(", ")}`);
    if (typeof threshold !== "number" || !(threshold > 0) || !Number.isFinite(threshold))
      throw new TypeError(`the threshold of ${rule} must be a number above 0, got ${threshold}`);
  }
  return body as Partial<Record<R, number>>;
}

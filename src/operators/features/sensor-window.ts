import { count, custom, max, mean, min, stddev } from "../engine/index.js";
import { evidence, type Witness } from "./extremes.js";

/** The value with the latest time; of equal times the larger one, so that the order of arrival cannot decide. */
const newest = custom<Witness, { readonly value: number; readonly timeMs: number } | null, number>({
  name: "newest",
  init: () => null,
  add(newest, { value, timeMs }) {
    const isNewer = newest === null || timeMs > newest.timeMs || (timeMs === newest.timeMs && value > newest.value);
    return isNewer ? { value, timeMs } : newest;
  },
  result: (newest) => newest?.value ?? 0,
});

const numberOf = ({ value }: Witness): number => value;

/** Aggregates: level, spread and extremes of one sensor over a window, its lowest and highest readings as evidence. Units: the sensor's. */
export const sensorWindow = {
  count: count(),
  mean: mean(numberOf),
  std: stddev(numberOf),
  min: min(numberOf),
  max: max(numberOf),
  last: newest,
  evidence: evidence<Witness>((witness) => witness),
};

export type SensorValues = {
  readonly count: number;
  readonly mean: number;
  /** Of the sample (n - 1); 0 of one value. */
  readonly std: number;
  readonly min: number;
  readonly max: number;
  readonly last: number;
  readonly range: number;
};

/** The numbers of a window, for its feature. */
export function sensorValues(row: Omit<SensorValues, "range">): SensorValues {
  const { count, mean, std, min, max, last } = row;
  return { count, mean, std: count < 2 ? 0 : std, min, max, last, range: max - min };
}

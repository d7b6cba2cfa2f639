import type { Origin } from "../../core/index.js";
import type { Aggregate } from "../windows/tumbling.js";
import { addWitness, type Extremes, evidenceOf, noExtremes, type Witness } from "./extremes.js";
import { addMoment, emptyMoments, type Moments, standardDeviation } from "./moments.js";

interface Accumulator {
  readonly moments: Moments;
  readonly evidence: Extremes;
}

export interface SensorWindow {
  readonly values: {
    readonly count: number;
    readonly mean: number;
    readonly std: number;
    readonly min: number;
    readonly max: number;
    readonly last: number;
    readonly range: number;
  };
  readonly evidence: readonly Origin[];
}

/** Level, spread and extremes of one sensor over a window, with its lowest and highest readings as evidence. Units: the sensor's. */
export const sensorWindow: Aggregate<Witness, Accumulator, SensorWindow> = {
  init: () => ({ moments: emptyMoments(), evidence: noExtremes() }),
  add({ moments, evidence }, witness) {
    addMoment(moments, witness.value, witness.timeMs);
    addWitness(evidence, witness);
  },
  result({ moments, evidence }) {
    const { count, mean, min, max, last } = moments;
    const [low, high] = [min ?? 0, max ?? 0];
    const values = {
      count,
      mean,
      std: standardDeviation(moments),
      min: low,
      max: high,
      last: last ?? 0,
      range: high - low,
    };
    return { values, evidence: evidenceOf(evidence) };
  },
};

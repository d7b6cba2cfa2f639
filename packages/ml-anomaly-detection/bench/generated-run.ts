import { alarmLayer, autoDetector, eventScores } from "../src/index.js";
import { generate, type Kind } from "./generator.js";

export interface KindResult {
  /** Pooled over the seeds, after the probation. */
  readonly f1: number;
  readonly precision: number;
  readonly recall: number;
  readonly falseAlarms: number;
  /** Alarms within the probation, where there is nothing to be found: not judged, but told. */
  readonly earlyAlarms: number;
}

/** As the Numenta benchmark: the first 15 % of a series, at most 750 rows, are for getting to know it. */
function probationOf(rows: number): number {
  return Math.min(Math.floor(0.15 * rows), 750);
}

/**
 * Event scores of `autoDetector` and an alarm layer with its defaults on one kind of anomaly, pooled over seeds
 * 1..`seeds`; tolerance 12 rows (an hour). An alarm is an incident that opens.
 */
export function eventScoresOf(kind: Kind, seeds: number): KindResult {
  let [found, events, falseAlarms, earlyAlarms] = [0, 0, 0, 0];
  for (let seed = 1; seed <= seeds; seed++) {
    const { values, timesMs, truth } = generate(kind, seed);
    const detector = autoDetector();
    const layer = alarmLayer();
    const opened = Array.from(values, (value, i) => {
      const timeMs = timesMs[i] as number;
      return layer.update(detector.process(value, timeMs), timeMs)?.kind === "opened";
    });
    const probation = probationOf(values.length);
    earlyAlarms += opened.slice(0, probation).filter(Boolean).length;
    const one = eventScores(truth, opened.fill(false, 0, probation), { tolerance: 12 });
    found += one.found;
    events += one.events;
    falseAlarms += one.falseAlarms;
  }
  const precision = found / Math.max(found + falseAlarms, 1);
  const recall = found / Math.max(events, 1);
  const f1 = (2 * precision * recall) / Math.max(precision + recall, 1e-300);
  return { f1, precision, recall, falseAlarms, earlyAlarms };
}

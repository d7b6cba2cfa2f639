import { autoDetector, eventScores } from "../src/index.js";
import { generate, type Kind } from "./generator.js";

export interface KindResult {
  /** Pooled over the seeds. */
  readonly f1: number;
  readonly precision: number;
  readonly recall: number;
  readonly falseAlarms: number;
}

/** Event scores of `autoDetector` on one kind of anomaly, pooled over seeds 1..`seeds`; tolerance 12 rows (an hour). */
export function eventScoresOf(kind: Kind, seeds: number): KindResult {
  let [found, events, falseAlarms] = [0, 0, 0];
  for (let seed = 1; seed <= seeds; seed++) {
    const { values, timesMs, truth } = generate(kind, seed);
    const detector = autoDetector();
    const alarms = Array.from(values, (value, i) => (detector.process(value, timesMs[i]) ?? 0) > 0.5);
    const one = eventScores(truth, alarms, { tolerance: 12 });
    found += one.found;
    events += one.events;
    falseAlarms += one.falseAlarms;
  }
  const precision = found / Math.max(found + falseAlarms, 1);
  const recall = found / Math.max(events, 1);
  return { f1: (2 * precision * recall) / Math.max(precision + recall, 1e-300), precision, recall, falseAlarms };
}

import { writeFileSync } from "node:fs";
import { DISORDER_MS, LATE_V, WINDOW_MS } from "./topologies.js";

/** One reading of the input file, NDJSON. `late`: written behind its window's end, as the marks of the input say it. */
export interface InputEvent {
  readonly id: string;
  readonly unit: string;
  readonly ts: number;
  readonly v: number;
  readonly late: boolean;
}

/** What arrives between two ticks; the tick `{t, mark: t - DISORDER_MS}` follows when all of it is in the log. */
export interface InputStep {
  readonly events: readonly InputEvent[];
  readonly t: number;
}

const UNITS = 60;
const LATE = 0.03;
const TWICE = 0.02;
/** Long ago: the live clock, which ticks as well, never holds these times back. */
export const FIRST_MS = Date.UTC(2021, 0, 1);

/**
 * A round's input: `steps` seconds of event time from `fromMs`, out of order by up to 400 ms, 3 % late by seconds, 2 % delivered twice,
 * the second time in a later step.
 */
export function makeInput(options: {
  random: () => number;
  round: number;
  fromMs: number;
  steps: number;
  eventsPerStep: number;
}): readonly InputStep[] {
  const { random, round, fromMs, steps, eventsPerStep } = options;
  const pick = (n: number): number => Math.floor(random() * n);
  let again: InputEvent[] = [];
  return Array.from({ length: steps }, (_, step) => {
    const startMs = fromMs + step * WINDOW_MS;
    const events = Array.from({ length: eventsPerStep }, (_, i): InputEvent => {
      // The mark at this moment is startMs - DISORDER_MS: whole windows before it have been said.
      const late = random() < LATE;
      const ts = late ? startMs - 2 * WINDOW_MS - pick(4_000) : startMs - 400 + pick(WINDOW_MS + 400);
      return { id: `${round}-${step}-${i}`, unit: `u${pick(UNITS)}`, ts, v: pick(1_000) + (late ? LATE_V : 0), late };
    });
    const delivered = [...events, ...again];
    again = events.filter(() => random() < TWICE);
    return { events: delivered, t: startMs + WINDOW_MS };
  });
}

/** The file DuckDB reads: every event as delivered, duplicates included. */
export function writeInput(path: string, steps: readonly InputStep[]): number {
  const lines = steps.flatMap(({ events }) => events.map((event) => JSON.stringify(event)));
  writeFileSync(path, `${lines.join("\n")}\n`);
  return lines.length;
}

export function tickBody(t: number): Buffer {
  return Buffer.from(JSON.stringify({ source: "kill", t, mark: t - DISORDER_MS }));
}

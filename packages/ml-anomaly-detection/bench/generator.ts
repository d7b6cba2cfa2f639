/** Series with known anomalies of one kind each, for event scores that must not regress. */

export type Kind = "levelShift" | "variance" | "seasonality" | "collective" | "gradualDrift" | "missing";

export const KINDS: readonly Kind[] = [
  "levelShift",
  "variance",
  "seasonality",
  "collective",
  "gradualDrift",
  "missing",
];

export interface Generated {
  /** NaN where a reading is missing. */
  readonly values: Float64Array;
  readonly timesMs: Float64Array;
  /** 1 where the anomaly is: for lasting changes the first rows of it, within which it should be noticed. */
  readonly truth: Uint8Array;
}

const ROWS = 4032; // two weeks of five-minute readings
const STEP_MS = 300_000;
const DAY = 288;

/**
 * A daily wave (amplitude 10) with noise (deviation 1), and two anomalies of the kind in the second week.
 *
 * levelShift: 8 up, lasting; variance: noise x 5 for 60 rows; seasonality: half a day in antiphase; collective: 40 rows
 * held at the level of their first; gradualDrift: 12 up over 200 rows, lasting; missing: a third of all readings gone,
 * whole hours too, and spikes of 15 for three rows to be found nevertheless.
 */
export function generate(kind: Kind, seed: number): Generated {
  const random = mulberry(seed * 7 + KINDS.indexOf(kind));
  const normal = () => random() + random() + random() + random() + random() + random() - 3; // deviation 0.71
  const values = new Float64Array(ROWS);
  const timesMs = new Float64Array(ROWS);
  const truth = new Uint8Array(ROWS);
  const noise = Float64Array.from(values, () => normal() * Math.SQRT2);
  const wave = (i: number) => 50 + 10 * Math.sin((2 * Math.PI * i) / DAY);
  const starts = [2100 + Math.floor(random() * 700), 3100 + Math.floor(random() * 700)];
  for (let i = 0; i < ROWS; i++) {
    timesMs[i] = 1.6e12 + i * STEP_MS;
    values[i] = wave(i) + (noise[i] as number);
  }
  for (const start of starts) spoil(kind, { start, values, truth, noise, wave });
  if (kind === "missing") {
    for (let i = 0; i < ROWS; i++) if (truth[i] === 0 && random() < 0.25) values[i] = Number.NaN;
    for (let i = 0; i < ROWS; i += 150)
      if (random() < 0.5) for (let j = i; j < i + 24; j++) if (truth[j] === 0) values[j] = Number.NaN;
  }
  return { values, timesMs, truth };
}

interface Spoiling {
  start: number;
  values: Float64Array;
  truth: Uint8Array;
  noise: Float64Array;
  wave(i: number): number;
}

function spoil(kind: Kind, { start, values, truth, noise, wave }: Spoiling): void {
  const noticed = { levelShift: 50, variance: 60, seasonality: 144, collective: 40, gradualDrift: 250, missing: 3 }[
    kind
  ];
  truth.fill(1, start, start + noticed);
  for (let i = start; i < values.length; i++) {
    const into = i - start;
    const value = values[i] as number;
    if (kind === "levelShift") values[i] = value + 8;
    else if (kind === "gradualDrift") values[i] = value + Math.min(into / 200, 1) * 12;
    else if (into >= noticed) return;
    else if (kind === "variance") values[i] = wave(i) + 5 * (noise[i] as number);
    else if (kind === "seasonality") values[i] = 100 - wave(i) + (noise[i] as number);
    else if (kind === "collective") values[i] = values[start] as number;
    else values[i] = value + 15;
  }
}

function mulberry(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let z = Math.imul(state ^ (state >>> 15), 1 | state);
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z;
    return ((z ^ (z >>> 14)) >>> 0) / 4_294_967_296;
  };
}

import { calibratedScore } from "../calibration/calibrated.js";
import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Input } from "../core/detector.js";
import { FeatureReader } from "../core/features.js";
import type { AutoDetector, AutoOptions } from "./auto-detector.js";
import { Incident } from "./incident.js";
import { Season } from "./season.js";
import { Surprise } from "./surprise.js";
import { ValueMemory } from "./value-memory.js";

/** Rows over which the spread of distances and the mean are kept: two weeks of 5-minute readings. */
const MEMORY_ROWS = 4000;
/** Distinct values remembered, each view. */
const VALUES = 4096;
/** An incident lasts at most this many rows: most of a day of 5-minute readings. */
const INCIDENT_ROWS = 250;
/** Nothing is scored before: a rank among fewer says little. */
const WARM_UP_ROWS = 100;
/** Surprise, in powers of ten, at which a row is flagged. */
export const BOUNDARY = 1.8;

const DAY_MS = 86_400_000;
/** A period is believed when its median misses by less than this share of what the simpler prediction misses by. */
const PROOF = 2 / 3;

/** One season and how far rows deviate from it. */
class SeasonalView {
  readonly name: string;
  readonly season: Season;
  readonly deviations = new ValueMemory(VALUES);
  readonly surprise = new Surprise(MEMORY_ROWS);
  /** What the last look found: the deviation, NaN when nothing is usual yet, and its distance from any earlier one. */
  deviation = Number.NaN;
  distance = 0;

  constructor(name: string, periodMs: number, slots: number, depth: number) {
    this.name = name;
    this.season = new Season({ periodMs, slots, depth });
  }

  look(value: number, timeMs: number | undefined): void {
    this.deviation = timeMs === undefined ? Number.NaN : value - this.season.usual(timeMs);
    if (!Number.isNaN(this.deviation)) this.distance = this.deviations.distance(this.deviation);
  }

  learn(value: number, timeMs: number | undefined, mean: number): void {
    if (!Number.isNaN(this.deviation)) {
      this.deviations.add(this.deviation);
      this.surprise.add(this.distance);
    }
    if (timeMs !== undefined) this.season.learn(timeMs, value, mean);
  }
}

/** The detector behind `autoDetector()` for one feature; its text is there. */
export class Univariate implements AutoDetector {
  readonly kind = "autoDetector";
  readonly dimensions = 1;
  private readonly reader: FeatureReader;
  private readonly optionText: string;
  private readonly values = new ValueMemory(VALUES);
  private readonly valueSurprise = new Surprise(MEMORY_ROWS);
  // Half-hours: about five days of five-minute readings are remembered for the day, three weeks for the week.
  private readonly day = new SeasonalView("day", DAY_MS, 48, 32);
  private readonly week = new SeasonalView("week", 7 * DAY_MS, 336, 16);
  private readonly incident = new Incident(INCIDENT_ROWS);
  private readonly share = new Float64Array(1);
  private rows = 0;
  private mean = 0;
  // What the last look at a row found; recomputed by every call, so not part of the state.
  private distance = 0;
  private surprise = 0;
  private seasonal: SeasonalView | undefined;

  constructor(options: AutoOptions) {
    this.reader = new FeatureReader(options.features, true);
    this.optionText = JSON.stringify([this.reader.describe()]);
  }

  scoreOne(x: Input, timeMs?: number): number | undefined {
    const value = this.reader.read(x)[0] as number;
    if (Number.isNaN(value)) return undefined;
    this.look(value, timeMs);
    return this.score();
  }

  learnOne(x: Input, timeMs?: number): void {
    const value = this.reader.read(x)[0] as number;
    if (Number.isNaN(value)) return;
    this.look(value, timeMs);
    this.learn(value, timeMs);
  }

  process(x: Input, timeMs?: number): number | undefined {
    const value = this.reader.read(x)[0] as number;
    if (Number.isNaN(value)) return undefined;
    this.look(value, timeMs);
    const score = this.score();
    this.learn(value, timeMs);
    return score;
  }

  explain(x: Input, timeMs?: number): Float64Array {
    this.share[0] = (this.scoreOne(x, timeMs) ?? 0) > 0.5 ? 1 : 0;
    return this.share;
  }

  describe(x: Input, timeMs?: number): string {
    const value = this.reader.read(x)[0] as number;
    if (Number.isNaN(value)) return "no value";
    this.look(value, timeMs);
    if (this.rows < WARM_UP_ROWS) return `warming up: ${this.rows} of ${WARM_UP_ROWS} rows`;
    const { surprise, distance } = this;
    const odds = (share: number) => `about 1 row in ${short(1 / share)} was as far off`;
    const level = `surprise ${short(surprise)}, alarm above ${BOUNDARY}`;
    const { seasonal } = this;
    if (seasonal !== undefined)
      return `${short(value)} is ${short(seasonal.deviation)} from what is usual at this time of the ${seasonal.name}, ${short(seasonal.distance)} from any earlier deviation; ${odds(seasonal.surprise.share(seasonal.distance))} (${level})`;
    return `${short(value)} is ${short(distance)} from the nearest earlier value; ${odds(this.valueSurprise.share(distance))} (${level})`;
  }

  private look(value: number, time: number | undefined): void {
    const timeMs = isTime(time) ? time : undefined;
    this.distance = this.values.distance(value);
    this.surprise = this.valueSurprise.of(this.distance);
    this.seasonal = undefined;
    this.day.look(value, timeMs);
    this.week.look(value, timeMs);
    const view = this.proven();
    if (view === undefined || Number.isNaN(view.deviation)) return;
    const surprise = view.surprise.of(view.distance);
    if (!(surprise > this.surprise)) return;
    this.surprise = surprise;
    this.seasonal = view;
  }

  /** The period that is believed: the week only if it is as much better than the day as the day must be than the mean. */
  private proven(): SeasonalView | undefined {
    const day = this.day.season.ratio;
    const week = this.week.season.ratio;
    if (week < PROOF * Math.min(day, 1)) return this.week;
    return day < PROOF ? this.day : undefined;
  }

  private score(): number | undefined {
    if (this.rows < WARM_UP_ROWS) return undefined;
    return calibratedScore(this.incident.filter(this.surprise), BOUNDARY, BOUNDARY);
  }

  private learn(value: number, time: number | undefined): void {
    this.rows++;
    this.values.add(value);
    this.valueSurprise.add(this.distance);
    const timeMs = isTime(time) ? time : undefined;
    this.day.learn(value, timeMs, this.mean);
    this.week.learn(value, timeMs, this.mean);
    this.mean += (value - this.mean) / Math.min(this.rows, MEMORY_ROWS);
    this.incident.add(this.surprise);
  }

  memoryBytes(): number {
    return this.parts().reduce((sum, part) => sum + part.memoryBytes(), 64);
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText);
    to.f64(this.rows).f64(this.mean);
    for (const part of this.parts()) part.save(to);
    return to.done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.rows = from.f64();
    this.mean = from.f64();
    for (const part of this.parts()) part.load(from);
    from.done();
  }

  private parts() {
    const views = [this.day, this.week].flatMap((view) => [view.season, view.deviations, view.surprise]);
    return [this.values, this.valueSurprise, ...views, this.incident];
  }
}

function isTime(timeMs: number | undefined): timeMs is number {
  return timeMs !== undefined && Math.abs(timeMs) <= Number.MAX_SAFE_INTEGER;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}

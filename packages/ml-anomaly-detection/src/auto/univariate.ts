import { calibratedScore } from "../calibration/calibrated.js";
import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Input } from "../core/detector.js";
import { FeatureReader } from "../core/features.js";
import type { AutoDetector, AutoOptions } from "./auto-detector.js";
import { DailyProfile } from "./daily-profile.js";
import { Incident } from "./incident.js";
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

/** The detector behind `autoDetector()` for one feature; its text is there. */
export class Univariate implements AutoDetector {
  readonly kind = "autoDetector";
  readonly dimensions = 1;
  private readonly reader: FeatureReader;
  private readonly optionText: string;
  private readonly values = new ValueMemory(VALUES);
  private readonly valueSurprise = new Surprise(MEMORY_ROWS);
  private readonly residuals = new ValueMemory(VALUES);
  private readonly residualSurprise = new Surprise(MEMORY_ROWS);
  private readonly profile = new DailyProfile();
  private readonly incident = new Incident(INCIDENT_ROWS);
  private readonly share = new Float64Array(1);
  private rows = 0;
  private mean = 0;
  // What the last look at a row found; recomputed by every call, so not part of the state.
  private distance = 0;
  private residual = Number.NaN;
  private residualDistance = 0;
  private surprise = 0;
  private seasonal = false;

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
    if (this.seasonal)
      return `${short(value)} is ${short(this.residual)} from what is usual at this time of day, ${short(this.residualDistance)} from any earlier deviation; ${odds(this.residualSurprise.share(this.residualDistance))} (${level})`;
    return `${short(value)} is ${short(distance)} from the nearest earlier value; ${odds(this.valueSurprise.share(distance))} (${level})`;
  }

  private look(value: number, timeMs: number | undefined): void {
    this.distance = this.values.distance(value);
    this.surprise = this.valueSurprise.of(this.distance);
    this.seasonal = false;
    this.residual = isTime(timeMs) ? value - this.profile.usual(timeMs) : Number.NaN;
    if (Number.isNaN(this.residual)) return;
    this.residualDistance = this.residuals.distance(this.residual);
    if (!this.profile.proven) return;
    const surprise = this.residualSurprise.of(this.residualDistance);
    this.seasonal = surprise > this.surprise;
    if (this.seasonal) this.surprise = surprise;
  }

  private score(): number | undefined {
    if (this.rows < WARM_UP_ROWS) return undefined;
    return calibratedScore(this.incident.filter(this.surprise), BOUNDARY, BOUNDARY);
  }

  private learn(value: number, timeMs: number | undefined): void {
    this.rows++;
    this.values.add(value);
    this.valueSurprise.add(this.distance);
    if (!Number.isNaN(this.residual)) {
      this.residuals.add(this.residual);
      this.residualSurprise.add(this.residualDistance);
    }
    if (isTime(timeMs)) this.profile.learn(timeMs, value, this.mean);
    this.mean += (value - this.mean) / Math.min(this.rows, MEMORY_ROWS);
    this.incident.add(this.surprise);
  }

  memoryBytes(): number {
    const parts = [this.values, this.residuals, this.valueSurprise, this.residualSurprise, this.profile, this.incident];
    return parts.reduce((sum, part) => sum + part.memoryBytes(), 64);
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
    return [this.values, this.valueSurprise, this.residuals, this.residualSurprise, this.profile, this.incident];
  }
}

function isTime(timeMs: number | undefined): timeMs is number {
  return timeMs !== undefined && Math.abs(timeMs) <= Number.MAX_SAFE_INTEGER;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}

import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Stateful } from "../core/detector.js";
import { AnomalyError, integerOption, numberOption } from "../core/errors.js";

export interface AlarmOptions {
  /** An incident ends when the score stays at or below this; at most 0.5. @default 0.5 */
  clear?: number;
  /** ... for this long, in ms. Also how long after its end a new flagged row still belongs to it. @default 600,000 */
  quietMs?: number;
  /** Calibrated scores, rising and above 0.5, at which severity goes from 0 to 1, 2, ... @default [0.7, 0.85] */
  severities?: readonly number[];
  /** At most this many new incidents in any 24 h; Infinity: no limit. @default Infinity */
  budgetPerDay?: number;
}

/** What a score meant. */
export interface AlarmEvent {
  /** A new incident, one that became more severe, or one that ended. */
  readonly kind: "opened" | "raised" | "closed";
  /** Counts incidents from 1. */
  readonly incident: number;
  readonly severity: number;
  readonly startMs: number;
  /** When this was said. For `closed`, the last flagged row was `quietMs` or more before. */
  readonly timeMs: number;
  /** Highest calibrated score so far. */
  readonly peak: number;
}

/** From a stream of calibrated scores to what a person is told: see `alarmLayer`. */
export interface AlarmLayer extends Stateful {
  /** Takes the score of a row (`undefined`: warming up, missing) and its time; time never steps back (it is held). */
  update(score: number | undefined, timeMs: number): AlarmEvent | undefined;
  /** A person says incident `n` was no anomaly: the boundary moves half-way up to its peak. Unknown numbers: false. */
  markFalse(incident: number): boolean;
  /** A person says incident `n` was right: the boundary moves half-way back to 0.5. Unknown numbers: false. */
  markTrue(incident: number): boolean;
  /** A calibrated score above it is an alarm: 0.5, or more after `markFalse`. */
  readonly boundary: number;
  /** Incidents the budget kept silent. */
  readonly suppressed: number;
  /** Incident in course, 0 when there is none. */
  readonly open: number;
}

const DAY_MS = 86_400_000;
/** Incidents that can still be judged. */
const JUDGED = 64;

/**
 * One alarm per incident. It opens on the first row above the boundary, speaks again only when it becomes more severe,
 * and closes after `quietMs` without a score above `clear`; a flagged row within `quietMs` of the end reopens it in silence.
 *
 * Budget: with `budgetPerDay` spent in the last 24 h a new incident stays silent and is counted in `suppressed`.
 * State:  64 judged incidents and `budgetPerDay` times. O(1) a row.
 * Errors: AD_OPTION_INVALID, AD_STATE_INVALID.
 */
export function alarmLayer(options: AlarmOptions = {}): AlarmLayer {
  return new Alarms(options);
}

class Alarms implements AlarmLayer {
  readonly kind = "alarmLayer";
  boundary = 0.5;
  suppressed = 0;
  private readonly clear: number;
  private readonly quietMs: number;
  private readonly severities: readonly number[];
  private readonly budget: number;
  private readonly optionText: string;
  /** "closed": nothing; "open": told; "silent": in course, but kept quiet by the budget. */
  private state: 0 | 1 | 2 = 0;
  private count = 0;
  private nowMs = Number.NEGATIVE_INFINITY;
  private startMs = 0;
  /** Last row of the incident that was above `clear`; after its end, when it ended. */
  private lastMs = Number.NEGATIVE_INFINITY;
  private peak = 0;
  private severity = 0;
  /** Peaks of the last incidents told, by number modulo JUDGED. */
  private readonly peaks = new Float64Array(JUDGED);
  /** Times of the last `budget` openings, a ring. */
  private readonly spent: Float64Array;
  private spentCount = 0;

  constructor(options: AlarmOptions) {
    this.clear = numberOption("clear", options.clear ?? 0.5, 0, 0.5);
    this.quietMs = numberOption("quietMs", options.quietMs ?? 600_000, 0);
    this.severities = [...(options.severities ?? [0.7, 0.85])];
    this.severities.forEach((level, i) => {
      if (!(level > (this.severities[i - 1] ?? 0.5) && level < 1))
        throw new AnomalyError("AD_OPTION_INVALID", `severities must rise within (0.5, 1), got ${this.severities}`);
    });
    this.budget = options.budgetPerDay ?? Number.POSITIVE_INFINITY;
    if (this.budget !== Number.POSITIVE_INFINITY) integerOption("budgetPerDay", this.budget, 1, 1_000_000);
    this.spent = new Float64Array(Number.isFinite(this.budget) ? this.budget : 0);
    this.optionText = JSON.stringify([this.clear, this.quietMs, this.severities, String(this.budget)]);
  }

  get open(): number {
    return this.state === 1 ? this.count : 0;
  }

  update(score: number | undefined, timeMs: number): AlarmEvent | undefined {
    if (timeMs > this.nowMs) this.nowMs = timeMs;
    const now = this.nowMs;
    if (this.state !== 0 && now - this.lastMs >= this.quietMs && !(score !== undefined && score > this.clear))
      return this.close();
    if (score === undefined) return undefined;
    if (this.state !== 0) return this.goOn(score, now);
    return score > this.boundary ? this.begin(score, now) : undefined;
  }

  private begin(score: number, now: number): AlarmEvent | undefined {
    const reopens = this.count > 0 && now - this.lastMs < this.quietMs;
    this.lastMs = now;
    if (reopens) {
      this.state = 1;
      return this.goOn(score, now);
    }
    this.startMs = now;
    this.peak = score;
    this.severity = this.severityOf(score);
    if (!this.afford(now)) {
      this.state = 2;
      this.suppressed++;
      return undefined;
    }
    this.state = 1;
    this.count++;
    this.peaks[this.count % JUDGED] = score;
    return this.event("opened");
  }

  private goOn(score: number, now: number): AlarmEvent | undefined {
    if (score > this.clear) this.lastMs = now;
    if (score > this.peak) {
      this.peak = score;
      if (this.state === 1) this.peaks[this.count % JUDGED] = score;
    }
    const severity = this.severityOf(this.peak);
    if (severity <= this.severity) return undefined;
    this.severity = severity;
    return this.state === 1 ? this.event("raised") : undefined;
  }

  private close(): AlarmEvent | undefined {
    const told = this.state === 1;
    this.state = 0;
    this.lastMs = told ? this.nowMs : Number.NEGATIVE_INFINITY;
    return told ? this.event("closed") : undefined;
  }

  /** Whether the budget allows one more opening; if so it is spent. */
  private afford(now: number): boolean {
    if (this.spent.length === 0) return true;
    const slot = this.spentCount % this.spent.length;
    const oldest = this.spentCount < this.spent.length ? Number.NEGATIVE_INFINITY : (this.spent[slot] as number);
    if (now - oldest < DAY_MS) return false;
    this.spent[slot] = now;
    this.spentCount++;
    return true;
  }

  private severityOf(score: number): number {
    let severity = 0;
    while (severity < this.severities.length && score > (this.severities[severity] as number)) severity++;
    return severity;
  }

  private event(kind: AlarmEvent["kind"]): AlarmEvent {
    const { count, severity, startMs, nowMs, peak } = this;
    return { kind, incident: count, severity, startMs, timeMs: nowMs, peak };
  }

  markFalse(incident: number): boolean {
    if (!this.knows(incident)) return false;
    const peak = this.peaks[incident % JUDGED] as number;
    if (peak > this.boundary) this.boundary += (peak - this.boundary) / 2;
    return true;
  }

  markTrue(incident: number): boolean {
    if (!this.knows(incident)) return false;
    this.boundary += (0.5 - this.boundary) / 2;
    return true;
  }

  private knows(incident: number): boolean {
    return Number.isInteger(incident) && incident >= 1 && incident <= this.count && incident > this.count - JUDGED;
  }

  memoryBytes(): number {
    return this.peaks.byteLength + this.spent.byteLength + 128;
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText);
    to.f64(this.boundary).f64(this.suppressed).u32(this.state).f64(this.count).f64(this.nowMs).f64(this.startMs);
    to.f64(this.lastMs).f64(this.peak).u32(this.severity).f64(this.spentCount);
    return to.f64s(this.peaks).f64s(this.spent).done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    this.boundary = from.f64();
    this.suppressed = from.f64();
    this.state = from.u32() as 0 | 1 | 2;
    this.count = from.f64();
    this.nowMs = from.f64();
    this.startMs = from.f64();
    this.lastMs = from.f64();
    this.peak = from.f64();
    this.severity = from.u32();
    this.spentCount = from.f64();
    from.f64s(this.peaks);
    from.f64s(this.spent);
    from.done();
  }
}

import {
  type Clock,
  formatTime,
  isMillraceError,
  type Logger,
  type Program,
  type StepwiseSave,
} from "../core/index.js";
import type { Pace } from "./pace.js";
import type { Snapshots } from "./snapshots.js";

/** How often a task's state is saved: a restart reads again at most so much, or what came in the longer time. */
export interface SnapshotIntervals {
  /** Messages, or events of larger ones. */
  readonly messages: number;
  /** When at least so many came since the last one. */
  readonly busyMs: number;
  /** When fewer came, but some. */
  readonly quietMs: number;
}

export const SNAPSHOT_INTERVALS: SnapshotIntervals = { messages: 5_000, busyMs: 10_000, quietMs: 60_000 };
export interface SavingOptions {
  readonly task: string;
  readonly program: Program;
  readonly snapshots: Snapshots;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly intervals: SnapshotIntervals;
  readonly pace: Pace;
  /** Resolves once every output up to this input message is in the log; rejects when it never will be. */
  readonly acknowledged: (sequence: number) => Promise<void>;
  /** Called when the next steps can be done, and when a commit has ended or has failed for good. */
  readonly onChange: () => void;
}

/**
 * Saves a task's state now and then, beside its work: a cut is fixed between two messages, its bytes are made in steps between slices
 * of messages, stored in the background, and committed when every output up to the cut is in the log.
 *
 * Errors (`failure`): MR_FENCED. A log that is away or full costs this snapshot; the next one is due as usual.
 */
export class Saving {
  readonly #options: SavingOptions;
  #save: { readonly sequence: number; readonly watermarkMs: number | null; readonly steps: StepwiseSave } | undefined;
  #resting = false;
  /** Since when the next step of the save could be done. */
  #readyMs = 0;
  #committing: Promise<void> | undefined;
  #savedMs: number;
  #unsaved = 0;
  /** Events the saved state had received. */
  #savedEvents: number;
  /** Position of the newest committed snapshot. */
  sequence: number;
  failure: unknown;

  constructor(options: SavingOptions, sequence: number) {
    this.#options = options;
    this.#savedMs = options.clock.monotonicMs();
    this.#savedEvents = options.program.counters().received;
    this.sequence = sequence;
  }

  /** Call between slices, with how many messages the last one had and how far all are applied. */
  turn(messages: number, applied: number): void {
    this.#unsaved += messages;
    if (this.#resting) return;
    if (this.#save !== undefined) this.#step();
    else if (this.dueMs() <= 0 && this.#committing === undefined) this.#cut(applied);
  }

  /** When to call `turn` although nothing came, ms from now. */
  dueMs(): number {
    if (this.#save !== undefined) return this.#resting ? Number.POSITIVE_INFINITY : 0;
    if (this.#committing !== undefined || this.#unsaved === 0) return Number.POSITIVE_INFINITY;
    const { intervals, clock, program } = this.#options;
    const unsaved = Math.max(this.#unsaved, program.counters().received - this.#savedEvents);
    const everyMs = unsaved < intervals.messages ? intervals.quietMs : intervals.busyMs;
    return Math.max(0, this.#savedMs + everyMs - clock.monotonicMs());
  }

  /** The last snapshot, of everything applied: for a stop. */
  async finish(applied: number): Promise<void> {
    this.#save = undefined;
    await this.#committing;
    if (this.failure !== undefined) throw this.failure;
    if (applied === this.sequence) return;
    const { program } = this.#options;
    await this.#store(applied, watermarkOf(program), program.saveParts?.() ?? [program.save()]);
  }

  /** Resolves when nothing is under way any more. Does not throw. */
  async settled(): Promise<void> {
    this.#save = undefined;
    await this.#committing;
  }

  #cut(applied: number): void {
    const { program } = this.#options;
    const steps = program.beginSave?.() ?? whole(program.save());
    this.#save = { sequence: applied, watermarkMs: watermarkOf(program), steps };
    this.#unsaved = 0;
    this.#savedEvents = program.counters().received;
    this.#readyMs = this.#options.clock.monotonicMs();
    this.#step();
  }

  #step(): void {
    if (this.#save === undefined) return;
    const { clock, pace, onChange } = this.#options;
    const { sequence, watermarkMs, steps } = this.#save;
    const startedMs = clock.monotonicMs();
    const waitMs = pace.waitMs(startedMs);
    if (waitMs > 0) return this.#rest(waitMs);
    const forMs = pace.stepMs(startedMs, this.#readyMs);
    let done = steps.step();
    while (!done && clock.monotonicMs() - startedMs < forMs) done = steps.step();
    const endedMs = clock.monotonicMs();
    pace.worked(startedMs, endedMs);
    if (!done) return this.#rest(pace.waitMs(endedMs));
    this.#save = undefined;
    this.#committing = this.#store(sequence, watermarkMs, steps.parts)
      .catch((error: unknown) => {
        if (isMillraceError(error) && error.disposition === "retry")
          this.#options.logger.warn(
            { task: this.#options.task, err: error },
            "snapshot not stored, the next one will be",
          );
        else this.failure = error;
      })
      .finally(() => {
        this.#committing = undefined;
        this.#savedMs = clock.monotonicMs();
        onChange();
      });
  }

  #rest(ms: number): void {
    const { clock, onChange } = this.#options;
    this.#resting = true;
    void clock.sleep(ms).then(() => {
      this.#resting = false;
      this.#readyMs = clock.monotonicMs();
      onChange();
    });
  }

  async #store(sequence: number, watermarkMs: number | null, parts: readonly Uint8Array[]): Promise<void> {
    const { snapshots, acknowledged, clock, task, logger } = this.#options;
    const object = await snapshots.store(sequence, parts);
    await acknowledged(sequence);
    await snapshots.commit({ sequence, object, watermarkMs, savedMs: clock.nowMs() });
    this.sequence = sequence;
    const watermark = watermarkMs === null || watermarkMs < 0 ? null : formatTime(watermarkMs);
    logger.debug({ task, position: sequence, watermark }, "snapshot committed");
  }
}

function watermarkOf(program: Program): number | null {
  return program.watermarkMs() ?? null;
}

/** A save that was made at once. */
function whole(bytes: Uint8Array): StepwiseSave {
  return { step: () => true, parts: [bytes] };
}

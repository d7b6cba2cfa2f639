import {
  type Clock,
  type Counters,
  formatTime,
  type Inference,
  isMillraceError,
  type Lease,
  type Log,
  type Logger,
  type LogMessage,
  MillraceError,
  type Objects,
  type Pipeline,
  type Program,
  type Registers,
  type StreamInfo,
} from "../core/index.js";
import { OutputWriter } from "./outputs.js";
import { programHash, type Restored, Snapshots } from "./snapshots.js";

/** Messages applied between two flushes: enough to fill batches, few enough that an alert waits for little. */
const SLICE_MESSAGES = 512;
/**
 * How long outputs wait for company, and how many may wait. The server stages each atomic batch on disk with three syncs: about
 * 500 batches a second over all tasks and streams is what it does, whatever their size. Alerts and plans do not wait.
 */
const LINGER_MS = 100;
const LINGER_OUTPUTS = 900;
/** A restart reads again at most this many messages, or what came in the longer time. */
const SNAPSHOT_MESSAGES = 5_000;
const SNAPSHOT_EVERY_MS = { busy: 5_000, quiet: 60_000 } as const;
const RETRY_FIRST_MS = 250;
const RETRY_LAST_MS = 15_000;

export interface TaskOptions {
  readonly pipeline: Pipeline;
  readonly partition: number;
  readonly partitions: number;
  readonly log: Log;
  readonly objects: Objects;
  readonly registers: Registers;
  readonly inference: Inference;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface TaskStatus {
  readonly task: string;
  readonly pipeline: string;
  /** The stream it reads. */
  readonly source: string;
  readonly partition: number;
  readonly state: "starting" | "running" | "failed" | "fenced" | "stopped";
  /** Why it failed, until it runs again. */
  readonly reason: string | null;
  readonly position: number;
  readonly watermarkMs: number | null;
  readonly counters: Counters;
  readonly snapshotAt: number;
}

const NOTHING_COUNTED: Counters = { received: 0, duplicates: 0, deadLettered: 0, late: 0, accepted: 0 };

/**
 * Runs one partition of one pipeline: reads by position, applies the program, writes the outputs exactly once, saves snapshots.
 *
 * A failure discards the program's state and starts again from the newest snapshot, with growing pauses; other partitions go on.
 * A task that another process took over stops (`fenced`).
 */
export class Task {
  readonly name: string;
  readonly #options: TaskOptions;
  #state: TaskStatus["state"] = "starting";
  #reason: string | null = null;
  #position = 0;
  #snapshotAt = 0;
  #program: Program | undefined;

  constructor(options: TaskOptions) {
    this.#options = options;
    this.name = `${options.pipeline.name}/${options.partition}`;
  }

  status(): TaskStatus {
    const { pipeline, partition } = this.#options;
    return {
      task: this.name,
      pipeline: pipeline.name,
      source: pipeline.source,
      partition,
      state: this.#state,
      reason: this.#reason,
      position: this.#position,
      watermarkMs: this.#program?.watermarkMs() ?? null,
      counters: this.#program?.counters() ?? NOTHING_COUNTED,
      snapshotAt: this.#snapshotAt,
    };
  }

  /** Resolves when `signal` aborts (after a last snapshot), the lease is lost or another process takes the task over. */
  async run(lease: Lease, signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    let pauseMs = RETRY_FIRST_MS;
    while (!signal.aborted) {
      const startedMs = clock.nowMs();
      try {
        await this.#runOnce(lease, signal);
        this.#state = "stopped";
        return;
      } catch (error) {
        this.#reason = error instanceof Error ? error.message : String(error);
        if (isMillraceError(error, "MR_FENCED")) {
          this.#state = "fenced";
          logger.warn({ task: this.name, err: error }, "task taken over by another process");
          return;
        }
        if (signal.aborted) return;
        this.#state = "failed";
        if (clock.nowMs() - startedMs > RETRY_LAST_MS) pauseMs = RETRY_FIRST_MS;
        logger.error(
          { task: this.name, err: error, retryInMs: pauseMs },
          "task failed, starting again from its snapshot",
        );
        await clock.sleep(pauseMs, signal);
        pauseMs = Math.min(pauseMs * 2, RETRY_LAST_MS);
      }
    }
  }

  async #runOnce(lease: Lease, signal: AbortSignal): Promise<void> {
    const { pipeline, partition, partitions, log } = this.#options;
    {
      const source = await log.info(pipeline.source);
      const identity = { task: this.name, incarnation: source.incarnation, program: programHash(pipeline, partitions) };
      const { snapshots, restored } = await Snapshots.takeOver(this.#options, identity, lease.epoch);
      checkLog(this.name, source, restored);
      const program = this.#restore(restored);
      const prefix = `${source.incarnation}/${pipeline.name}/${partition}`;
      const writer = await OutputWriter.open(log, this.name, prefix, pipeline.writes);
      const subjects = [`${pipeline.source}.${partition}.>`];
      const reader = await log.read({ stream: pipeline.source, subjects, fromSequence: restored.sequence + 1 });
      const stop = (): void => void reader.close();
      signal.addEventListener("abort", stop, { once: true });
      lease.lost.addEventListener("abort", stop, { once: true });
      this.#state = "running";
      this.#reason = null;
      try {
        await this.#loop(program, writer, snapshots, () =>
          signal.aborted || lease.lost.aborted ? undefined : reader.next(SLICE_MESSAGES),
        );
        if (lease.lost.aborted) throw new MillraceError("MR_FENCED", `${this.name}: its lease was taken over`);
        if (this.#position > this.#snapshotAt) await this.#commit(program, snapshots);
      } finally {
        signal.removeEventListener("abort", stop);
        lease.lost.removeEventListener("abort", stop);
        await reader.close();
      }
    }
  }

  #restore(restored: Restored): Program {
    const { pipeline, partition, partitions, inference } = this.#options;
    const program = pipeline.create({ task: this.name, partition, partitions, inference });
    if (restored.state) program.load(restored.state);
    this.#program = program;
    this.#position = restored.sequence;
    this.#snapshotAt = restored.sequence;
    return program;
  }

  async #loop(
    program: Program,
    writer: OutputWriter,
    snapshots: Snapshots,
    next: () => Promise<readonly LogMessage[]> | undefined,
  ): Promise<void> {
    const { clock } = this.#options;
    const emit = writer.add.bind(writer);
    let savedMs = clock.nowMs();
    let unsaved = 0;
    let applied = this.#position;
    let waiting: Promise<readonly LogMessage[]> | undefined;
    let flushAtMs = Number.POSITIVE_INFINITY;
    const flush = async (): Promise<void> => {
      await writer.flush();
      flushAtMs = Number.POSITIVE_INFINITY;
      this.#position = applied;
    };
    for (;;) {
      waiting ??= next();
      if (waiting === undefined) break;
      waiting.catch(() => undefined); // awaited above or below, unless a flush fails first
      const messages = await withinMs(clock, waiting, flushAtMs - clock.nowMs());
      if (messages === undefined) {
        await flush();
        continue;
      }
      waiting = undefined;
      if (messages.length === 0) break;
      const ahead = program.lookAhead ? await program.lookAhead(messages) : [];
      for (const [i, message] of messages.entries()) {
        writer.begin(message.sequence);
        program.apply(message, ahead[i], emit);
        applied = message.sequence;
      }
      await writer.flushUrgent();
      if (writer.pending >= LINGER_OUTPUTS || clock.nowMs() >= flushAtMs) await flush();
      else if (writer.pending === 0) this.#position = applied;
      else flushAtMs = Math.min(flushAtMs, clock.nowMs() + LINGER_MS);
      unsaved += messages.length;
      const everyMs = unsaved < SNAPSHOT_MESSAGES ? SNAPSHOT_EVERY_MS.quiet : SNAPSHOT_EVERY_MS.busy;
      if (clock.nowMs() - savedMs < everyMs) continue;
      await flush();
      await this.#commit(program, snapshots);
      savedMs = clock.nowMs();
      unsaved = 0;
    }
    await flush();
  }

  async #commit(program: Program, snapshots: Snapshots): Promise<void> {
    await snapshots.commit(this.#position, program.save());
    this.#snapshotAt = this.#position;
    const watermarkMs = program.watermarkMs();
    const watermark = watermarkMs === undefined || watermarkMs < 0 ? null : formatTime(watermarkMs);
    this.#options.logger.debug({ task: this.name, position: this.#position, watermark }, "snapshot committed");
  }
}

/** What `work` resolves with, or undefined if it takes longer; at once when `ms` is not positive. Infinity waits for ever. */
async function withinMs<T>(clock: Clock, work: Promise<T>, ms: number): Promise<T | undefined> {
  if (ms === Number.POSITIVE_INFINITY) return work;
  const over = new AbortController();
  try {
    return await Promise.race([work, clock.sleep(Math.max(0, ms), over.signal).then(() => undefined)]);
  } finally {
    over.abort();
  }
}

/** The broker skips silently what it no longer has; a task must not. */
function checkLog(task: string, source: StreamInfo, { sequence }: Restored): void {
  if (source.lastSequence < sequence) {
    const message = `${task}: broker lost acknowledged data: ${source.name} ends at ${source.lastSequence}, ${sequence} was processed`;
    throw new MillraceError("MR_LOG_LOST_DATA", message);
  }
  if (source.firstSequence > sequence + 1) {
    const message = `${task}: log truncated: ${source.name} starts at ${source.firstSequence}, ${sequence + 1} is next`;
    throw new MillraceError("MR_LOG_TRUNCATED", message);
  }
}

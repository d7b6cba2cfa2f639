import {
  type Clock,
  type Counters,
  type Inference,
  isMillraceError,
  type Lease,
  type Log,
  type Logger,
  MillraceError,
  type Objects,
  type Pipeline,
  type Program,
  type Registers,
  reasonOf,
  type StreamInfo,
} from "../core/index.js";
import { OutputWriter } from "./outputs.js";
import { Pace } from "./pace.js";
import { readPartition } from "./partition.js";
import { programHash, readPointer } from "./pointer.js";
import { Run } from "./run.js";
import { SNAPSHOT_INTERVALS, type SnapshotIntervals } from "./saving.js";
import { type Restored, Snapshots } from "./snapshots.js";

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
  /** @default after 10 s with 5,000 messages or events, after 60 s with fewer */
  readonly snapshotEvery?: SnapshotIntervals;
  /** One for all tasks of a thread. @default its own */
  readonly pace?: Pace;
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
 * A failure discards the program's state and starts again from the newest snapshot; pauses grow for as long as it comes no further.
 * Other partitions go on. A task that another process took over stops (`fenced`).
 */
export class Task {
  readonly name: string;
  readonly #options: TaskOptions;
  #state: TaskStatus["state"] = "starting";
  #reason: string | null = null;
  #run: Run | undefined;
  #program: Program | undefined;
  /** Where the last life ended, and the farthest any has come. */
  #position = 0;
  #snapshotAt = 0;

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
      position: this.#run?.position ?? this.#position,
      watermarkMs: this.#program?.watermarkMs() ?? null,
      counters: this.#program?.counters() ?? NOTHING_COUNTED,
      snapshotAt: this.#run?.snapshotAt ?? this.#snapshotAt,
    };
  }

  /** Resolves when `signal` aborts (after a last snapshot), the lease is lost or another process takes the task over. */
  async run(lease: Lease, signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    let pauseMs = RETRY_FIRST_MS;
    let farthest = 0;
    this.#state = "starting";
    while (!signal.aborted) {
      try {
        await this.#live(lease, signal);
        break;
      } catch (error) {
        this.#reason = reasonOf(error);
        if (lease.lost.aborted || isMillraceError(error, "MR_FENCED")) {
          this.#state = "fenced";
          logger.warn({ task: this.name, err: error }, "task taken over by another process");
          return;
        }
        if (signal.aborted) break;
        this.#state = "failed";
        if (this.#position > farthest) pauseMs = RETRY_FIRST_MS;
        farthest = Math.max(farthest, this.#position);
        logger.error(
          { task: this.name, err: error, retryInMs: pauseMs },
          "task failed, starting again from its snapshot",
        );
        await clock.sleep(pauseMs, signal);
        pauseMs = Math.min(pauseMs * 2, RETRY_LAST_MS);
      }
    }
    this.#state = lease.lost.aborted ? "fenced" : "stopped";
  }

  /** From the snapshot to the end. */
  async #live(lease: Lease, signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    const begunMs = clock.monotonicMs();
    logger.info({ task: this.name, epoch: lease.epoch }, "task starting");
    const run = await this.#open(lease, signal);
    this.#run = run;
    this.#state = "running";
    this.#reason = null;
    logger.info({ task: this.name, from: run.position, ms: Math.round(clock.monotonicMs() - begunMs) }, "task running");
    try {
      await run.run();
    } finally {
      this.#position = run.position;
      this.#snapshotAt = run.snapshotAt;
      this.#run = undefined;
    }
  }

  async #open(lease: Lease, signal: AbortSignal): Promise<Run> {
    const { pipeline, partition, partitions, log, clock, logger } = this.#options;
    const source = await log.info(pipeline.source);
    const { incarnation, former = [] } = source;
    const { epoch } = lease;
    const identity = { task: this.name, incarnation, former, program: programHash(pipeline, partitions) };
    checkLayout(this.name, source, partitions);
    await this.#checkUnknown(source);
    const snapshots = await Snapshots.takeOver(this.#options, identity, epoch);
    const restored = await snapshots.restore();
    checkLog(this.name, source, restored);
    const program = this.#load(restored);
    /** Who slept while the log was wiped has an epoch like any other, and must neither take nor remove what is of the new one. */
    const checkSource = async (): Promise<void> => {
      const now = await log.info(pipeline.source);
      if (now.incarnation === incarnation) return;
      const change = `${pipeline.source} was ${incarnation} when ${this.name} began, now it is ${now.incarnation}`;
      throw new MillraceError("MR_LOG_LOST_DATA", `broker lost acknowledged data: ${change}`);
    };
    const prefix = `${incarnation}/${pipeline.name}/${partition}`;
    const { name: task } = this;
    const run = await Run.open({
      task,
      source: pipeline.source,
      openReader: (fromSequence) =>
        readPartition(log, { ...source, stream: pipeline.source, partition, partitions, fromSequence }),
      clock,
      logger,
      lease,
      program,
      snapshots,
      intervals: this.#options.snapshotEvery ?? SNAPSHOT_INTERVALS,
      pace: this.#options.pace ?? new Pace(),
      sequence: restored.sequence,
      signal,
      openWriter: (onChange) => {
        const streams = pipeline.writes;
        const identity = { task, incarnation, epoch, prefix, checkSource };
        return OutputWriter.open({ log, clock, ...identity, streams, signal, onChange });
      },
    });
    if (restored.isNewProgram) {
      const at = run.writer.markers();
      await snapshots.recordBorder(pipeline.version, restored.sequence, at);
      logger.info(
        { task, version: pipeline.version, from: restored.sequence, at },
        "another program goes on from here",
      );
    }
    await snapshots.removeOrphans(checkSource);
    return run;
  }

  /** A task that has written before, but whose pointer is gone, begins at the log's start: that must still be there. */
  async #checkUnknown({ name, firstSequence, incarnation }: StreamInfo): Promise<void> {
    const { log, registers, pipeline } = this.#options;
    if (firstSequence <= 1 || (await readPointer(registers, this.name)).pointer !== undefined) return;
    for (const stream of pipeline.writes) {
      const marker = await log.readMarker(stream, this.name);
      if (marker !== undefined && marker.sequence > 0 && marker.incarnation === incarnation)
        throw truncated(this.name, name, firstSequence, 1);
    }
  }

  #load({ state, sequence, isNewProgram }: Restored): Program {
    const { pipeline, partition, partitions, inference } = this.#options;
    const program = pipeline.create({ task: this.name, partition, partitions, inference });
    try {
      if (state) program.load(state);
    } catch (error) {
      if (!isMillraceError(error, "MR_STATE_INCOMPATIBLE") || !isNewProgram) throw error;
      const ways = `start the program it was saved by, or "millrace reset ${pipeline.name}" to compute it again from the log`;
      throw new MillraceError("MR_STATE_INCOMPATIBLE", `${error.message}: ${ways}`, { cause: error });
    }
    this.#program = program;
    this.#position = Math.max(this.#position, sequence);
    this.#snapshotAt = sequence;
    return program;
  }
}

/** A process that slept through a repartition must not go on in the former layout. */
function checkLayout(task: string, { name, partitions }: StreamInfo, ours: number): void {
  if (partitions === undefined || partitions === ours) return;
  const message = `${name} has ${partitions} partitions since "millrace repartition", ${task} is one of ${ours}: start again with --partitions ${partitions}`;
  throw new MillraceError("MR_STREAM_MISMATCH", message);
}

/** The broker skips silently what it no longer has; a task must not. */
function checkLog(task: string, source: StreamInfo, { sequence }: Restored): void {
  const { name, firstSequence, lastSequence } = source;
  if (lastSequence < sequence) {
    const message = `broker lost acknowledged data: ${name} ends at ${lastSequence}, ${task} has processed ${sequence}: restore the stream, or accept the loss with "millrace reset"`;
    throw new MillraceError("MR_LOG_LOST_DATA", message);
  }
  if (firstSequence > sequence + 1 && sequence > 0) throw truncated(task, name, firstSequence, sequence + 1);
}

function truncated(task: string, stream: string, first: number, needed: number): MillraceError {
  const message = `log truncated: ${stream} begins at ${first}, ${task} needs ${needed}: restore the stream, or accept the loss with "millrace reset"`;
  return new MillraceError("MR_LOG_TRUNCATED", message);
}

import {
  type Clock,
  type Lease,
  type Logger,
  type LogMessage,
  type LogReader,
  MillraceError,
  type Program,
} from "../core/index.js";
import { Bell } from "./bell.js";
import type { OutputWriter } from "./outputs.js";
import type { Pace } from "./pace.js";
import { Saving, type SnapshotIntervals } from "./saving.js";
import type { Snapshots } from "./snapshots.js";

/** Messages applied between two flushes: enough to fill batches, few enough that an alert waits for little. */
const SLICE_MESSAGES = 512;
/** And about so many bytes of packs: between slices urgent outputs leave and a save goes on. */
const SLICE_BYTES = 256 * 1024;
/**
 * How long outputs wait for company, and how many may wait, while more input is there already: then large batches get on faster, and
 * nobody sees a moment's delay. A task that keeps up sends as soon as the stream has rested (see `OutputWriter`); alerts and plans
 * never wait.
 */
const LINGER_MS = 100;
const LINGER_OUTPUTS = 900;
/** Of a message applied in steps, done between two turns of the event loop. */
const STEPS_MS = 3;

export interface RunOptions {
  readonly task: string;
  readonly source: string;
  /** Opens a reader of the task's partition. */
  readonly openReader: (fromSequence: number) => Promise<LogReader>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly lease: Lease;
  readonly program: Program;
  readonly snapshots: Snapshots;
  readonly intervals: SnapshotIntervals;
  readonly pace: Pace;
  /** Opens the writer; `onChange` is to be called as `OutputWriterOptions` says. */
  readonly openWriter: (onChange: () => void) => Promise<OutputWriter>;
  /** Position of the snapshot the program was loaded from. */
  readonly sequence: number;
  readonly signal: AbortSignal;
}

/**
 * One life of a task, from its snapshot to its end: applies messages in order, sends outputs in the background, saves beside it.
 * At most so much is in flight: what the reader holds ahead, one slice, and what the writer holds; above, nothing more is applied.
 */
export class Run {
  readonly #options: RunOptions;
  readonly #bell: Bell;
  readonly #writer: OutputWriter;
  readonly #saving: Saving;
  #applied: number;
  #arrived: readonly LogMessage[] | undefined;
  #asking = false;
  #failure: unknown;
  /** Mean size of recent messages; begins with a pack's. */
  #messageBytes = 64 * 1024;
  /** When outputs that wait for company leave, by the monotonic clock. */
  #sendAtMs = Number.POSITIVE_INFINITY;

  private constructor(options: RunOptions, bell: Bell, writer: OutputWriter) {
    this.#options = options;
    this.#bell = bell;
    this.#writer = writer;
    this.#applied = options.sequence;
    const { task, program, snapshots, clock, logger, intervals, pace, sequence } = options;
    const acknowledged = (sequence: number) => this.#acknowledged(sequence);
    const onChange = () => bell.ring();
    const parts = { task, program, snapshots, clock, logger, intervals, pace, acknowledged, onChange };
    this.#saving = new Saving(parts, sequence);
  }

  static async open(options: RunOptions): Promise<Run> {
    const bell = new Bell(options.clock);
    let opened: Run | undefined;
    const writer = await options.openWriter(() => {
      if (opened !== undefined) opened.#notice();
      bell.ring();
    });
    opened = new Run(options, bell, writer);
    return opened;
  }

  get writer(): OutputWriter {
    return this.#writer;
  }

  /** Every output up to here is in the log. */
  get position(): number {
    return this.#writer.acknowledgedThrough(this.#applied);
  }

  get snapshotAt(): number {
    return this.#saving.sequence;
  }

  /** Resolves after a last snapshot when the signal aborts. Rejects with MR_FENCED when the lease is lost, or with what failed. */
  async run(): Promise<void> {
    const { openReader, lease, signal, sequence, task } = this.#options;
    const reader = await openReader(sequence + 1);
    const ring = () => this.#bell.ring();
    signal.addEventListener("abort", ring, { once: true });
    lease.lost.addEventListener("abort", ring, { once: true });
    try {
      while (!signal.aborted && !lease.lost.aborted) await this.#turn(reader);
      if (lease.lost.aborted) throw new MillraceError("MR_FENCED", `${task}: its lease was lost`);
      await this.#acknowledged(this.#applied);
      await this.#saving.finish(this.#applied);
    } finally {
      signal.removeEventListener("abort", ring);
      lease.lost.removeEventListener("abort", ring);
      await reader.close();
      this.#end();
      await this.#saving.settled(); // the next life of this task must not meet a commit of this one
    }
  }

  async #turn(reader: LogReader): Promise<void> {
    const { clock } = this.#options;
    if (!this.#asking && this.#arrived === undefined) this.#ask(reader);
    if (!this.#writer.hasRoom) this.#send();
    if (this.#arrived === undefined || !this.#writer.hasRoom) await this.#bell.wait(this.#dueMs());
    const failure = this.#failure ?? this.#writer.failure ?? this.#saving.failure;
    if (failure !== undefined) throw failure;
    let messages = 0;
    if (this.#arrived !== undefined && this.#writer.hasRoom) {
      const slice = this.#arrived;
      this.#arrived = undefined;
      messages = slice.length;
      await this.#apply(slice);
      this.#writer.sendUrgent();
      if (this.#writer.held > 0) this.#sendAtMs = Math.min(this.#sendAtMs, clock.monotonicMs() + LINGER_MS);
    }
    if (this.#writer.held >= LINGER_OUTPUTS || clock.monotonicMs() >= this.#sendAtMs) this.#send();
    else if (this.#arrived === undefined) this.#sendRested();
    this.#saving.turn(messages, this.#applied);
    if (this.position === this.#applied) await this.#writer.renewMarkers(this.#applied);
  }

  #end(): void {
    this.#writer.stop();
    const ended = new MillraceError(
      "MR_LOG_UNAVAILABLE",
      `${this.#options.task}: ended before its outputs were stored`,
    );
    for (const { reject } of this.#waiting) reject(ended);
    this.#waiting.clear();
  }

  #dueMs(): number {
    const sendAtMs = Math.min(this.#sendAtMs, this.#writer.restedMs());
    return Math.min(sendAtMs - this.#options.clock.monotonicMs(), this.#saving.dueMs());
  }

  #send(): void {
    this.#sendAtMs = Number.POSITIVE_INFINITY;
    this.#writer.send();
  }

  #sendRested(): void {
    this.#writer.sendRested();
    if (this.#writer.restedMs() === Number.POSITIVE_INFINITY) this.#sendAtMs = Number.POSITIVE_INFINITY;
  }

  /** Asks for the next slice while the last one is at work; an empty answer means that somebody else closed the reader. */
  #ask(reader: LogReader): void {
    this.#asking = true;
    reader
      .next(Math.min(SLICE_MESSAGES, Math.ceil(SLICE_BYTES / this.#messageBytes)))
      .then(
        (messages) => {
          if (messages.length > 0) this.#arrived = messages;
          else this.#failure ??= new MillraceError("MR_LOG_UNAVAILABLE", `reading ${this.#options.source}: closed`);
        },
        (error: unknown) => {
          this.#failure ??= error;
        },
      )
      .finally(() => {
        this.#asking = false;
        this.#bell.ring();
      });
  }

  async #apply(messages: readonly LogMessage[]): Promise<void> {
    const { program } = this.#options;
    const writer = this.#writer;
    const emit = writer.add.bind(writer);
    const ahead = program.lookAhead ? await program.lookAhead(messages) : [];
    for (let i = 0; i < messages.length; i++) {
      const message = messages[i] as LogMessage;
      writer.begin(message.sequence);
      let rest: Iterator<void> | undefined;
      try {
        if (program.applyInSteps === undefined) program.apply(message, ahead[i], emit);
        else rest = program.applyInSteps(message, ahead[i], emit);
      } catch (error) {
        writer.dropLast();
        await this.#acknowledged(this.#applied).catch(() => undefined); // what came before is said all the same
        throw error;
      }
      if (rest !== undefined) await this.#finish(rest);
      this.#applied = message.sequence;
      this.#messageBytes += (message.data.length + 1 - this.#messageBytes) / 16;
    }
  }

  /**
   * The rest of a message that fires much: between its steps others get their turn, and outputs leave before there are too many. What is
   * sent of it before a crash is left out the next time, as ever: the marker says how far its outputs are in the log.
   */
  async #finish(rest: Iterator<void>): Promise<void> {
    const { clock, lease } = this.#options;
    for (let done = false; ; ) {
      const startedMs = clock.monotonicMs();
      try {
        do done = rest.next().done === true;
        while (!done && clock.monotonicMs() - startedMs < STEPS_MS);
      } catch (error) {
        await this.#acknowledged(this.#applied).catch(() => undefined);
        throw error;
      }
      if (done) return;
      if (this.#writer.held >= LINGER_OUTPUTS) this.#send();
      await clock.sleep(0);
      while (!this.#writer.hasRoom && this.#writer.failure === undefined && !lease.lost.aborted) {
        this.#send();
        await this.#bell.wait(Number.POSITIVE_INFINITY);
      }
      if (lease.lost.aborted) throw new MillraceError("MR_FENCED", `${this.#options.task}: its lease was lost`);
      if (this.#writer.failure !== undefined) throw this.#writer.failure;
    }
  }

  readonly #waiting = new Set<{ sequence: number; resolve: () => void; reject: (error: unknown) => void }>();

  #acknowledged(sequence: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.add({ sequence, resolve, reject });
      this.#send();
      this.#notice();
    });
  }

  #notice(): void {
    const through = this.position;
    for (const waiter of this.#waiting) {
      if (through >= waiter.sequence) waiter.resolve();
      else if (this.#writer.failure !== undefined) waiter.reject(this.#writer.failure);
      else continue;
      this.#waiting.delete(waiter);
    }
  }
}

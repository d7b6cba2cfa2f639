import {
  type Clock,
  isMillraceError,
  type Log,
  type Mark,
  type Marker,
  MillraceError,
  type NewMessage,
  type Output,
  type StoredMarker,
} from "../core/index.js";
import { joined, type Line, Lines } from "./lines.js";

/** One atomic batch holds at most 1,000 messages, the marker among them. */
const BATCH_MESSAGES = 999;
/** Keeps a batch well under the server's memory for open batches. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** NDJSON packs stay small enough to be read, shown and re-sent as one. */
const PACK_BYTES = 256 * 1024;
/** Outputs waiting or in flight, over all streams: the task reads no further above. */
const HELD_BYTES = 8 * 1024 * 1024;
const HELD_OUTPUTS = 20_000;
/** Between attempts at a stream that is full or away. */
const RETRY_MS = { first: 100, most: 5_000 } as const;
/** An idle task writes its markers again so often: the log may forget what is old, and a forgotten marker would count as none. */
const MARKER_LIVES_MS = 60 * 60_000;
/** Races with a former owner's batches that are still on their way. */
const FENCE_TRIES = 50;

/** Streams that somebody waits for: their outputs leave with the slice that made them. */
const URGENT: ReadonlySet<string> = new Set(["alerts", "plans"]);
/**
 * How long a stream rests between two batches, in times of what the last one took, and at most. The server stages each batch on disk
 * with three syncs, whatever its size: about 300 a second over all tasks and streams. When many write, each takes longer, all rest
 * longer, and what waits meanwhile shares the next batch.
 */
const REST_TIMES = 1;
const REST_MS_MOST = 100;

interface Pending {
  readonly subject: string;
  readonly pack: boolean;
  readonly line: Line;
  readonly bytes: number;
  readonly sequence: number;
  readonly index: number;
  readonly isMark: boolean;
  /** The mark on the same subject that need not be written because this one follows in the same batch. */
  readonly instead: Pending | undefined;
  isNeeded: boolean;
}

/** One output stream: what waits for it or is in flight, oldest first. */
interface Lane {
  readonly stream: string;
  marker: StoredMarker;
  markedMs: number;
  pending: Pending[];
  readonly lines: Lines;
  /** So many of `pending` are to be sent without waiting for company. */
  due: number;
  sending: boolean;
  /** When its rest ends, by the monotonic clock. */
  restedMs: number;
  /** The newest mark that waits, by subject. */
  readonly marks: Map<string, Pending>;
}

export interface OutputWriterOptions {
  readonly log: Log;
  readonly clock: Clock;
  readonly task: string;
  /** Incarnation of the input stream: what the marker's sequence counts in. */
  readonly incarnation: string;
  /** Throws when the input stream is not that one any more. */
  readonly checkSource: () => Promise<void>;
  readonly epoch: number;
  /** Begins every output id: `incarnation/pipeline/partition`. */
  readonly prefix: string;
  readonly streams: readonly string[];
  /** After this, what fails is not tried again. */
  readonly signal: AbortSignal;
  /** Called after each stored batch, and once when the writer has failed. */
  readonly onChange: () => void;
}

/**
 * Writes a task's outputs to their streams, each exactly once.
 *
 * Every output has the identity (input sequence, index). Each stream holds the task's marker: the identity of the last output
 * stored. What is at or before the marker was written before a restart and is left out; the rest goes out in atomic batches
 * whose last message moves the marker, so outputs and progress are stored together or not at all. One batch a stream is in flight,
 * in the background. A stream that is full or away is tried again with the same batch, which is stored once however often it arrives.
 *
 * Errors (`failure`): MR_FENCED, MR_LOG_CONFLICT, and after `signal` whatever the log said last.
 */
export class OutputWriter {
  readonly #options: OutputWriterOptions;
  readonly #lanes = new Map<string, Lane>();
  #heldBytes = 0;
  #sequence = 0;
  #index = 0;
  /** Why it has stopped; nothing is written any more. */
  failure: unknown;

  private constructor(options: OutputWriterOptions) {
    this.#options = options;
  }

  /** Reads the task's marker in each stream and puts our epoch into it: from here on no former owner's batch is taken. */
  static async open(options: OutputWriterOptions): Promise<OutputWriter> {
    const writer = new OutputWriter(options);
    for (const stream of options.streams) {
      const marker = await fence(options, stream);
      const markedMs = options.clock.monotonicMs();
      writer.#lanes.set(stream, {
        stream,
        marker,
        markedMs,
        pending: [],
        lines: new Lines(),
        due: 0,
        sending: false,
        restedMs: 0,
        marks: new Map(),
      });
    }
    return writer;
  }

  /** How far each stream was when the writer was opened, or is now. */
  markers(): Readonly<Record<string, Marker>> {
    const entries = [...this.#lanes].map(
      ([
        stream,
        {
          marker: { sequence, index },
        },
      ]) => [stream, { sequence, index }],
    );
    return Object.fromEntries(entries);
  }

  /** Begins the outputs of the input message at `sequence`. */
  begin(sequence: number): void {
    this.#sequence = sequence;
    this.#index = 0;
  }

  add({ stream, subject, pack = false, record }: Output): void {
    const index = ++this.#index;
    const lane = this.#lanes.get(stream);
    if (!lane) throw new Error(`${this.#options.task} writes to ${stream}, which it does not declare`);
    const sequence = this.#sequence;
    if (reached(lane.marker, sequence, index)) return;
    const line = lane.lines.add(encodeOutput(record, `${this.#options.prefix}/${sequence}/${index}`));
    const bytes = line.to - line.from;
    const mark = isMark(record);
    const instead = mark ? lane.marks.get(subject) : undefined;
    const output: Pending = { subject, pack, line, bytes, sequence, index, isMark: mark, instead, isNeeded: true };
    if (instead !== undefined) instead.isNeeded = false;
    if (mark) lane.marks.set(subject, output);
    lane.pending.push(output);
    this.#heldBytes += bytes;
  }

  /** Takes back the outputs of the input message begun last. None of them may have been sent. */
  dropLast(): void {
    for (const lane of this.#lanes.values()) {
      for (let last = lane.pending.at(-1); last?.sequence === this.#sequence; last = lane.pending.at(-1)) {
        lane.pending.pop();
        this.#heldBytes -= last.bytes;
        if (last.isMark) takeBack(lane, last);
      }
    }
  }

  /** Outputs added and not yet acknowledged. */
  get held(): number {
    let count = 0;
    for (const { pending } of this.#lanes.values()) count += pending.length;
    return count;
  }

  /** False: the task must not apply more before something was acknowledged. */
  get hasRoom(): boolean {
    return this.#heldBytes < HELD_BYTES && this.held < HELD_OUTPUTS;
  }

  /** The last input sequence of which, and of all before it, every output is in the log, given that `applied` was applied. */
  acknowledgedThrough(applied: number): number {
    let through = applied;
    for (const { pending } of this.#lanes.values()) through = Math.min(through, (pending[0]?.sequence ?? Infinity) - 1);
    return through;
  }

  /** Sends everything added so far. Returns at once; see `failure` and `held`. */
  send(): void {
    for (const lane of this.#lanes.values()) this.#sendLane(lane);
  }

  /** Like `send`, for streams that have rested, or have a full batch. */
  sendRested(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const lane of this.#lanes.values())
      if (lane.restedMs <= nowMs || lane.pending.length >= BATCH_MESSAGES) this.#sendLane(lane);
  }

  /** When to call `sendRested` next, by the monotonic clock; Infinity while nothing waits, or what is in flight must end first. */
  restedMs(): number {
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const { pending, sending, restedMs } of this.#lanes.values())
      if (pending.length > 0 && !sending) earliestMs = Math.min(earliestMs, restedMs);
    return earliestMs;
  }

  /** Like `send`, for alerts and plans only. */
  sendUrgent(): void {
    for (const lane of this.#lanes.values()) if (URGENT.has(lane.stream)) this.#sendLane(lane);
  }

  /** What is in flight ends; what waits is not sent. */
  stop(): void {
    this.failure ??= new MillraceError("MR_LOG_UNAVAILABLE", `${this.#options.task}: stopped`);
  }

  /** Call now and then, with a position all of whose outputs are acknowledged. */
  async renewMarkers(sequence: number): Promise<void> {
    const { clock } = this.#options;
    for (const lane of this.#lanes.values()) {
      if (lane.sending || lane.pending.length > 0 || clock.monotonicMs() - lane.markedMs < MARKER_LIVES_MS) continue;
      lane.sending = true; // one batch a stream in flight
      try {
        const marker = reached(lane.marker, sequence, 0) ? lane.marker : { sequence, index: 0 };
        lane.marker = await this.#write(lane, [], marker);
        lane.markedMs = clock.monotonicMs();
      } finally {
        lane.sending = false;
      }
    }
  }

  #sendLane(lane: Lane): void {
    lane.due = lane.pending.length;
    if (lane.sending || lane.due === 0 || this.failure !== undefined) return;
    lane.sending = true;
    void this.#drain(lane);
  }

  async #drain(lane: Lane): Promise<void> {
    try {
      while (lane.due > 0 && this.failure === undefined) {
        const { messages, to } = cutBatch(lane);
        const { sequence, index } = lane.pending[to - 1] as Pending;
        const sentMs = this.#options.clock.monotonicMs();
        lane.marker = await this.#write(lane, messages, { sequence, index });
        lane.markedMs = this.#options.clock.monotonicMs();
        lane.restedMs = lane.markedMs + Math.min(REST_MS_MOST, REST_TIMES * (lane.markedMs - sentMs));
        for (const { bytes } of lane.pending.splice(0, to)) this.#heldBytes -= bytes;
        lane.due -= to;
        this.#options.onChange();
      }
    } catch (error) {
      this.failure ??= error;
      this.#options.onChange();
    } finally {
      lane.sending = false;
    }
  }

  async #write(lane: Lane, messages: readonly NewMessage[], { sequence, index }: Marker): Promise<StoredMarker> {
    const { log, clock, task, epoch, incarnation, signal } = this.#options;
    const marker: Marker = { sequence, index, epoch, incarnation };
    const batch = { stream: lane.stream, task, messages, marker, expectedAt: lane.marker.storedAt };
    for (let pauseMs: number = RETRY_MS.first; ; pauseMs = Math.min(pauseMs * 2, RETRY_MS.most)) {
      try {
        return await log.writeBatch(batch);
      } catch (error) {
        if (!isMillraceError(error) || error.disposition !== "retry" || signal.aborted) throw error;
        if (this.failure !== undefined) throw this.failure;
        await clock.sleep(pauseMs, signal);
      }
    }
  }
}

/** Moves the marker to our epoch without moving it on. */
async function fence(options: OutputWriterOptions, stream: string): Promise<StoredMarker> {
  const { log, task, epoch, incarnation } = options;
  for (let tries = 1; ; tries++) {
    const found = (await log.readMarker(stream, task)) ?? { sequence: 0, index: 0, storedAt: 0 };
    if ((found.epoch ?? 0) > epoch) {
      const message = `${task}: epoch ${found.epoch} writes to ${stream}, ours is ${epoch}: another process took it over`;
      throw new MillraceError("MR_FENCED", message);
    }
    const counts = found.incarnation === undefined || found.incarnation === incarnation;
    if (!counts) await options.checkSource(); // after the look: one that changes later refuses the batch
    const place = counts ? { sequence: found.sequence, index: found.index } : { sequence: 0, index: 0 };
    const marker: Marker = { ...place, epoch, incarnation };
    try {
      return await log.writeBatch({ stream, task, messages: [], marker, expectedAt: found.storedAt });
    } catch (error) {
      if (!isMillraceError(error, "MR_LOG_CONFLICT") || tries >= FENCE_TRIES) throw error;
    }
  }
}

/** A record as it stands in the log: its id first. Marks pass on time and have no identity. */
export function encodeOutput(record: Output["record"], id: string): string {
  const json = JSON.stringify(record);
  return isMark(record) ? json : `{"id":"${id}",${json.slice(1)}`;
}

export function isMark(record: Output["record"]): record is Mark {
  return "kind" in record && record.kind === "mark";
}

function reached(marker: Marker, sequence: number, index: number): boolean {
  return sequence < marker.sequence || (sequence === marker.sequence && index <= marker.index);
}

/** A mark is not to be written after all: the one before it is. */
function takeBack({ marks }: Lane, { subject, instead }: Pending): void {
  if (instead === undefined) {
    marks.delete(subject);
    return;
  }
  instead.isNeeded = true;
  marks.set(subject, instead);
}

/**
 * The next batch of the first `due`; neighbours that may share a message and have the same subject do. Of marks on one subject the
 * last is enough: all of the batch is stored at once, so nobody could act on the earlier ones.
 */
function cutBatch({ pending, due, marks }: Lane): { messages: NewMessage[]; to: number } {
  const messages: NewMessage[] = [];
  let bytes = 0;
  let to = 0;
  while (to < due && messages.length < BATCH_MESSAGES && bytes < BATCH_BYTES) {
    const first = pending[to++] as Pending;
    if (first.isMark && marks.get(first.subject) === first) marks.delete(first.subject); // too late to be left out
    if (!first.isNeeded) continue;
    const lines = [first.line];
    let packBytes = first.bytes;
    while (first.pack && to < due) {
      const next = pending[to] as Pending;
      if (!next.isNeeded) {
        to++;
        continue;
      }
      if (!next.pack || next.subject !== first.subject || packBytes + next.bytes >= PACK_BYTES) break;
      lines.push(next.line);
      packBytes += next.bytes + 1;
      to++;
    }
    messages.push({ subject: first.subject, data: joined(lines), pack: first.pack });
    bytes += packBytes;
  }
  return { messages, to };
}

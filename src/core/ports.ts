/**
 * The outside as the runtime sees it. Everything that runs a task reaches the world through these, so that a simulation can
 * stand in for each (Engine II).
 */

/** One message of the log. */
export interface LogMessage {
  /** Position in the stream, from 1. */
  readonly sequence: number;
  readonly subject: string;
  readonly data: Uint8Array;
  /** Undefined when the message has no such header. */
  header(name: string): string | undefined;
}

export interface StreamSpec {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly transform?: { readonly src: string; readonly dest: string };
  readonly maxBytes: number;
}

export interface StreamInfo {
  readonly name: string;
  /** Random, chosen when the stream was created: a recreated stream is another log. */
  readonly incarnation: string;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly messages: number;
  readonly bytes: number;
}

export interface NewMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** How far a task's outputs to one stream are in the log. Compared as (sequence, index). */
export interface Marker {
  /** Sequence of the input message whose outputs these are. */
  readonly sequence: number;
  /** Index of the last output of that message that is stored. */
  readonly index: number;
}

export interface StoredMarker extends Marker {
  /** The marker message's own sequence in the output stream: what the next batch must expect. 0 when there is none. */
  readonly storedAt: number;
}

export interface LogReader {
  /**
   * Resolves with 1 to `maxMessages` messages in order as soon as there are any; with none only after `close`.
   * Buffers a bounded number of bytes ahead. Rejects with MR_LOG_UNAVAILABLE or MR_LOG_TRUNCATED.
   */
  next(maxMessages: number): Promise<readonly LogMessage[]>;
  close(): Promise<void>;
}

export interface Log {
  /** Creates the stream, or checks that the existing one agrees. Rejects with MR_STREAM_MISMATCH. */
  ensureStream(spec: StreamSpec): Promise<StreamInfo>;
  info(stream: string): Promise<StreamInfo>;
  /** Reads messages of `stream` whose subject matches one of `subjects`, from `fromSequence` on, for ever. */
  read(options: { stream: string; subjects: readonly string[]; fromSequence: number }): Promise<LogReader>;
  /** Resolves with the sequence once the log has stored the message. Rejects with MR_LOG_FULL or MR_LOG_UNAVAILABLE. */
  publish(message: NewMessage): Promise<number>;
  /**
   * Stores `messages` and, last, the task's marker, whole or not at all; resolves with the stored marker.
   * At most 999 messages. Rejects with MR_LOG_CONFLICT when the stored marker is not the one at `expectedAt`.
   */
  writeBatch(batch: {
    stream: string;
    task: string;
    messages: readonly NewMessage[];
    marker: Marker;
    expectedAt: number;
  }): Promise<StoredMarker>;
  readMarker(stream: string, task: string): Promise<StoredMarker | undefined>;
  /** The newest message on a subject, or on any that fits a pattern. */
  last(stream: string, subject: string): Promise<LogMessage | undefined>;
  /** Messages per subject matching `filter`. */
  countSubjects(stream: string, filter: string): Promise<ReadonlyMap<string, number>>;
  close(): Promise<void>;
}

/** Immutable objects by name. The store drops the oldest when it is full. */
export interface Objects {
  put(name: string, bytes: Uint8Array): Promise<void>;
  /** Undefined when it was never stored, or dropped since. */
  get(name: string): Promise<Uint8Array | undefined>;
}

/** Small values changed by compare-and-set. */
export interface Registers {
  get(key: string): Promise<{ readonly value: Uint8Array; readonly revision: number } | undefined>;
  /** Resolves with the new revision, or undefined when the register is no longer at `expectedRevision` (0: must not exist). */
  set(key: string, value: Uint8Array, expectedRevision: number): Promise<number | undefined>;
}

/** Sole ownership of a name. A later owner has a larger epoch; whoever writes with an older one is refused. */
export interface Lease {
  readonly epoch: number;
  /** Aborted when somebody else took the name over. */
  readonly lost: AbortSignal;
  release(): Promise<void>;
}

export interface Leases {
  /** Takes the name over at once: the newest starter wins, the former owner's next write is refused. */
  acquire(name: string, holder: string): Promise<Lease>;
}

export interface Clock {
  nowMs(): number;
  /** Resolves after `ms`, or at once when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Model inference: pure, and the result of a row never depends on its batch. */
export interface Inference {
  /** `rows` is row-major float32, `width` values each; resolves with one value a row, order kept. */
  run(model: string, rows: Float32Array, width: number): Promise<Float32Array>;
}

/** Where rows go to stay. A block is stored whole, once, however often it is written (same token). */
export interface Sink {
  /** Connects and creates tables. Rejects with MR_SINK_UNAVAILABLE. */
  open(): Promise<void>;
  /** The largest `_seq` stored for `table`, 0 when empty. */
  position(table: string, incarnation: string): Promise<number>;
  /** Resolves when the rows are durable. `token` names the block: the same token twice stores it once. */
  write(table: string, rows: readonly object[], token: string): Promise<void>;
  close(): Promise<void>;
}

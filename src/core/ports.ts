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
  /** The log itself copies what other streams get, each message once, in their order; `subjects` says what of theirs becomes what here. */
  readonly sources?: readonly StreamCopy[];
  readonly maxBytes: number;
  /** A full stream forgets its oldest messages instead of refusing new ones. For records nobody has to have read. */
  readonly dropsOldest?: true;
}

export interface StreamCopy {
  readonly stream: string;
  readonly subjects: readonly { readonly src: string; readonly dest: string }[];
}

export interface StreamInfo {
  readonly name: string;
  /** Random, chosen when the stream was created: a recreated stream is another log. */
  readonly incarnation: string;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly messages: number;
  readonly bytes: number;
  /** How many partitions it is written for, as of the latest repartition; undefined before the first. */
  readonly partitions?: number;
  /** Incarnations it had before it was repartitioned: what still speaks of them has been overtaken, nothing is lost. */
  readonly former?: readonly string[];
  /** Up to here messages stand under partitions of former layouts: readers file them anew, by the tokens of their subjects. */
  readonly relaidThrough?: number;
}

export interface NewMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** Read by its partition only, `<stream>.<partition>.>`, never by its own subject: alone in a batch it may carry the marker itself. */
  readonly pack?: boolean;
}

/** How far a task's outputs to one stream are in the log. Compared as (sequence, index). */
export interface Marker {
  /** Sequence of the input message whose outputs these are. */
  readonly sequence: number;
  /** Index of the last output of that message that is stored. */
  readonly index: number;
  /** Epoch of the lease it was written under: an owner that finds a larger one than its own has been replaced. @default 0 */
  readonly epoch?: number;
  /** Incarnation of the input stream that `sequence` counts in; of another one it says nothing. @default any */
  readonly incarnation?: string;
}

export interface StoredMarker extends Marker {
  /** Sequence in the output stream of the message that is or carries it: what the next batch must expect. 0 when there is none. */
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
  /**
   * Reads messages of `stream` whose subject matches one of `subjects`, from `fromSequence` on, for ever. With `incarnation` the
   * stream must be that one: what was asked about it before may be of another that has its name.
   * Rejects with MR_LOG_LOST_DATA, MR_LOG_TRUNCATED or MR_LOG_UNAVAILABLE.
   */
  read(options: {
    readonly stream: string;
    readonly subjects: readonly string[];
    readonly fromSequence: number;
    readonly incarnation?: string;
  }): Promise<LogReader>;
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

/** Changes streams in place to other partitions. Every call is safe to repeat. Errors of all: MR_LOG_UNAVAILABLE. */
export interface Layouts {
  /** What comes from now on is filed by the spec's transform; what is there is `relaidThrough`. Another incarnation. */
  relay(spec: StreamSpec, partitions: number): Promise<void>;
  /** Forgets what is on `subjects`, which is to be computed again. Another incarnation; sequences go on. */
  renew(stream: string, partitions: number, subjects: readonly string[]): Promise<void>;
  /** The log copies into it what the spec's `sources` say. */
  follow(spec: StreamSpec): Promise<void>;
}

/** Immutable objects by name. A full store refuses; nothing is dropped but by `remove`. */
export interface Objects {
  /** `bytes` may come in parts, which are stored as one. Rejects with MR_LOG_FULL or MR_LOG_UNAVAILABLE. */
  put(name: string, bytes: Uint8Array | readonly Uint8Array[]): Promise<void>;
  /** Undefined when it was never stored, or removed. Rejects with MR_LOG_LOST_DATA when bytes and digest differ. */
  get(name: string): Promise<Uint8Array | undefined>;
  /** Frees its space. What is not there is fine. */
  remove(name: string): Promise<void>;
  /** Names that begin with `prefix`, sorted, of objects stored whole. */
  list(prefix: string): Promise<readonly string[]>;
}

export interface Register {
  readonly key: string;
  readonly value: Uint8Array;
  readonly revision: number;
}

/** Small values changed by compare-and-set. Revisions only grow, also over a removal. */
export interface Registers {
  get(key: string): Promise<Omit<Register, "key"> | undefined>;
  /** Resolves with the new revision, or undefined when the register is no longer at `expectedRevision` (0: must not exist). */
  set(key: string, value: Uint8Array, expectedRevision: number): Promise<number | undefined>;
  /** Resolves with false when the register is no longer at `expectedRevision`. */
  remove(key: string, expectedRevision: number): Promise<boolean>;
  /** Registers whose key begins with `prefix`, by key. O(all registers): for people and keepers. */
  list(prefix: string): Promise<readonly Register[]>;
}

/**
 * Sole ownership of a name, for as long as it is renewed.
 *
 * Time:  nobody compares clocks. The holder gives up when its last renewal was *sent* two thirds of a period ago; others take over
 *        when they have *seen* one revision unchanged for a whole period, each by its own monotonic clock, or sooner where the log
 *        itself says that the holder is gone.
 * Fence: a process may be paused between looking at `lost` and writing. So what it writes carries `epoch`: the next owner puts its
 *        larger epoch into the snapshot pointer and the markers before anything else, and the late write is refused by them.
 *        Work that writes elsewhere must be harmless when two do it (ticks), or carry a token of its own (blocks of a sink).
 * Stall: renewals need a free event loop every third of a period. A thread that loads state or runs operators must not hold
 *        leases itself: hold them in another thread and pass {epoch, lost} on.
 */
export interface Lease {
  readonly name: string;
  readonly holder: string;
  /** Larger than that of every earlier holder of the name, for ever. */
  readonly epoch: number;
  /** Aborted when the lease must no longer be used: not renewed in time, or somebody has a larger epoch. Never by `release`. */
  readonly lost: AbortSignal;
  /** Frees the name at once: the next `tryAcquire` of anybody succeeds. Call when the work has ended. Safe to call twice. */
  release(): Promise<void>;
}

export interface Leases {
  readonly periodMs: number;
  /**
   * Takes the name if it is free: never held, released, or seen unrenewed for a period by this object. Undefined otherwise, and
   * when somebody else was faster. It never waits, so a holder that died is found out by asking again, some times a period.
   * With `fenced` (all that its work writes is refused once somebody has a larger epoch) a holder whose connection to the log is gone
   * is not waited for: two looks that do not find it, a sixth of a period apart, are enough.
   * Rejects with MR_LOG_UNAVAILABLE.
   */
  tryAcquire(name: string, holder: string, fenced?: boolean): Promise<Lease | undefined>;
  /** Who holds the name by the log, expired or not; undefined when it is free. */
  holder(name: string): Promise<{ readonly holder: string; readonly epoch: number } | undefined>;
  /** Announces `member` in `group` until `leave`, and watches the others. Resolves once it is announced. */
  join(group: string, member: string): Promise<Membership>;
}

/** Who is alive in a group. Views of two members may differ for a period, so it decides what to try; leases decide who owns. */
export interface Membership {
  /** Members that showed life within a period by our monotonic clock, ourselves included, sorted. */
  alive(): readonly string[];
  /** Others no longer count us. Safe to call twice. */
  leave(): Promise<void>;
}

export interface Clock {
  /** Wall time, ms since the Unix epoch: it may jump. */
  nowMs(): number;
  /** Never goes back, and stands for nothing outside this process. For intervals. */
  monotonicMs(): number;
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

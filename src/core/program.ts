import type { Inference, LogMessage } from "./ports.js";
import type { OutputRecord } from "./records.js";

/** One thing a program says about one input message. */
export interface Output {
  readonly stream: string;
  readonly subject: string;
  readonly record: OutputRecord | Mark;
  /**
   * True: may share a message with its neighbours on the same subject (NDJSON), and that message may be stored under another subject of
   * its partition (`<stream>.<partition>.…`), with its own in a header: for streams that are read by the partition.
   */
  readonly pack?: boolean;
}

/** A watermark passed on to the next stage: no output of this task will have an earlier event time. */
export interface Mark {
  readonly kind: "mark";
  readonly task: string;
  readonly watermarkMs: number;
}

export type Emit = (output: Output) => void;

export interface Counters {
  /** Events seen in the log, before any decision. */
  readonly received: number;
  readonly duplicates: number;
  readonly deadLettered: number;
  readonly late: number;
  readonly accepted: number;
}

/**
 * A pipeline's program for one partition: a deterministic function of its input sequence. Same messages, same outputs, same state
 * bytes. It reads no clock, no random source, no network and no second stream.
 */
export interface Program {
  /**
   * Batch function, run over a slice of messages before they are applied. Must be pure, and item i may depend on message i alone,
   * so that the cutting of slices never shows.
   */
  lookAhead?(messages: readonly LogMessage[]): Promise<readonly unknown[]>;
  /** Applies one message; synchronous. `ahead` is the message's item of `lookAhead`. */
  apply(message: LogMessage, ahead: unknown, emit: Emit): void;
  /**
   * As `apply`, for a message that may fire more than a pause allows: the rest of the work in steps of about a ms, with the outputs of each;
   * undefined when nothing is left to do. Between the steps nothing may be applied or saved. Outputs and their order are those of `apply`.
   */
  applyInSteps?(message: LogMessage, ahead: unknown, emit: Emit): Iterator<void> | undefined;
  counters(): Counters;
  /** Undefined until a source has announced itself. */
  watermarkMs(): number | undefined;
  /** Canonical bytes: equal states give equal bytes. */
  save(): Uint8Array;
  /** The bytes of `save` in order, in parts that may be shared with later saves and so must not be changed: no copy of the whole is made. */
  saveParts?(): readonly Uint8Array[];
  /** The bytes `save` would give now, in steps of some ms, while `apply` goes on in between. One at a time. */
  beginSave?(): StepwiseSave;
  /** Errors: MR_STATE_INCOMPATIBLE. */
  load(state: Uint8Array): void;
  /** What every operator holds for a key, for people. O(windows) a step. */
  held?(key: string | number): readonly Held[];
  /** The keys of every operator, in no order; one that several hold comes several times. For people. */
  heldKeys?(): Iterable<string | number>;
}

/** What one operator holds for a key. */
export interface Held {
  readonly operator: string;
  /** Of a window, ms. */
  readonly startMs?: number;
  readonly endMs?: number;
  readonly value: unknown;
}

/** A save under way. */
export interface StepwiseSave {
  /** One step of work, some ms; true when all is done. */
  step(): boolean;
  /** The saved bytes in order, once `step` has said true. */
  readonly parts: readonly Uint8Array[];
}

export interface TaskContext {
  /** `<pipeline>/<partition>`. */
  readonly task: string;
  readonly partition: number;
  readonly partitions: number;
  readonly inference: Inference;
}

/** One step of a pipeline, for people: what `millrace topology` prints. */
export interface TopologyStep {
  readonly name: string;
  readonly kind: "source" | "operator" | "window" | "score" | "predict" | "alert" | "sink";
  readonly detail: string;
  /** Streams this step writes to. */
  readonly to?: readonly string[];
}

export interface Pipeline {
  readonly name: string;
  readonly summary: string;
  /** The one stream its tasks read, one partition each. */
  readonly source: string;
  /** Streams its tasks write to. */
  readonly writes: readonly string[];
  readonly steps: readonly TopologyStep[];
  /** Raised when state or outputs change meaning: part of the snapshot's identity. */
  readonly version: number;
  /** Its source is one sequence: only partition 0 of it is run. */
  readonly single?: boolean;
  create(context: TaskContext): Program;
}

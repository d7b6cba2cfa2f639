import type { LogMessage, Output } from "../../../core/index.js";
import type { ByteReader, ByteWriter } from "../state/bytes.js";
import type { Key } from "../state/keys.js";
import type { Steps } from "../state/steps.js";
import { Undo, type Undoable } from "../state/undo.js";

/** Units of work in one step of an advance: results fired or keys forgotten, a few µs each. */
const STEP_UNITS = 256;

/** Where a value goes next. What else is known about it stands in `Now`. */
export type Push<V> = (value: V) => void;

/** What user functions may ask about the value at hand. Valid during the call only. */
export interface At<K = unknown> {
  /** Event time; of a window's result the window's last ms. */
  readonly timeMs: number;
  /** The key of the keyed stream the value is in. */
  readonly key: K;
  /** The partition's watermark as of the latest tick; -Infinity before the first. */
  readonly watermarkMs: number;
  /** Name of the event's time source; empty in a timer. */
  readonly source: string;
  /** Position in the log of the message at hand, and place of the event in it. Never part of a result's value. */
  readonly sequence: number;
  readonly index: number;
  /** The partition the task reads, of how many. */
  readonly partition: number;
  readonly partitions: number;
  /** The message's item of the batch function (`lookAhead`). */
  readonly ahead: unknown;
}

/** The one mutable `At` of a program. Operators that change a field put it back after the push. */
export class Now implements At<Key> {
  timeMs = 0;
  key: Key = "";
  watermarkMs = Number.NEGATIVE_INFINITY;
  source = "";
  sequence = 0;
  index = 0;
  partition = 0;
  partitions = 1;
  ahead: unknown = undefined;
  message: LogMessage | undefined = undefined;
}

/** An operator with state or time, as the program drives it. */
export interface Operator {
  /** Place in the order of firing: that of declaration, so producers come before consumers. */
  readonly id: number;
  readonly name: string;
  /** The earliest time at which something is due; Infinity when nothing is. */
  nextMs(): number;
  /** Moves the operator's own watermark to `toMs` and fires what is due by then, in (time, key) order. */
  advance(toMs: number): void;
  /**
   * As `advance`, in steps between which only a save of the operator may go on: for operators of which many keys may be due at once. A
   * turn does no more than `Runtime.isStepOver` allows.
   */
  advanceInSteps?(toMs: number): Steps;
  /** Canonical: equal states give equal bytes. */
  save(writer: ByteWriter): void;
  /**
   * As `save`, of the state at the first turn of the generator, in steps between which the operator may go on: for states that take
   * longer to write than a pause may last.
   */
  saveInSteps?(writer: ByteWriter): Steps;
  load(reader: ByteReader): void;
  metrics(): OperatorMetrics;
  /** What it holds for a key, by window where it has windows. Undefined where state is not filed under keys. */
  held?(key: Key): readonly HeldPart[];
  /** The keys it holds something for, in no order. */
  heldKeys?(): Iterable<Key>;
}

/** What an operator holds for a key, for people. */
export interface HeldPart {
  readonly startMs?: number;
  readonly endMs?: number;
  readonly value: unknown;
}

export interface OperatorMetrics {
  readonly name: string;
  /** Keys with state (windows and keys, where there are windows). */
  readonly keys: number;
  /** Bytes held, estimated; key texts and user objects are not in it. */
  readonly bytes: number;
}

/** An error whose operator says `onError: "fail"`: the task stops instead of setting the event aside. */
export class Refusal {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/** A value that came too late for an operator. */
export interface Late {
  readonly operator: string;
  readonly value: unknown;
  readonly key: Key;
  readonly timeMs: number;
  readonly lateByMs: number;
}

/** What a program's operators share. */
export class Runtime {
  readonly now = new Now();
  readonly undo = new Undo();
  readonly outputs: Output[] = [];
  readonly operators: Operator[] = [];
  readonly controls = new Map<string, ((body: unknown) => void)[]>();
  readonly silences: ((source: string, silentForMs: number) => void)[] = [];
  /** Number of the step at work, for the reason of a dead letter. */
  step = 0;
  lateCount = 0;
  duplicates = 0;
  readonly onLate: (late: Late) => void;
  readonly onDead: (error: unknown) => void;

  constructor(hooks: {
    onLate: (late: Late, runtime: Runtime) => void;
    onDead: (error: unknown, runtime: Runtime) => void;
  }) {
    this.onLate = (late) => hooks.onLate(late, this);
    this.onDead = (error) => hooks.onDead(error, this);
  }

  emit(output: Output): void {
    this.outputs.push(output);
  }

  late(operator: string, value: unknown, lateByMs: number): void {
    this.lateCount++;
    this.undo.note(this.undoLate, 0, 0);
    const { key, timeMs } = this.now;
    this.onLate({ operator, value, key, timeMs, lateByMs });
  }

  /** Called by the rollback of an event that was counted late. */
  undoLate: Undoable = { undo: () => void this.lateCount-- };

  #units = 0;

  /** Call after each unit of work of an advance, or several: true when the step has had enough of them. */
  isStepOver(units = 1): boolean {
    this.#units += units;
    if (this.#units < STEP_UNITS) return false;
    this.#units = 0;
    return true;
  }

  get unitsLeft(): number {
    return STEP_UNITS - this.#units;
  }

  /** One unit of work: an event, or one firing. What throws is taken back, outputs too, and set aside. False when it was. */
  attempt<V>(push: Push<V>, value: V): boolean {
    const { undo, outputs } = this;
    undo.begin();
    const before = outputs.length;
    try {
      push(value);
    } catch (error) {
      this.takeBack(error, before);
      return false;
    }
    undo.commit();
    return true;
  }

  /** Ends a unit of work that threw; `before` is the number of outputs it began with. Errors: what a `Refusal` holds. */
  takeBack(error: unknown, before: number): void {
    this.undo.rollback();
    this.outputs.length = before;
    this.now.key = ""; // whatever `keyBy` had set
    if (error instanceof Refusal) throw error.error;
    this.onDead(error);
  }

  /** A result of step `step` that could not be made, because a function of the user's threw: it is set aside alone. */
  setAside(error: unknown, step: number, key: Key, timeMs: number): void {
    this.now.key = key;
    this.now.timeMs = timeMs;
    this.step = step;
    this.onDead(error);
  }

  /** Fires one result of an operator, filed under `key` at `timeMs`. */
  fire<V>(push: Push<V>, value: V, key: Key, timeMs: number): void {
    const { now } = this;
    now.key = key;
    now.timeMs = timeMs;
    this.attempt(push, value);
  }
}

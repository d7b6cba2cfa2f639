import {
  type Counters,
  type Emit,
  encodeToken,
  type Held,
  type LogMessage,
  MillraceError,
  type Output,
  type Program,
  reasonOf,
  type StepwiseSave,
  type TaskContext,
} from "../../../core/index.js";
import { ByteReader, ByteWriter } from "../state/bytes.js";
import type { Key } from "../state/keys.js";
import { atOnce, type Steps } from "../state/steps.js";
import { Marks, type Tick } from "../time/marks.js";
import { compile } from "./compile.js";
import { Intake } from "./intake.js";
import type { Node } from "./node.js";
import { type Late, type Operator, type OperatorMetrics, Runtime } from "./runtime.js";
import type { Source } from "./source.js";

const MAGIC = 0x4d5253; // "MRS"
/** Raised when the container changes. */
const FORMAT = 1;
/** Saved state is written in pieces of this size: a larger one could only grow by being moved, which is a pause. */
const PIECE_BYTES = 0x4_0000;
const UNDERSCORE = 95;

/** Everything a program needs to know about its topology. */
export interface Blueprint<V> {
  readonly name: string;
  readonly version: number;
  readonly source: Source<V>;
  readonly root: Node;
  /** Further inputs: control messages, tables, silence. */
  readonly roots: readonly Node[];
  readonly lookAhead?: (messages: readonly LogMessage[], context: TaskContext) => Promise<readonly unknown[]>;
  /** Passes the watermark on to the next stage. */
  readonly marks?: { readonly stream: string; readonly everyMs: number };
  lateOutput(late: Late, eventId: string): Output;
  deadOutput(dead: {
    error: unknown;
    step: string;
    message: LogMessage;
    index: number;
    bytes: Uint8Array;
    eventId: string;
    source: string;
  }): Output;
  stepName(id: number): string;
}

/**
 * A topology at work on one partition: each event is pushed through fused closures, each watermark through the operators in the
 * order they were declared. Implements core's `Program`; see there for what it promises.
 */
export class EngineProgram<V> implements Program {
  readonly #blueprint: Blueprint<V>;
  readonly #runtime: Runtime;
  readonly #marks: Marks;
  readonly #intake: Intake<V>;
  readonly #producers: readonly string[] | undefined;
  /** The latest mark passed on. */
  #passedMs = Number.NEGATIVE_INFINITY;
  readonly #context: TaskContext;
  readonly lookAhead?: (messages: readonly LogMessage[]) => Promise<readonly unknown[]>;

  constructor(blueprint: Blueprint<V>, context: TaskContext) {
    this.#blueprint = blueprint;
    this.#context = context;
    this.#marks = new Marks(blueprint.source.timing ?? {});
    this.#runtime = new Runtime({
      onLate: (late) => this.#runtime.emit(blueprint.lateOutput(late, this.#intake.idOf())),
      onDead: (error) => this.#intake.dead(error),
    });
    const push = compile<V>(blueprint.root, blueprint.roots, this.#runtime);
    this.#intake = new Intake(blueprint, this.#runtime, this.#marks, push);
    const { producers } = blueprint.source;
    if (producers !== undefined) {
      this.#producers = producers(context);
      this.#marks.setProducers(this.#producers, isTask);
    }
    this.#runtime.now.partition = context.partition;
    this.#runtime.now.partitions = context.partitions;
    this.#runtime.operators.sort((a, b) => a.id - b.id);
    const ahead = blueprint.lookAhead;
    if (ahead !== undefined) this.lookAhead = (messages) => ahead(messages, context);
  }

  apply(message: LogMessage, ahead: unknown, emit: Emit): void {
    const rest = this.applyInSteps(message, ahead, emit);
    if (rest !== undefined) atOnce(rest);
  }

  applyInSteps(message: LogMessage, ahead: unknown, emit: Emit): Steps | undefined {
    const { now } = this.#runtime;
    now.sequence = message.sequence;
    now.message = message;
    now.ahead = ahead;
    now.index = -1;
    now.key = "";
    const control = controlOf(message.subject);
    if (control !== undefined) return this.#finish(this.#control(control, message), emit);
    this.#intake.decode(message);
    this.#end(emit);
    return undefined;
  }

  /** The first step is done at once, and mostly there is no other. */
  #finish(steps: Steps, emit: Emit): Steps | undefined {
    if (steps.next().done !== true) return this.#finishInSteps(steps, emit);
    this.#end(emit);
    return undefined;
  }

  *#finishInSteps(steps: Steps, emit: Emit): Steps {
    do {
      this.#emitAll(emit);
      yield;
    } while (steps.next().done !== true);
    this.#end(emit);
  }

  #end(emit: Emit): void {
    const { now } = this.#runtime;
    now.message = undefined;
    now.ahead = undefined;
    this.#emitAll(emit);
  }

  #emitAll(emit: Emit): void {
    const { outputs } = this.#runtime;
    if (outputs.length === 0) return;
    for (const output of outputs) emit(output);
    outputs.length = 0;
  }

  *#control(token: string, message: LogMessage): Steps {
    this.#intake.noEvent(message.data.length);
    const { now } = this.#runtime;
    now.source = "";
    // A control message has no time of its own: it holds from where the log has come to.
    now.timeMs = now.watermarkMs === Number.NEGATIVE_INFINITY ? 0 : now.watermarkMs;
    let body: unknown;
    try {
      body = JSON.parse(Buffer.from(message.data).toString("utf8"));
      if (body === null || typeof body !== "object") throw new TypeError("not an object");
    } catch (error) {
      this.#intake.dead(
        new MillraceError("MR_EVENT_MALFORMED", `control message ${message.subject}: ${reasonOf(error)}`),
      );
      return;
    }
    if (token === "_tick") yield* this.#tick(body as Tick, message);
    else if (token === "_mark") yield* this.#mark(body as { task: string; watermarkMs: number });
    else if (token === "_ctl") yield* this.#apply(message.subject, body);
  }

  *#tick(tick: Tick, message: LogMessage): Steps {
    if (typeof tick.source !== "string" || !Number.isSafeInteger(tick.t)) {
      this.#intake.dead(
        new MillraceError(
          "MR_EVENT_MALFORMED",
          `control message ${message.subject}: a tick needs source and integer t`,
        ),
      );
      return;
    }
    const moved = this.#marks.tick(tick);
    const { now, silences } = this.#runtime;
    now.timeMs = tick.t;
    const silentForMs = this.#marks.silentForMs(tick.source);
    for (const check of silences) check(tick.source, silentForMs);
    if (moved) yield* this.#advance(this.#marks.watermarkMs);
  }

  /** A mark of the stage before: its task is a source whose clock is its watermark. */
  *#mark({ task, watermarkMs }: { task: string; watermarkMs: number }): Steps {
    if (typeof task !== "string" || !Number.isSafeInteger(watermarkMs)) return; // our own writing: what is none says nothing
    if (this.#producers !== undefined && !this.#producers.includes(task)) return;
    if (this.#marks.tick({ source: task, t: watermarkMs, mark: watermarkMs }))
      yield* this.#advance(this.#marks.watermarkMs);
  }

  *#setProducers({ producers }: { producers: readonly string[] }): Steps {
    if (this.#marks.setProducers(producers, isTask)) yield* this.#advance(this.#marks.watermarkMs);
  }

  *#apply(subject: string, body: unknown): Steps {
    const kind = subject.slice(subject.lastIndexOf(".") + 1);
    if (kind === "producers") yield* this.#setProducers(body as { producers: readonly string[] });
    const runtime = this.#runtime;
    for (const handle of runtime.controls.get(kind) ?? []) runtime.attempt(handle, body);
  }

  /**
   * Fires everything due by `toMs`, earliest time first, at one time in the order of declaration, so that an operator hears
   * everything its producers say at a time before its own clock reaches it. Bigger steps therefore give the same results.
   */
  *#advance(toMs: number): Steps {
    const runtime = this.#runtime;
    const { operators, now } = runtime;
    now.source = "";
    for (;;) {
      let at = toMs;
      for (const operator of operators) {
        const dueMs = operator.nextMs();
        if (dueMs < at) at = dueMs;
      }
      if (at < now.watermarkMs) at = now.watermarkMs; // set for a time that has passed already
      now.watermarkMs = at;
      for (const operator of operators) {
        if (operator.advanceInSteps !== undefined && operator.nextMs() <= at) yield* operator.advanceInSteps(at);
        else operator.advance(at);
      }
      if (at === toMs) break;
      if (runtime.isStepOver()) yield;
    }
    this.#passOn(toMs);
  }

  /** A mark for the next stage, behind the outputs it covers, when the watermark crosses a multiple of the interval. */
  #passOn(watermarkMs: number): void {
    const { marks } = this.#blueprint;
    if (marks === undefined) return;
    const markMs = Math.floor(watermarkMs / marks.everyMs) * marks.everyMs;
    if (markMs <= this.#passedMs) return;
    this.#passedMs = markMs;
    const { task, partitions } = this.#context;
    for (let q = 0; q < partitions; q++) {
      const subject = `${marks.stream}.${q}._mark.${encodeToken(task)}`;
      this.#runtime.emit({ stream: marks.stream, subject, record: { kind: "mark", task, watermarkMs: markMs } });
    }
  }

  counters(): Counters {
    return { ...this.#intake.counts, duplicates: this.#runtime.duplicates, late: this.#runtime.lateCount };
  }

  watermarkMs(): number | undefined {
    const { watermarkMs } = this.#marks;
    return watermarkMs === Number.NEGATIVE_INFINITY ? undefined : watermarkMs;
  }

  /** Size of each operator's state. */
  metrics(): readonly OperatorMetrics[] {
    return this.#runtime.operators.map((operator) => operator.metrics());
  }

  held(key: Key): readonly Held[] {
    return this.#runtime.operators.flatMap((operator) =>
      (operator.held?.(key) ?? []).map((part) => ({ operator: operator.name, ...part })),
    );
  }

  *heldKeys(): Generator<Key> {
    for (const operator of this.#runtime.operators) yield* operator.heldKeys?.() ?? [];
  }

  save(): Uint8Array {
    return Buffer.concat(this.saveParts());
  }

  saveParts(): readonly Uint8Array[] {
    const parts = [this.#saveHead()];
    for (const operator of this.#byName()) {
      const writer = new ByteWriter(16 * 1024, PIECE_BYTES);
      operator.save(writer);
      for (const part of framed(operator.name, writer)) parts.push(part);
    }
    return parts;
  }

  beginSave(): StepwiseSave {
    const head = this.#saveHead();
    const jobs = this.#byName().map((operator) => {
      const writer = new ByteWriter(16 * 1024, PIECE_BYTES);
      const steps = operator.saveInSteps?.(writer);
      if (steps === undefined) operator.save(writer);
      else steps.next();
      return { name: operator.name, writer, steps };
    });
    let at = 0;
    const save = {
      parts: [head] as readonly Uint8Array[], // all there is where no operator has state
      step: () => {
        const job = jobs[at];
        if (job === undefined) return true;
        if (job.steps !== undefined && job.steps.next().done !== true) return false;
        if (++at < jobs.length) return false;
        save.parts = [head, ...jobs.flatMap(({ name, writer }) => framed(name, writer))];
        return true;
      },
    };
    return save;
  }

  #byName(): readonly Operator[] {
    return [...this.#runtime.operators].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #saveHead(): Uint8Array {
    const { name, version } = this.#blueprint;
    const { operators, now, duplicates, lateCount } = this.#runtime;
    const writer = new ByteWriter(4 * 1024);
    writer.uint(MAGIC);
    writer.uint(FORMAT);
    writer.text(name);
    writer.uint(version);
    const { received, deadLettered, accepted } = this.#intake.counts;
    for (const count of [received, deadLettered, accepted, duplicates, lateCount]) writer.uint(count);
    writer.f64(now.watermarkMs);
    writer.f64(this.#passedMs);
    this.#marks.save(writer);
    writer.uint(operators.length);
    return writer.finish();
  }

  load(state: Uint8Array): void {
    const { name, version } = this.#blueprint;
    const { operators, now } = this.#runtime;
    const refuse = (why: string, what = name): never => {
      throw new MillraceError("MR_STATE_INCOMPATIBLE", `state of ${what} incompatible: ${why}`);
    };
    const reader = new ByteReader(state);
    if (reader.uint() !== MAGIC) refuse("it is not saved state");
    const format = reader.uint();
    if (format !== FORMAT) refuse(`it has format ${format}, this program reads ${FORMAT}`);
    const found = `${reader.text()} version ${reader.uint()}`;
    if (found !== `${name} version ${version}`) refuse(`saved by ${found}, this is version ${version}`);
    const [received, deadLettered, accepted] = [reader.uint(), reader.uint(), reader.uint()];
    Object.assign(this.#intake.counts, { received, deadLettered, accepted });
    this.#runtime.duplicates = reader.uint();
    this.#runtime.lateCount = reader.uint();
    now.watermarkMs = reader.f64();
    this.#passedMs = reader.f64();
    this.#marks.load(reader);
    const byName = new Map(operators.map((operator) => [operator.name, operator]));
    for (let left = reader.uint(); left > 0; left--) {
      const operator = reader.text();
      const target = byName.get(operator) ?? refuse("there is none of that name", `operator ${operator}`);
      const part = new ByteReader(reader.bytes());
      try {
        target.load(part);
      } catch (error) {
        refuse(reasonOf(error), `operator ${operator}`);
      }
      if (part.left > 0) refuse(`${part.left} bytes too many`, `operator ${operator}`);
      byName.delete(operator);
    }
    for (const operator of byName.keys()) refuse("it was not saved", `operator ${operator}`);
    if (reader.left > 0) refuse(`${reader.left} bytes too many`);
    this.#runtime.undo.begin();
  }
}

/** Tasks are named `<pipeline>/<partition>`; time sources of doors have no slash. */
function isTask(name: string): boolean {
  return name.includes("/");
}

/** An operator's part of the state: its name, then its bytes with their length. */
function framed(name: string, part: ByteWriter): Uint8Array[] {
  const writer = new ByteWriter(64);
  writer.text(name);
  writer.uint(part.length);
  return [writer.finish(), ...part.finishPieces()];
}

/** `_tick`, `_mark` or `_ctl` of `<stream>.<p>._…`; undefined for data. */
function controlOf(subject: string): string | undefined {
  const partition = subject.indexOf(".") + 1;
  const third = subject.indexOf(".", partition) + 1;
  if (third === 0 || subject.charCodeAt(third) !== UNDERSCORE) return undefined;
  const end = subject.indexOf(".", third);
  return end < 0 ? subject.slice(third) : subject.slice(third, end);
}

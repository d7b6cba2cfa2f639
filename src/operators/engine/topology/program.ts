import { createHash } from "node:crypto";
import {
  type Counters,
  type Emit,
  encodeToken,
  type LogMessage,
  MillraceError,
  type Output,
  type Program,
  type StepwiseSave,
  type TaskContext,
} from "../../../core/index.js";
import { inTurn } from "../aggregates/fuse.js";
import { ByteReader, ByteWriter } from "../state/bytes.js";
import { Marks, type Tick } from "../time/marks.js";
import { Seen } from "../time/seen.js";
import type { Node } from "./node.js";
import { type Late, type Operator, type OperatorMetrics, type Push, Runtime } from "./runtime.js";
import type { Malformed, Source } from "./source.js";

const MAGIC = 0x4d5253; // "MRS"
/** Raised when the container changes. */
const FORMAT = 1;
/** Saved state is written in pieces of this size: a larger one could only grow by being moved, which is a pause. */
const PIECE_BYTES = 0x10_0000;
const UNDERSCORE = 95;
const NOTHING_KNOWN: Malformed = {};

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

type Counting = { -readonly [Name in keyof Counters]: Counters[Name] };

/**
 * A topology at work on one partition: each event is pushed through fused closures, each watermark through the operators in the
 * order they were declared. Implements core's `Program`; see there for what it promises.
 */
export class EngineProgram<V> implements Program {
  readonly #blueprint: Blueprint<V>;
  readonly #runtime: Runtime;
  readonly #marks: Marks;
  readonly #push: Push<V>;
  readonly #seen: Seen | undefined;
  readonly #producers: readonly string[] | undefined;
  #counts: Counting = { received: 0, duplicates: 0, deadLettered: 0, late: 0, accepted: 0 };
  #eventId = "";
  /** The latest mark passed on. */
  #passedMs = Number.NEGATIVE_INFINITY;
  readonly #context: TaskContext;
  #from = 0;
  #to = 0;
  #value: V | undefined;
  readonly lookAhead?: (messages: readonly LogMessage[]) => Promise<readonly unknown[]>;

  constructor(blueprint: Blueprint<V>, context: TaskContext) {
    this.#blueprint = blueprint;
    this.#context = context;
    this.#marks = new Marks(blueprint.source.timing ?? {});
    this.#runtime = new Runtime({
      onLate: (late) => {
        this.#runtime.emit(blueprint.lateOutput(late, this.#idOf()));
      },
      onDead: (error) => this.#dead(error),
    });
    this.#push = compile(blueprint.root, blueprint.roots, this.#runtime);
    const { unique, producers } = blueprint.source;
    if (unique !== undefined) {
      this.#seen = new Seen(blueprint.root.id, blueprint.root.name, unique.ttlMs);
      this.#runtime.operators.push(this.#seen);
    }
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
    const { now, outputs } = this.#runtime;
    now.sequence = message.sequence;
    now.message = message;
    now.ahead = ahead;
    now.index = -1;
    now.key = "";
    const control = controlOf(message.subject);
    if (control === undefined) this.#decode(message);
    else this.#control(control, message);
    now.message = undefined;
    now.ahead = undefined;
    if (outputs.length === 0) return;
    for (const output of outputs) emit(output);
    outputs.length = 0;
  }

  #decode(message: LogMessage): void {
    try {
      this.#blueprint.source.decode(message, this.#found, this.#runtime.now.ahead);
    } catch (error) {
      if (!this.#inDecoder) throw error;
      this.#found.malformed(`cannot be decoded: ${messageOf(error)}`, 0, message.data.length);
    }
  }

  /** False while an event is being processed: what is thrown then is not the decoder's. */
  #inDecoder = true;

  readonly #found = {
    event: (value: V, from: number, to: number): void => {
      this.#inDecoder = false;
      this.#event(value, from, to);
      this.#inDecoder = true;
    },
    malformed: (reason: string, from: number, to: number, about: Malformed = NOTHING_KNOWN): void => {
      const { now } = this.#runtime;
      this.#counts.received++;
      now.index++;
      now.source = headerSource(now.message as LogMessage);
      this.#value = undefined;
      this.#from = from;
      this.#to = to;
      this.#eventId = about.id ?? "";
      this.#refuse(reason, about.bytes);
    },
  };

  #event(value: V, from: number, to: number): void {
    const runtime = this.#runtime;
    const { now } = runtime;
    const { source } = this.#blueprint;
    const message = now.message as LogMessage;
    this.#counts.received++;
    now.index++;
    this.#value = value;
    this.#from = from;
    this.#to = to;
    this.#eventId = "";
    now.source = source.source === undefined ? headerSource(message) : source.source(value, message);
    const timeMs = source.time(value);
    if (timeMs !== undefined && !Number.isSafeInteger(timeMs)) {
      this.#refuse(`event time must be an integer of ms, got ${timeMs}`);
      return;
    }
    const isAhead = timeMs !== undefined && this.#marks.isAhead(now.source, timeMs);
    if (isAhead && source.timing?.ahead !== "sourceTime") {
      this.#refuse("beyond source time");
      return;
    }
    if (timeMs === undefined || isAhead) {
      now.timeMs = this.#marks.timeOf(now.source) ?? timeMs ?? 0;
    } else {
      now.timeMs = timeMs;
    }
    const identity = source.unique?.by(value);
    if (identity !== undefined && !this.#isNew(identity)) return;
    if (timeMs !== undefined && !isAhead) this.#marks.observe(now.source, timeMs);
    const duplicates = runtime.duplicates;
    if (!runtime.attempt(this.#push, value)) {
      if (identity !== undefined) this.#seen?.takeBack(identity);
    } else if (runtime.duplicates === duplicates) {
      this.#counts.accepted++;
    }
  }

  /** Counts it where it is not. The source's clock tells when it was delivered: its own time may be years back. */
  #isNew(identity: string): boolean {
    const { now } = this.#runtime;
    if (this.#seen?.isNew(identity, this.#marks.timeOf(now.source) ?? now.timeMs) ?? true) return true;
    this.#runtime.duplicates++;
    return false;
  }

  /** The identity of the event at hand, made only when something asks for it. */
  #idOf(): string {
    const { now } = this.#runtime;
    if (now.message !== undefined && this.#value !== undefined && this.#eventId === "") {
      const { id } = this.#blueprint.source;
      this.#eventId = id === undefined ? `${now.sequence}/${now.index}` : id(this.#value, now.message, now.index);
    }
    return this.#eventId;
  }

  /** Sets the event at hand aside, once where the source is `unique`. */
  #refuse(reason: string, bytes = this.#bytes()): void {
    const { now } = this.#runtime;
    if (this.#seen !== undefined) {
      const hash = createHash("sha256").update(bytes).digest("hex");
      now.timeMs = 0;
      if (!this.#isNew(`refused ${hash} ${now.index}`)) return;
    }
    this.#dead(new MillraceError("MR_EVENT_MALFORMED", reason), bytes);
  }

  #bytes(): Uint8Array {
    return (this.#runtime.now.message as LogMessage).data.subarray(this.#from, this.#to);
  }

  #dead(error: unknown, bytes = this.#bytes()): void {
    const { now, step } = this.#runtime;
    this.#counts.deadLettered++;
    const place = {
      message: now.message as LogMessage,
      index: Math.max(0, now.index),
      bytes,
      source: now.source,
      eventId: this.#idOf(),
    };
    this.#runtime.emit(this.#blueprint.deadOutput({ error, step: this.#blueprint.stepName(step), ...place }));
  }

  #control(token: string, message: LogMessage): void {
    this.#from = 0;
    this.#to = message.data.length;
    this.#value = undefined;
    this.#eventId = "";
    const { now } = this.#runtime;
    now.source = "";
    // A control message has no time of its own: it holds from where the log has come to.
    now.timeMs = now.watermarkMs === Number.NEGATIVE_INFINITY ? 0 : now.watermarkMs;
    let body: unknown;
    try {
      body = JSON.parse(Buffer.from(message.data).toString("utf8"));
      if (body === null || typeof body !== "object") throw new TypeError("not an object");
    } catch (error) {
      this.#dead(new MillraceError("MR_EVENT_MALFORMED", `control message ${message.subject}: ${messageOf(error)}`));
      return;
    }
    if (token === "_tick") this.#tick(body as Tick, message);
    else if (token === "_mark") this.#mark(body as { task: string; watermarkMs: number });
    else if (token === "_ctl") this.#apply(message.subject, body);
  }

  #tick(tick: Tick, message: LogMessage): void {
    if (typeof tick.source !== "string" || !Number.isSafeInteger(tick.t)) {
      this.#dead(
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
    if (moved) this.#advance(this.#marks.watermarkMs);
  }

  /** A mark of the stage before: its task is a source whose clock is its watermark. */
  #mark({ task, watermarkMs }: { task: string; watermarkMs: number }): void {
    if (typeof task !== "string" || !Number.isSafeInteger(watermarkMs)) return; // our own writing: what is none says nothing
    if (this.#producers !== undefined && !this.#producers.includes(task)) return;
    if (this.#marks.tick({ source: task, t: watermarkMs, mark: watermarkMs })) this.#advance(this.#marks.watermarkMs);
  }

  #setProducers({ producers }: { producers: readonly string[] }): void {
    if (this.#marks.setProducers(producers, isTask)) this.#advance(this.#marks.watermarkMs);
  }

  #apply(subject: string, body: unknown): void {
    const kind = subject.slice(subject.lastIndexOf(".") + 1);
    if (kind === "producers") this.#setProducers(body as { producers: readonly string[] });
    const runtime = this.#runtime;
    for (const handle of runtime.controls.get(kind) ?? []) runtime.attempt(handle, body);
  }

  /**
   * Fires everything due by `toMs`, earliest time first, at one time in the order of declaration, so that an operator hears
   * everything its producers say at a time before its own clock reaches it. Bigger steps therefore give the same results.
   */
  #advance(toMs: number): void {
    const { operators, now } = this.#runtime;
    now.source = "";
    this.#value = undefined;
    for (;;) {
      let at = toMs;
      for (const operator of operators) {
        const dueMs = operator.nextMs();
        if (dueMs < at) at = dueMs;
      }
      if (at < now.watermarkMs) at = now.watermarkMs; // set for a time that has passed already
      now.watermarkMs = at;
      for (const operator of operators) operator.advance(at);
      if (at === toMs) break;
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
    return { ...this.#counts, duplicates: this.#runtime.duplicates, late: this.#runtime.lateCount };
  }

  watermarkMs(): number | undefined {
    const { watermarkMs } = this.#marks;
    return watermarkMs === Number.NEGATIVE_INFINITY ? undefined : watermarkMs;
  }

  /** Size of each operator's state. */
  metrics(): readonly OperatorMetrics[] {
    return this.#runtime.operators.map((operator) => operator.metrics());
  }

  save(): Uint8Array {
    const parts = [this.#saveHead()];
    for (const operator of this.#byName()) {
      const writer = new ByteWriter(16 * 1024, PIECE_BYTES);
      operator.save(writer);
      parts.push(...framed(operator.name, writer));
    }
    return Buffer.concat(parts);
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
      parts: [] as readonly Uint8Array[],
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
    for (const count of [
      this.#counts.received,
      this.#counts.deadLettered,
      this.#counts.accepted,
      duplicates,
      lateCount,
    ])
      writer.uint(count);
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
    this.#counts = { received, deadLettered, accepted, duplicates: 0, late: 0 };
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
        refuse(messageOf(error), `operator ${operator}`);
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

function headerSource(message: LogMessage): string {
  return message.header("Millrace-Source") ?? "live";
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

/** One push for the root, made consumers first. A node with several producers is made once. */
function compile<V>(root: Node, roots: readonly Node[], runtime: Runtime): Push<V> {
  // biome-ignore lint/suspicious/noExplicitAny: edges of all types meet here; the typed API keeps them apart.
  type Edges = readonly Push<any>[];
  const made = new Map<Node, Edges>();
  const build = (node: Node): Edges => {
    const known = made.get(node);
    if (known !== undefined) return known;
    const consumers = node.consumers.map((consumer) => build(consumer.node)[consumer.port] as Edges[number]);
    const pushes = node.make(runtime, fan(consumers));
    made.set(node, pushes);
    return pushes;
  };
  const [push] = build(root);
  for (const other of roots) build(other);
  return push as Push<V>;
}

// biome-ignore lint/suspicious/noExplicitAny: as in `compile`.
function fan(consumers: readonly Push<any>[]): Push<any> {
  const [only] = consumers;
  if (only === undefined) return () => undefined;
  if (consumers.length === 1) return only;
  return inTurn(
    consumers,
    ["value"],
    consumers.map(() => "value"),
  );
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

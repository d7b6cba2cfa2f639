import type { Inference, LogMessage, Output } from "../../../core/index.js";
import type { TimeOptions } from "../time/marks.js";
import type { EngineProgram } from "../topology/program.js";
import type { OperatorMetrics } from "../topology/runtime.js";
import { type Source, source } from "../topology/source.js";
import type { Target } from "../topology/steps.js";
import type { Topology } from "../topology/topology.js";

/** An event as the test kit feeds it. */
export interface Sent<V> {
  readonly timeMs: number;
  readonly value: V;
  /** @default a serial number */
  readonly id?: string;
  /** @default `live` */
  readonly source?: string;
}

/** A source whose events are handed over as they are: for tests of what comes after decoding. */
export function testSource<V>(
  options: { readonly stream?: string; readonly timing?: TimeOptions } = {},
): Source<Sent<V>> {
  return source<Sent<V>>({
    stream: options.stream ?? "test",
    decode: (message, found) => found.event((message as TestMessage<V>).sent, 0, message.data.length),
    time: ({ timeMs }) => timeMs,
    source: ({ source = "live" }) => source,
    id: ({ id }, message) => id ?? String(message.sequence),
    ...(options.timing && { timing: options.timing }),
  });
}

interface TestMessage<V> extends LogMessage {
  readonly sent: Sent<V>;
}

/** A target that makes a `row` record of each value. */
export function testTarget<V>(stream = "out"): Target<V> {
  return { stream, write: (value) => ({ stream, subject: `${stream}.0`, record: { kind: "row", value } }) };
}

const NO_INFERENCE: Inference = { run: () => Promise.reject(new Error("the test kit has no inference")) };
const EMPTY = new Uint8Array(0);

/**
 * Runs a topology as one partition under a clock of its own: feed events and ticks, cut anywhere, read what came out. No log, no
 * files, no waiting.
 *
 * Strict: every value given out and every record is frozen deeply, so a function that changes one in place is found out.
 */
export class TestKit<V = unknown> {
  readonly #topology: Topology;
  #program: EngineProgram<unknown>;
  #sequence = 0;
  readonly #outputs: Output[] = [];
  /** Cut before every message: save, load into a fresh program, go on with that. */
  cutAlways = false;

  constructor(topology: Topology) {
    this.#topology = topology;
    this.#program = this.#create();
  }

  #create(): EngineProgram<unknown> {
    return this.#topology.create({
      task: `${this.#topology.name}/0`,
      partition: 0,
      partitions: 1,
      inference: NO_INFERENCE,
    });
  }

  /** One event of a `testSource`. */
  event(timeMs: number, value: V, options: { readonly id?: string; readonly source?: string } = {}): this {
    const sent = freeze({ timeMs, value, ...options });
    return this.#apply({ subject: `${this.#topology.source}.0.event`, data: EMPTY, sent });
  }

  events(events: Iterable<Sent<V>>): this {
    for (const { timeMs, value, ...options } of events) this.event(timeMs, value, options);
    return this;
  }

  /** A message as bytes, for topologies with a decoder; `token` ends its subject. */
  message(data: Uint8Array | string, headers: Readonly<Record<string, string>> = {}, token = "event"): this {
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    return this.#apply({ subject: `${this.#topology.source}.0.${token}`, data: bytes, headers });
  }

  /** Time passes in a source; `mark` promises that nothing earlier comes. */
  tick(t: number, options: { readonly source?: string; readonly mark?: number; readonly retire?: boolean } = {}): this {
    const { source: name = "live", ...rest } = options;
    return this.#json(`_tick.${name}`, { source: name, t, ...rest });
  }

  /** Moves the watermark of the source `live` to exactly `timeMs`. */
  watermark(timeMs: number): this {
    return this.tick(timeMs, { mark: timeMs });
  }

  /** A task of the stage before says how far it has come. */
  mark(task: string, watermarkMs: number): this {
    return this.#json("_mark.task", { kind: "mark", task, watermarkMs });
  }

  control(kind: string, body: object): this {
    return this.#json(`_ctl.${kind}`, body);
  }

  #json(token: string, body: object): this {
    return this.#apply({ subject: `${this.#topology.source}.0.${token}`, data: Buffer.from(JSON.stringify(body)) });
  }

  #apply(message: {
    subject: string;
    data: Uint8Array;
    sent?: Sent<V>;
    headers?: Readonly<Record<string, string>>;
  }): this {
    if (this.cutAlways) this.cut();
    const { headers = {}, ...rest } = message;
    const whole = { ...rest, sequence: ++this.#sequence, header: (name: string) => headers[name] };
    this.#program.apply(whole, undefined, (output) => this.#outputs.push(freeze(output)));
    return this;
  }

  /** Saves, loads into a fresh program and goes on with that. Returns the bytes. */
  cut(): Uint8Array {
    const bytes = this.#program.save();
    this.#program = this.#create();
    this.#program.load(bytes);
    return bytes;
  }

  /** Begins a save in steps; see `EngineProgram.beginSave`. */
  beginSave(): ReturnType<EngineProgram<unknown>["beginSave"]> {
    return this.#program.beginSave();
  }

  save(): Uint8Array {
    return this.#program.save();
  }

  /** Everything said since the last call, or since the beginning. */
  take(): readonly Output[] {
    return this.#outputs.splice(0);
  }

  /** The values that reached `testTarget(stream)` so far. */
  rows<R = unknown>(stream = "out"): readonly R[] {
    return this.#records(stream).map((record) => (record as unknown as { value: R }).value);
  }

  late(): readonly {
    readonly eventId: string;
    readonly tsMs: number;
    readonly lateByMs: number;
    readonly key: string;
  }[] {
    return this.#records("late") as never;
  }

  dead(): readonly { readonly eventId: string; readonly reason: string; readonly stack?: string }[] {
    return this.#records("dead") as never;
  }

  #records(stream: string): readonly Output["record"][] {
    return this.#outputs.filter((output) => output.stream === stream).map(({ record }) => record);
  }

  counters(): ReturnType<EngineProgram<unknown>["counters"]> {
    return this.#program.counters();
  }

  metrics(): readonly OperatorMetrics[] {
    return this.#program.metrics();
  }
}

function freeze<T>(value: T): T {
  if (value === null || typeof value !== "object" || ArrayBuffer.isView(value) || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const item of Object.values(value)) freeze(item);
  return value;
}

import {
  type DeadLetter,
  encodeToken,
  type LateEvent,
  type LogMessage,
  MillraceError,
  type Output,
  type Pipeline,
  type Program,
  reasonOf,
  type TaskContext,
  type TopologyStep,
} from "../../../core/index.js";
import { Table, type TableOptions } from "../joins/table.js";
import { SilenceWatch } from "../time/silence.js";
import type { Node, NodeOptions } from "./node.js";
import { type Blueprint, EngineProgram } from "./program.js";
import type { Late, Push, Runtime } from "./runtime.js";
import type { Decoder, Found, Source } from "./source.js";
import { Stream } from "./stream.js";

const SHOWN_BYTES = 64 * 1024;

export interface TopologyOptions {
  /** One sentence for `millrace topology`. @default the name */
  readonly summary?: string;
  /** Raised when state or outputs change meaning: part of the snapshot's identity. @default 1 */
  readonly version?: number;
  /** The source is one sequence, whatever the number of partitions: there is one task. @default false */
  readonly single?: boolean;
  /** What the record of an event that missed its window says of it. @default the key, and what the source's domain suggests */
  readonly late?: (late: Late) => Pick<LateEvent, "domain" | "key">;
  /**
   * Tells every partition of the next stage, in `stream`, how far time has come: when the watermark crosses a multiple of `everyMs`.
   * @default no marks
   */
  readonly marks?: { readonly stream: string; readonly everyMs: number };
  /** Batch function over a slice of messages before they are applied; item i is `at.ahead` while message i is. See `Program`. */
  readonly lookAhead?: (messages: readonly LogMessage[], context: TaskContext) => Promise<readonly unknown[]>;
}

/** Begins a topology: `pipeline("name").from(source)…to(target)`. It is itself what the runtime runs. */
export function pipeline(name: string, options: TopologyOptions = {}): Topology {
  return new Topology(name, options);
}

/** A source fell silent, or is back. */
export interface SilenceEvent {
  readonly source: string;
  /** `silent` once when the time is up, `back` once when events come again. */
  readonly kind: "silent" | "back";
  /** By the source's own clock, ms. */
  readonly atMs: number;
}

/** A declared topology, and core's `Pipeline`: create() gives the program of one partition. */
export class Topology implements Pipeline {
  readonly name: string;
  readonly summary: string;
  readonly version: number;
  readonly single: boolean;
  readonly nodes: Node[] = [];
  readonly tables: Table<unknown>[] = [];
  readonly #options: TopologyOptions;
  #source: Source<unknown> | undefined;
  #root: Node | undefined;

  constructor(name: string, options: TopologyOptions) {
    this.name = name;
    this.summary = options.summary ?? name;
    this.version = options.version ?? 1;
    this.single = options.single ?? false;
    this.#options = options;
  }

  /** Errors: MR_OPTION_INVALID for a second source: a task reads one stream. */
  from<V>(source: Source<V>): Stream<V> {
    if (this.#source !== undefined && (this.#source as unknown) !== source) {
      throw new MillraceError(
        "MR_OPTION_INVALID",
        `${this.name} reads ${this.#source.stream}; a second source (${source.stream}) must enter that log as control messages`,
      );
    }
    this.#source = source as Source<unknown>;
    const { stream, unique } = source;
    this.#root ??= this.declare({
      name: `from ${stream}`,
      kind: "source",
      detail: unique === undefined ? stream : `${stream}, each event once within ${unique.ttlMs} ms`,
      stateful: unique !== undefined,
      make: (_runtime, next) => [next],
    });
    return new Stream(this, this.#root);
  }

  /** Control messages `<stream>.<p>._ctl.<kind>` as a stream of their bodies. `check` throws what is wrong with one. */
  control<C>(kind: string, check: (body: unknown) => C): Stream<C> {
    const node: Node = this.declare({
      name: `control ${kind}`,
      kind: "source",
      detail: `_ctl.${kind}`,
      make: (runtime, next: Push<C>) => {
        listen(runtime, kind, (body) => {
          runtime.step = node.id;
          next(check(body));
        });
        return [next];
      },
    });
    this.#roots.push(node);
    return new Stream(this, node);
  }

  readonly #roots: Node[] = [];

  /** A lookup table whose changes arrive as control messages. */
  table<T>(name: string, options: TableOptions<T>): Table<T> {
    const table = new Table<T>(
      this.declare({
        name,
        kind: "operator",
        detail: `table of _ctl.${options.kind}`,
        stateful: true,
        make: (runtime) => {
          table.readerIn(runtime);
          return [];
        },
      }).id,
      name,
      options,
    );
    this.#roots.push(this.nodes[this.nodes.length - 1] as Node);
    this.tables.push(table as Table<unknown>);
    return table;
  }

  /** A source's silence as an event of its own: nothing from it for `afterMs` of its own clock. */
  silence(name: string, { afterMs }: { readonly afterMs: number }): Stream<SilenceEvent> {
    const node: Node = this.declare({
      name,
      kind: "source",
      detail: `sources silent for ${afterMs} ms`,
      stateful: true,
      make: (runtime, next: Push<SilenceEvent>) => {
        const watch = new SilenceWatch(node.id, name, runtime, afterMs, next);
        runtime.operators.push(watch);
        return [next];
      },
    });
    this.#roots.push(node);
    return new Stream(this, node);
  }

  /** Adds a step; the typed streams call this. Errors: MR_OPTION_INVALID for a second stateful step of one name. */
  declare({
    stateful = false,
    to = [],
    warnings = [],
    keyed = false,
    local = false,
    latenessMs,
    ...rest
  }: NodeOptions): Node {
    if (stateful && this.nodes.some((node) => node.stateful && node.name === rest.name)) {
      throw new MillraceError(
        "MR_OPTION_INVALID",
        `${this.name}: two steps are called ${rest.name}; state is matched by name`,
      );
    }
    const node: Node = {
      ...rest,
      id: this.nodes.length,
      stateful,
      to,
      warnings,
      keyed,
      local,
      latenessMs,
      consumers: [],
    };
    this.nodes.push(node);
    return node;
  }

  /** Replaces the source's decoder: for measurements and tests that bring decoded values. */
  decodeWith(decode: (message: LogMessage, found: Found<unknown>) => void): this {
    this.#source = { ...this.#definition(), decode: decode as Decoder<unknown> };
    return this;
  }

  get source(): string {
    return this.#definition().stream;
  }

  get writes(): readonly string[] {
    const streams = new Set(this.nodes.flatMap(({ to }) => to));
    streams.add("dead");
    streams.add("late");
    if (this.#options.marks !== undefined) streams.add(this.#options.marks.stream);
    return [...streams].sort();
  }

  get steps(): readonly TopologyStep[] {
    return this.nodes.map(({ name, kind, detail, to }) => ({ name, kind, detail, ...(to.length > 0 && { to }) }));
  }

  create(context: TaskContext): EngineProgram<unknown> & Program {
    return new EngineProgram(this.#blueprint(), context);
  }

  /** The source, once there is one. */
  get definition(): Source<unknown> | undefined {
    return this.#source;
  }

  #definition(): Source<unknown> {
    if (this.#source === undefined) throw new MillraceError("MR_OPTION_INVALID", `${this.name} has no source`);
    return this.#source;
  }

  #blueprint(): Blueprint<unknown> {
    const source = this.#definition();
    const domain = source.domain ?? (source.stream === "github" ? "github" : "telemetry");
    const { lookAhead, late, marks } = this.#options;
    return {
      name: this.name,
      version: this.version,
      source,
      root: this.#root as Node,
      roots: this.#roots,
      ...(lookAhead && { lookAhead }),
      ...(marks && { marks }),
      lateOutput: (event, eventId) => this.#late(event, eventId, late?.(event) ?? described(event, domain)),
      deadOutput: (dead) => deadLetter(dead, domain),
      stepName: (id) => this.nodes[id]?.name ?? "",
    };
  }

  #late({ timeMs, lateByMs }: Late, eventId: string, about: Pick<LateEvent, "domain" | "key">): Output {
    const { domain, key } = about;
    return {
      stream: "late",
      subject: `late.${encodeToken(this.name)}`,
      record: { kind: "late", pipeline: this.name, domain, key, eventId, tsMs: timeMs, lateByMs },
    };
  }
}

function described({ key }: Late, domain: DeadLetter["domain"]): Pick<LateEvent, "domain" | "key"> {
  return { domain: domain === "github" ? "github" : "sensor", key: String(key) };
}

function listen(runtime: Runtime, kind: string, handle: (body: unknown) => void): void {
  const handlers = runtime.controls.get(kind);
  if (handlers === undefined) runtime.controls.set(kind, [handle]);
  else handlers.push(handle);
}

function deadLetter(dead: Parameters<Blueprint<unknown>["deadOutput"]>[0], domain: DeadLetter["domain"]): Output {
  const { error, step, message, index, bytes, eventId, source } = dead;
  const malformed = error instanceof MillraceError && error.code === "MR_EVENT_MALFORMED";
  const stack = malformed ? undefined : stackOf(error);
  const record: DeadLetter = {
    kind: "dead",
    domain,
    eventId,
    reason: malformed ? error.message : `${step} threw: ${reasonOf(error)}`,
    source,
    door: message.header("Millrace-Door") ?? "",
    subject: message.subject,
    origin: { stream: message.subject.slice(0, message.subject.indexOf(".")), sequence: message.sequence, index },
    bytesBase64: Buffer.from(bytes.subarray(0, SHOWN_BYTES)).toString("base64"),
    bytesTotal: bytes.length,
    ...(stack !== undefined && { stack }),
  };
  return { stream: "dead", subject: `dead.${domain}`, record };
}

/** Function, file and line of the innermost calls, without directories: those differ between machines. */
function stackOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || error.stack === undefined) return undefined;
  const frames = error.stack
    .split("\n")
    .filter((line) => line.trimStart().startsWith("at ") && !line.includes("eval at"));
  return frames
    .slice(0, 3)
    .map((line) => line.trim().replace(/\(?(?:file:\/\/)?\/[^()]*\/([^/()]+)\)?$/, "($1)"))
    .join("\n");
}

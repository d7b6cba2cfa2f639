import { type ChangelogOptions, overChangelog } from "../aggregates/changelog.js";
import { ownFunction } from "../aggregates/fuse.js";
import type { Aggregates, Results, WindowRow } from "../aggregates/plan.js";
import { planAggregates } from "../aggregates/plan.js";
import { IntervalJoin, type IntervalJoinOptions } from "../joins/interval-join.js";
import type { Table } from "../joins/table.js";
import { WindowJoin, type WindowJoinOptions } from "../joins/window-join.js";
import { type Embedded, EmbeddedStep } from "../keyed/embed.js";
import { dedupeInto, Latest } from "../keyed/latest.js";
import { type PatternOptions, patternFunction } from "../keyed/pattern.js";
import { Process } from "../keyed/process.js";
import type { ProcessFunction } from "../keyed/process-function.js";
import { type Dialogue, type Done, dialogue, type RequestOptions } from "../keyed/request.js";
import { type ScoreOptions, ScoreStep } from "../keyed/score.js";
import type { Key } from "../state/keys.js";
import { InOrder } from "../time/in-order.js";
import { describeWindow, makeWindow } from "../windows/make.js";
import { type PerKeyOptions, perKeyWindows } from "../windows/per-key.js";
import type { WindowSpec } from "../windows/specs.js";
import type { Node } from "./node.js";
import type { At, Operator, Push, Runtime } from "./runtime.js";
import {
  type AnyPush,
  extend,
  filterNode,
  flatMapNode,
  guarded,
  type Joint,
  lookupNode,
  mapNode,
  type StepOptions,
  stateless,
  type Target,
  toNode,
  unboundedState,
} from "./steps.js";
import type { Topology } from "./topology.js";

/** An unkeyed stream of `V`. */
export class Stream<V> implements Joint {
  readonly topology: Topology;
  readonly node: Node;

  constructor(topology: Topology, node: Node) {
    this.topology = topology;
    this.node = node;
  }

  map<W>(f: (value: V, at: At) => W, options: StepOptions = {}): Stream<W> {
    return new Stream(this.topology, mapNode(this, false, f as never, options));
  }

  filter<W extends V>(f: (value: V, at: At) => value is W, options?: StepOptions): Stream<W>;
  filter(f: (value: V, at: At) => boolean, options?: StepOptions): Stream<V>;
  filter(f: (value: V, at: At) => boolean, options: StepOptions = {}): Stream<V> {
    return new Stream(this.topology, filterNode(this, false, f as never, options));
  }

  /** Any number of values for one: each `emit` sends one on. */
  flatMap<W>(f: (value: V, emit: (item: W) => void, at: At) => void, options: StepOptions = {}): Stream<W> {
    return new Stream(this.topology, flatMapNode(this, false, f as never, options));
  }

  /**
   * Files the stream under a key. State is kept per partition: the key must be one that all events of a key's partition share
   * (part of the stream's subject), or each partition counts its own part; `lint` asks for `local` or a repartition.
   */
  keyBy<K extends Key>(
    keyOf: (value: V, at: At) => K,
    options: StepOptions & { readonly local?: boolean } = {},
  ): KeyedStream<K, V> {
    const node = stateless<V>(
      this,
      "keyBy",
      keyOf.name || "function",
      true,
      (runtime, next, step) => {
        const refuse = (key: unknown): never => {
          throw new TypeError(`key must be text or a number, got ${key}`);
        };
        return ownFunction<Push<V>>(
          { runtime, now: runtime.now, next, call: guarded(keyOf, options), step, refuse },
          `(value) => {
            runtime.step = step;
            const key = call(value, now);
            if (key !== key || (typeof key !== "string" && typeof key !== "number")) refuse(key);
            const before = now.key;
            now.key = key;
            next(value);
            now.key = before;
          }`,
        );
      },
      options.local,
    );
    return new KeyedStream(this.topology, node);
  }

  union(...others: readonly Stream<V>[]): Stream<V> {
    const inputs = [this, ...others];
    const make: Node["make"] = (_runtime, next) => inputs.map(() => next);
    return new Stream(
      this.topology,
      extend(this, { name: "union", kind: "operator", detail: `${inputs.length} streams`, make }, inputs),
    );
  }

  /** Splits by predicates in order: a value goes to the first that holds, to `rest` when none does. */
  branch<N extends string>(
    predicates: Readonly<Record<N, (value: V) => boolean>>,
  ): Readonly<Record<N | "rest", Stream<V>>> {
    const names = Object.keys(predicates) as N[];
    const taken = (value: V): N | "rest" => names.find((name) => predicates[name](value)) ?? "rest";
    const streams = [...names, "rest" as const].map((name) => {
      const isTaken = (value: V): boolean => taken(value) === name;
      return [name, this.filter(Object.defineProperty(isTaken, "name", { value: name }))] as const;
    });
    return Object.fromEntries(streams) as Record<N | "rest", Stream<V>>;
  }

  /** Drops values whose id was seen within `ttlMs` of event time, and counts them as duplicates. */
  dedupe(name: string, options: { readonly id: (value: V) => Key; readonly ttlMs: number }): Stream<V> {
    const node: Node = extend(this, {
      name,
      kind: "operator",
      detail: `by id within ${options.ttlMs} ms`,
      stateful: true,
      warnings: unboundedState(name, options.ttlMs),
      make: (runtime, next) => {
        const { operator, push } = dedupeInto<V>(
          node.id,
          name,
          runtime,
          { ttlMs: options.ttlMs, idOf: options.id },
          next,
        );
        runtime.operators.push(operator);
        return [push];
      },
    });
    return new Stream(this.topology, node);
  }

  /**
   * Holds values until the watermark has passed them, then hands them on in event time; of one time by `order`, which must follow from
   * the value's content. What comes behind the watermark goes to the late stream.
   */
  inOrder(name: string, options: { readonly order: (value: V) => string }): Stream<V> {
    const node: Node = extend(this, {
      name,
      kind: "operator",
      detail: "event-time order",
      stateful: true,
      make: (runtime, next) => {
        const operator = new InOrder<V>(node.id, name, runtime, options.order, next);
        runtime.operators.push(operator);
        return [operator.push];
      },
    });
    return new Stream(this.topology, node);
  }

  /** An operator written by hand, with state of its own; see `Embedded`. `create` is called once per program. */
  embed<O>(name: string, create: () => Embedded<V, O>): Stream<O> {
    const node: Node = extend(this, {
      name,
      kind: "operator",
      detail: "embedded",
      stateful: true,
      make: (runtime, next) => {
        const step = new EmbeddedStep<V, O>(node.id, name, runtime, create(), next);
        runtime.operators.push(step);
        return [step.push];
      },
    });
    return new Stream(this.topology, node);
  }

  /** Adds what a table says about a key of the value, at this position of the log (or as of event time, see `Table`). */
  lookup<T, W>(table: Table<T>, keyOf: (value: V) => Key, combine: (value: V, found: T | undefined) => W): Stream<W> {
    return new Stream(this.topology, lookupNode(this, false, table, keyOf, combine));
  }

  to(target: Target<V>): Topology {
    return toNode(this, target);
  }
}

/** A stream of `V` filed under `K`: what follows keeps state per key. Stateful steps have names; state is matched by name. */
export class KeyedStream<K extends Key, V> implements Joint {
  readonly topology: Topology;
  readonly node: Node;

  constructor(topology: Topology, node: Node) {
    this.topology = topology;
    this.node = node;
  }

  /** Changes the value, keeps the key. */
  map<W>(f: (value: V, at: At<K>) => W, options: StepOptions = {}): KeyedStream<K, W> {
    return new KeyedStream(this.topology, mapNode(this, true, f as never, options));
  }

  filter<W extends V>(f: (value: V, at: At<K>) => value is W, options?: StepOptions): KeyedStream<K, W>;
  filter(f: (value: V, at: At<K>) => boolean, options?: StepOptions): KeyedStream<K, V>;
  filter(f: (value: V, at: At<K>) => boolean, options: StepOptions = {}): KeyedStream<K, V> {
    return new KeyedStream(this.topology, filterNode(this, true, f as never, options));
  }

  flatMap<W>(f: (value: V, emit: (item: W) => void, at: At<K>) => void, options: StepOptions = {}): KeyedStream<K, W> {
    return new KeyedStream(this.topology, flatMapNode(this, true, f as never, options));
  }

  /** Forgets the key, for another `keyBy` or a union. */
  values(): Stream<V> {
    return new Stream(this.topology, this.node);
  }

  window(name: string, spec: WindowSpec): Windowed<K, V> {
    return new Windowed(this, name, spec);
  }

  /** Tumbling windows under a watermark of each key's own, for devices that store and forward. */
  windowPerKey<A extends Aggregates<V>>(
    name: string,
    options: PerKeyOptions,
    aggregates: A,
  ): KeyedStream<K, WindowRow<K, Results<A>>> {
    return this.process(name, perKeyWindows<K, V, A>(name, options, aggregates));
  }

  process<S, O>(name: string, definition: ProcessFunction<K, V, S, O>): KeyedStream<K, O> {
    const warnings = definition.maxKeys === undefined ? unboundedState(name, definition.ttlMs) : [];
    return this.#stateful(name, "process function", warnings, (id, runtime, next) => {
      const operator = new Process<K, V, S, O>(id, name, runtime, definition, next);
      return { operator, pushes: [operator.push] };
    });
  }

  #stateful<O>(
    name: string,
    detail: string,
    warnings: readonly string[],
    make: (id: number, runtime: Runtime, next: AnyPush) => { operator: Operator; pushes: readonly AnyPush[] },
    inputs: readonly Joint[] = [this],
    kind: Node["kind"] = "operator",
  ): KeyedStream<K, O> {
    const node: Node = extend(
      this,
      {
        name,
        kind,
        detail,
        stateful: true,
        warnings,
        keyed: true,
        make: (runtime, next) => {
          const { operator, pushes } = make(node.id, runtime, next);
          runtime.operators.push(operator);
          return pushes;
        },
      },
      inputs,
    );
    return new KeyedStream(this.topology, node);
  }

  /** Pairs each value with the one before it of the same key; undefined for the first. */
  lag(
    name: string,
    options: { readonly ttlMs: number },
  ): KeyedStream<K, { readonly value: V; readonly before: V | undefined }> {
    return this.#stateful(name, "value before", unboundedState(name, options.ttlMs), (id, runtime, next) => {
      const operator = new Latest<V, V>(id, name, runtime, options.ttlMs, (before, value, remember) => {
        remember(value);
        (next as Push<unknown>)({ value, before });
      });
      return { operator, pushes: [operator.push] };
    });
  }

  /** Passes on a value when what `of` takes from it differs from the key's last; the first always passes. */
  hadChanged(
    name: string,
    options: { readonly of: (value: V) => Key | boolean | null; readonly ttlMs: number },
  ): KeyedStream<K, V> {
    return this.#stateful(name, "changes only", unboundedState(name, options.ttlMs), (id, runtime, next) => {
      const operator = new Latest<V, { of: Key | boolean | null }>(
        id,
        name,
        runtime,
        options.ttlMs,
        (before, value, remember) => {
          const of = options.of(value);
          if (before !== undefined && before.of === of) return;
          remember({ of });
          (next as Push<V>)(value);
        },
      );
      return { operator, pushes: [operator.push] };
    });
  }

  /** A then B within a time; or the absence of B. See `PatternOptions`. */
  pattern<O>(name: string, options: PatternOptions<V, O>): KeyedStream<K, O> {
    return this.process(name, patternFunction<K, V, O>(options));
  }

  /**
   * Asks something outside and waits for the answer: what must wait goes through the log. See `RequestOptions`.
   *
   * Out:   under the value's own key, at the watermark of the answer; or at the value's time + timeoutMs when none came.
   * State: the values that wait. Cuts, replays and restarts ask nothing twice: the question is an output like any other.
   */
  request<A, O>(name: string, options: RequestOptions<V, A, O>): KeyedStream<K, O> {
    const { topology } = this;
    const asked = this.map((value, at): Dialogue<K, V, A> => ({ id: options.id(value), of: { key: at.key, value } }));
    const answers = topology.control(options.answers.kind, (body): Dialogue<K, V, A> => options.answers.read(body));
    const said = asked
      .values()
      .union(answers)
      .keyBy(({ id }) => id, { local: true })
      .process(name, dialogue<K, V, A, O>(options));
    said
      .values()
      .flatMap<V>(({ ask }, emit) => ask !== undefined && emit(ask.value))
      .to(options.ask);
    return said
      .values()
      .flatMap<Done<K, O>>(({ done }, emit) => done !== undefined && emit(done))
      .keyBy(({ key }) => key, { local: true })
      .map(({ result }) => result);
  }

  /** Scores with a model of the key's own, or one for all keys. The model learns once the event has succeeded. */
  score<S, W>(name: string, options: ScoreOptions<V, S, W>): KeyedStream<K, W> {
    const make = (id: number, runtime: Runtime, next: Push<never>) => {
      const operator = new ScoreStep<V, S, W>(id, name, runtime, options, next);
      return { operator, pushes: [operator.push] };
    };
    return this.#stateful(name, `one model per ${options.per ?? "key"}`, [], make, [this], "score");
  }

  /** Pairs of both sides that fall into one tumbling window, when the window ends. */
  joinWindow<W, O>(name: string, other: KeyedStream<K, W>, options: WindowJoinOptions<V, W, O, K>): KeyedStream<K, O> {
    const make = (id: number, runtime: Runtime, next: Push<never>) => {
      const operator = new WindowJoin<V, W, O, K>(id, name, runtime, options, next);
      return { operator, pushes: [operator.left, operator.right] };
    };
    return this.#stateful(name, `window join of ${options.sizeMs} ms`, [], make, [this, other]);
  }

  /** Pairs whose times lie within an interval of each other, as soon as both are there. */
  joinInterval<W, O>(name: string, other: KeyedStream<K, W>, options: IntervalJoinOptions<V, W, O>): KeyedStream<K, O> {
    const make = (id: number, runtime: Runtime, next: Push<never>) => {
      const operator = new IntervalJoin<V, W, O>(id, name, runtime, options, next);
      return { operator, pushes: [operator.left, operator.right] };
    };
    const unbounded = options.afterMs === Number.POSITIVE_INFINITY || options.beforeMs === Number.POSITIVE_INFINITY;
    const warnings =
      unbounded && options.ttlMs === undefined
        ? [`${name}: state is never forgotten (an endless interval without ttlMs)`]
        : [];
    return this.#stateful(
      name,
      `interval join, ${options.beforeMs} ms before to ${options.afterMs} ms after`,
      warnings,
      make,
      [this, other],
    );
  }

  lookup<T, W>(
    table: Table<T>,
    keyOf: (value: V) => Key,
    combine: (value: V, found: T | undefined) => W,
  ): KeyedStream<K, W> {
    return new KeyedStream(this.topology, lookupNode(this, true, table, keyOf, combine));
  }

  to(target: Target<V>): Topology {
    return toNode(this, target);
  }
}

/** A keyed stream cut into windows; `aggregate` says what to compute of each. */
export class Windowed<K extends Key, V> {
  readonly #from: KeyedStream<K, V>;
  readonly #name: string;
  readonly #spec: WindowSpec;

  constructor(from: KeyedStream<K, V>, name: string, spec: WindowSpec) {
    this.#from = from;
    this.#name = name;
    this.#spec = spec;
  }

  /** With `changelog` the stream holds rows and their retractions: what is taken back is taken out of the window again. */
  aggregate<A extends Aggregates<V>>(
    all: A,
    changelog?: ChangelogOptions<V>,
  ): KeyedStream<K, WindowRow<K, Results<A>>> {
    const name = this.#name;
    const spec = this.#spec;
    const aggregates = changelog === undefined ? all : overChangelog<V, A>(name, all, changelog);
    planAggregates(aggregates); // complains now rather than at the start of a task
    const detail = `${describeWindow(spec)}: ${Object.entries(aggregates)
      .map(([as, { name: of }]) => (as === of ? of : `${as} = ${of}`))
      .join(", ")}`;
    const node: Node = extend(this.#from, {
      name,
      kind: "window",
      detail,
      stateful: true,
      keyed: true,
      latenessMs: spec.kind === "count" ? undefined : spec.latenessMs,
      make: (runtime, next) => {
        const window = makeWindow(node.id, name, runtime, spec, aggregates, next);
        runtime.operators.push(window);
        return [window.push];
      },
    });
    return new KeyedStream(this.#from.topology, node);
  }
}

import type { ByteReader, ByteWriter } from "../state/bytes.js";
import { compareKeys, type Key, readKey, writeKey } from "../state/keys.js";
import type { Undoable } from "../state/undo.js";
import { readValue, writeValue } from "../state/values.js";
import type { Operator, OperatorMetrics, Runtime } from "../topology/runtime.js";

export interface TableOptions<T> {
  /** The control messages that change it: `<stream>.<p>._ctl.<kind>`. */
  readonly kind: string;
  /** Reads one change; throws what is wrong with it. A value of undefined removes the key (as of `fromMs`). */
  readonly read: (body: unknown) => { readonly key: Key; readonly value: T | undefined; readonly fromMs?: number };
  /** How long versions that are no longer current are kept for events of an earlier time, ms. 0: only the latest counts. @default 0 */
  readonly keepVersionsMs?: number;
}

interface Version<T> {
  readonly fromMs: number;
  readonly value: T | undefined;
}

/** A lookup table fed by control messages. With `keepVersionsMs` a lookup answers as of event time, else as of the log's position. */
export class Table<T> {
  readonly id: number;
  readonly name: string;
  readonly options: TableOptions<T>;
  readonly versioned: boolean;
  readonly #states = new WeakMap<Runtime, TableState<T>>();

  constructor(id: number, name: string, options: TableOptions<T>) {
    this.id = id;
    this.name = name;
    this.options = options;
    this.versioned = (options.keepVersionsMs ?? 0) > 0;
  }

  /** The table of one program. */
  readerIn(runtime: Runtime): (key: Key, timeMs: number) => T | undefined {
    let state = this.#states.get(runtime);
    if (state === undefined) {
      state = new TableState(this, runtime);
      this.#states.set(runtime, state);
      runtime.operators.push(state);
      const { change } = state;
      const handlers = runtime.controls.get(this.options.kind) ?? [];
      // Tables change before anything else hears of the message.
      runtime.controls.set(this.options.kind, [change, ...handlers]);
    }
    return state.lookup;
  }
}

/** State: the versions of each key, newest last; superseded ones go once `keepVersionsMs` behind the watermark. */
class TableState<T> implements Operator, Undoable {
  readonly id: number;
  readonly name: string;
  readonly #table: Table<T>;
  readonly #runtime: Runtime;
  readonly #rows = new Map<Key, readonly Version<T>[]>();

  constructor(table: Table<T>, runtime: Runtime) {
    this.id = table.id;
    this.name = table.name;
    this.#table = table;
    this.#runtime = runtime;
  }

  readonly lookup = (key: Key, timeMs: number): T | undefined => {
    const versions = this.#rows.get(key);
    if (versions === undefined) return undefined;
    if (!this.#table.versioned) return versions[versions.length - 1]?.value;
    for (let i = versions.length - 1; i >= 0; i--) {
      const version = versions[i] as Version<T>;
      if (version.fromMs <= timeMs) return version.value;
    }
    return undefined;
  };

  readonly change = (body: unknown): void => {
    const { read, keepVersionsMs = 0 } = this.#table.options;
    const { key, value, fromMs = Number.NEGATIVE_INFINITY } = read(body);
    const { undo, now } = this.#runtime;
    const old = this.#rows.get(key);
    undo.note(this, undo.keep({ key, old }), 0);
    if (!this.#table.versioned) {
      if (value === undefined) this.#rows.delete(key);
      else this.#rows.set(key, [{ fromMs, value }]);
      return;
    }
    const versions = [...(old ?? []).filter((version) => version.fromMs !== fromMs), { fromMs, value }];
    versions.sort((a, b) => a.fromMs - b.fromMs);
    const horizonMs = now.watermarkMs - keepVersionsMs;
    while (versions.length > 1 && (versions[1] as Version<T>).fromMs <= horizonMs) versions.shift();
    this.#rows.set(key, versions);
  };

  undo(kept: number): void {
    const { key, old } = this.#runtime.undo.kept(kept) as { key: Key; old: readonly Version<T>[] | undefined };
    if (old === undefined) this.#rows.delete(key);
    else this.#rows.set(key, old);
  }

  nextMs(): number {
    return Number.POSITIVE_INFINITY;
  }

  advance(): void {}

  save(writer: ByteWriter): void {
    writer.uint(this.#rows.size);
    for (const [key, versions] of [...this.#rows].sort(([a], [b]) => compareKeys(a, b))) {
      writeKey(writer, key);
      writeValue(writer, versions);
    }
  }

  load(reader: ByteReader): void {
    this.#rows.clear();
    for (let left = reader.uint(); left > 0; left--) {
      const key = readKey(reader);
      this.#rows.set(key, readValue(reader) as Version<T>[]);
    }
  }

  metrics(): OperatorMetrics {
    return { name: this.name, keys: this.#rows.size, bytes: this.#rows.size * 64 };
  }
}

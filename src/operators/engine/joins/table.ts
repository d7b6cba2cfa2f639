import type { ByteReader, ByteWriter } from "../state/bytes.js";
import { KeyTable } from "../state/key-table.js";
import { type Key, readKey } from "../state/keys.js";
import { SlotCut } from "../state/slot-cut.js";
import type { Steps } from "../state/steps.js";
import { readValue, writeValue } from "../state/values.js";
import type { HeldPart, Operator, OperatorMetrics, Runtime } from "../topology/runtime.js";

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
class TableState<T> implements Operator {
  readonly id: number;
  readonly name: string;
  readonly #table: Table<T>;
  readonly #runtime: Runtime;
  readonly #keys = new KeyTable();
  /** By slot; replaced, never changed in place. */
  readonly #rows: (readonly Version<T>[])[] = [];
  /** While a save is under way. */
  #cut: SlotCut<readonly Version<T>[]> | undefined;

  constructor(table: Table<T>, runtime: Runtime) {
    this.id = table.id;
    this.name = table.name;
    this.#table = table;
    this.#runtime = runtime;
  }

  readonly lookup = (key: Key, timeMs: number): T | undefined => {
    const slot = this.#keys.find(key);
    if (slot < 0) return undefined;
    const versions = this.#rows[slot] as readonly Version<T>[];
    if (!this.#table.versioned) return (versions[versions.length - 1] as Version<T>).value;
    for (let i = versions.length - 1; i >= 0; i--) {
      const version = versions[i] as Version<T>;
      if (version.fromMs <= timeMs) return version.value;
    }
    return undefined;
  };

  readonly change = (body: unknown): void => {
    const { read, keepVersionsMs = 0 } = this.#table.options;
    this.#runtime.step = this.id;
    const { key, value, fromMs = Number.NEGATIVE_INFINITY } = read(body);
    const slot = this.#keys.find(key);
    if (!this.#table.versioned) {
      if (value !== undefined) this.#put(key, [{ fromMs, value }]);
      else if (slot >= 0) this.#remove(slot);
      return;
    }
    const old = slot < 0 ? [] : (this.#rows[slot] as readonly Version<T>[]);
    const versions = [...old.filter((version) => version.fromMs !== fromMs), { fromMs, value }];
    versions.sort((a, b) => a.fromMs - b.fromMs);
    const horizonMs = this.#runtime.now.watermarkMs - keepVersionsMs;
    while (versions.length > 1 && (versions[1] as Version<T>).fromMs <= horizonMs) versions.shift();
    this.#put(key, versions);
  };

  #remove(slot: number): void {
    this.#cut?.preserve(slot, false);
    this.#keys.remove(slot);
  }

  // Nothing of the user's comes behind a change, so it is never taken back.
  #put(key: Key, versions: readonly Version<T>[]): void {
    const slot = this.#keys.slotOf(key);
    this.#cut?.preserve(slot, this.#keys.fresh);
    this.#rows[slot] = versions;
  }

  nextMs(): number {
    return Number.POSITIVE_INFINITY;
  }

  advance(): void {}

  save(writer: ByteWriter): void {
    writer.uint(this.#keys.size);
    for (const slot of this.#keys.sortedSlots()) {
      this.#keys.writeKeyAt(writer, slot);
      writeValue(writer, this.#rows[slot]);
    }
  }

  *saveInSteps(writer: ByteWriter): Steps {
    this.#cut = new SlotCut(this.#keys, (slot) => this.#rows[slot] as readonly Version<T>[]);
    yield;
    yield* this.#cut.steps(writer, (versions) => writeValue(writer, versions));
    this.#cut = undefined;
  }

  load(reader: ByteReader): void {
    this.#keys.clear();
    for (let left = reader.uint(); left > 0; left--) {
      const slot = this.#keys.slotOf(readKey(reader));
      this.#rows[slot] = readValue(reader) as Version<T>[];
    }
  }

  held(key: Key): readonly HeldPart[] {
    const slot = this.#keys.find(key);
    return slot < 0 ? [] : [{ value: this.#rows[slot] }];
  }

  heldKeys(): Iterable<Key> {
    return this.#keys.held();
  }

  metrics(): OperatorMetrics {
    return { name: this.name, keys: this.#keys.size, bytes: this.#keys.bytes + this.#keys.size * 64 };
  }
}

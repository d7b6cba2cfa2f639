import type { ByteReader, ByteWriter } from "../state/bytes.js";
import { KeyTable } from "../state/key-table.js";
import { grown, type Key, readKey } from "../state/keys.js";
import { SlotCut } from "../state/slot-cut.js";
import { atOnce, type Steps } from "../state/steps.js";
import { TimerHeap } from "../state/timers.js";
import type { Undoable } from "../state/undo.js";
import { readValue, writeValue } from "../state/values.js";
import type { HeldPart, Operator, OperatorMetrics, Push, Runtime } from "../topology/runtime.js";

/**
 * Remembers one plain value a key and decides what to pass on: the base of `dedupe`, `lag` and `hadChanged`.
 *
 * Forgets: a key `ttlMs` after its latest event, by watermark. State: one reference and one double a key. O(1) an event.
 */
export class Latest<V, S> implements Operator, Undoable {
  readonly id: number;
  readonly name: string;
  readonly #runtime: Runtime;
  readonly #ttlMs: number;
  readonly #react: (seen: S | undefined, value: V, remember: (next: S) => void) => void;
  readonly #table = new KeyTable();
  readonly #states: (S | undefined)[] = [];
  #touched = new Float64Array(16);
  readonly #heap = new TimerHeap();
  #slot = -1;
  /** While a save is under way. */
  #cut: SlotCut<{ readonly touched: number; readonly state: S | undefined }> | undefined;

  constructor(
    id: number,
    name: string,
    runtime: Runtime,
    ttlMs: number,
    react: (seen: S | undefined, value: V, remember: (next: S) => void) => void,
  ) {
    this.id = id;
    this.name = name;
    this.#runtime = runtime;
    this.#ttlMs = ttlMs;
    this.#react = react;
  }

  readonly push = (value: V): void => this.pushUnder(this.#runtime.now.key, value);

  readonly pushUnder = (key: Key, value: V): void => {
    const { now, undo } = this.#runtime;
    const slot = this.#table.slotOf(key);
    this.#cut?.preserve(slot, this.#table.fresh);
    if (this.#table.fresh) {
      if (slot >= this.#touched.length) this.#touched = grown(this.#touched);
      this.#states[slot] = undefined;
      this.#touched[slot] = now.timeMs;
      if (this.#ttlMs !== Number.POSITIVE_INFINITY) this.#heap.push(now.timeMs + this.#ttlMs, slot);
      undo.note(this, slot, -1);
    } else if (now.timeMs > (this.#touched[slot] as number)) {
      undo.note(this, -1 - slot, this.#touched[slot] as number);
      this.#touched[slot] = now.timeMs;
    }
    this.#slot = slot;
    this.#react(this.#states[slot], value, this.#remember);
  };

  readonly #remember = (next: S): void => {
    const slot = this.#slot;
    const { undo } = this.#runtime;
    undo.note(this, slot, undo.keep(this.#states[slot]));
    this.#states[slot] = next;
  };

  undo(slot: number, what: number): void {
    if (slot < 0) {
      this.#touched[-1 - slot] = what;
    } else if (what < 0) {
      this.#table.remove(slot);
      this.#states[slot] = undefined;
    } else {
      this.#states[slot] = this.#runtime.undo.kept(what) as S | undefined;
    }
  }

  nextMs(): number {
    return this.#heap.nextMs;
  }

  advance(toMs: number): void {
    atOnce(this.advanceInSteps(toMs));
  }

  *advanceInSteps(toMs: number): Steps {
    while (this.#heap.nextMs <= toMs) {
      if (this.#runtime.isStepOver()) yield;
      const slot = this.#heap.pop();
      if (!this.#table.has(slot)) continue;
      const endMs = (this.#touched[slot] as number) + this.#ttlMs;
      if (endMs > toMs) {
        this.#heap.push(endMs, slot);
      } else {
        this.#cut?.preserve(slot, false);
        this.#table.remove(slot);
        this.#states[slot] = undefined;
      }
    }
  }

  save(writer: ByteWriter): void {
    writer.uint(this.#table.size);
    for (const slot of this.#table.sortedSlots()) {
      this.#table.writeKeyAt(writer, slot);
      writer.f64(this.#touched[slot] as number);
      writeValue(writer, this.#states[slot]);
    }
  }

  *saveInSteps(writer: ByteWriter): Steps {
    this.#cut = new SlotCut(this.#table, (slot) => ({
      touched: this.#touched[slot] as number,
      state: this.#states[slot],
    }));
    yield;
    yield* this.#cut.steps(writer, ({ touched, state }) => {
      writer.f64(touched);
      writeValue(writer, state);
    });
    this.#cut = undefined;
  }

  load(reader: ByteReader): void {
    this.#table.clear();
    this.#heap.clear();
    for (let left = reader.uint(); left > 0; left--) {
      const slot = this.#table.slotOf(readKey(reader));
      if (slot >= this.#touched.length) this.#touched = grown(this.#touched);
      this.#touched[slot] = reader.f64();
      this.#states[slot] = readValue(reader) as S | undefined;
      if (this.#ttlMs !== Number.POSITIVE_INFINITY)
        this.#heap.push((this.#touched[slot] as number) + this.#ttlMs, slot);
    }
  }

  held(key: Key): readonly HeldPart[] {
    const slot = this.#table.find(key);
    return slot < 0 ? [] : [{ value: { latest: this.#states[slot], atMs: this.#touched[slot] } }];
  }

  heldKeys(): Iterable<Key> {
    return this.#table.held();
  }

  metrics(): OperatorMetrics {
    const bytes = this.#table.bytes + this.#touched.byteLength + this.#states.length * 8;
    return { name: this.name, keys: this.#table.size, bytes };
  }
}

/** Passes on the first value of each id; later ones within `ttlMs` are counted as duplicates. */
export function dedupeInto<V>(
  id: number,
  name: string,
  runtime: Runtime,
  options: { readonly ttlMs: number; readonly idOf: (value: V) => Key },
  next: Push<V>,
): { operator: Latest<V, boolean>; push: Push<V> } {
  const uncount: Undoable = { undo: () => void runtime.duplicates-- };
  const operator = new Latest<V, boolean>(id, name, runtime, options.ttlMs, (seen, value, remember) => {
    if (seen === true) {
      runtime.duplicates++;
      runtime.undo.note(uncount, 0, 0);
      return;
    }
    remember(true);
    next(value);
  });
  return { operator, push: (value) => operator.pushUnder(options.idOf(value), value) };
}

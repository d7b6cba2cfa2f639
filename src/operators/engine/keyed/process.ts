import type { ByteReader, ByteWriter } from "../state/bytes.js";
import { popInKeyOrder } from "../state/due.js";
import { KeyTable } from "../state/key-table.js";
import { grown, type Key, readKey } from "../state/keys.js";
import { LongestUnused } from "../state/longest-unused.js";
import { type Copier, Resting } from "../state/resting.js";
import { type Entry, SlotCut } from "../state/slot-cut.js";
import { atOnce, type Steps } from "../state/steps.js";
import { TimerHeap } from "../state/timers.js";
import type { Undoable } from "../state/undo.js";
import { readValue, writeValue } from "../state/values.js";
import type { HeldPart, Operator, OperatorMetrics, Push, Runtime } from "../topology/runtime.js";
import type { ProcessAt, ProcessFunction } from "./process-function.js";

const ABSENT = Symbol("absent");
const NO_TIMERS: readonly number[] = [];
/** Slots looked at in one step when a save is over: well below a ms. */
const STEP = 65_536;

interface Forgotten {
  readonly key: Key;
  readonly state: unknown;
  readonly touched: number;
  readonly timers: readonly number[];
}

/** Instead of a number of `Kept`: as it is now. */
const LIVE = -1;

/** What is saved of keys, as it was before they changed. */
class Kept {
  readonly states: unknown[] = [];
  /** Of states that rest. */
  readonly rests: (Uint8Array | undefined)[] = [];
  readonly touched: number[] = [];
  readonly timers: (readonly number[] | undefined)[] = [];

  forget(number: number): void {
    this.states[number] = undefined;
    this.rests[number] = undefined;
    this.timers[number] = undefined;
  }
}

/**
 * Runs a process function per key.
 *
 * Timers: fire in (time, key) order; one set at or before the watermark fires with the next tick.
 * State:  one object a key; one that does not change between two saves rests as the bytes saved. O(1) an event, O(log n) a timer.
 */
export class Process<K extends Key, V, S, O> implements Operator, Undoable {
  readonly id: number;
  readonly name: string;
  readonly #runtime: Runtime;
  readonly #function: ProcessFunction<K, V, S, O>;
  readonly #table = new KeyTable();
  /** By slot; undefined where the state rests as bytes. */
  readonly #states: unknown[] = [];
  #resting = new Resting();
  /** While a save is under way: keeps what is about to change, and what will rest when it is over. */
  #saving: { readonly cut: SlotCut<number>; readonly resting: Resting; readonly copier: Copier } | undefined;
  /** Latest event time by slot. */
  #touched = new Float64Array(16);
  /** By slot: 1 when it has changed since it was saved last, or came. */
  #changed = new Uint8Array(16);
  #changedKeys = 0;
  /** Ascending; replaced, never changed in place. */
  readonly #timers: (readonly number[])[] = [];
  readonly #heap = new TimerHeap();
  /** When to look whether a key may be forgotten. */
  readonly #expiry = new TimerHeap();
  readonly #longestUnused = new LongestUnused();
  #slot = -1;
  readonly #at: ProcessAt<K, O>;

  constructor(id: number, name: string, runtime: Runtime, definition: ProcessFunction<K, V, S, O>, next: Push<O>) {
    this.id = id;
    this.name = name;
    this.#runtime = runtime;
    this.#function = definition;
    const { now } = runtime;
    const setTimer = (timeMs: number): void => this.#setTimer(timeMs);
    const cancelTimer = (timeMs: number): void => this.#cancelTimer(timeMs);
    this.#at = {
      emit: next,
      setTimer,
      cancelTimer,
      late: (value, lateByMs) => runtime.late(name, value, lateByMs),
      get timeMs() {
        return now.timeMs;
      },
      get key() {
        return now.key as K;
      },
      get watermarkMs() {
        return now.watermarkMs;
      },
      get source() {
        return now.source;
      },
      get sequence() {
        return now.sequence;
      },
      get index() {
        return now.index;
      },
      get partition() {
        return now.partition;
      },
      get partitions() {
        return now.partitions;
      },
      get ahead() {
        return now.ahead;
      },
    };
  }

  readonly push = (value: V): void => {
    const runtime = this.#runtime;
    const { timeMs, key } = runtime.now;
    const slot = this.#table.slotOf(key);
    const isNew = this.#table.fresh;
    this.#preserve(slot, isNew);
    if (isNew) {
      runtime.undo.note(this, slot, -1);
      if (this.#table.size > (this.#function.maxKeys ?? Number.POSITIVE_INFINITY)) this.#evict(slot);
      if (slot >= this.#touched.length) this.#growTouched();
      this.#states[slot] = ABSENT;
      this.#touched[slot] = timeMs;
      this.#longestUnused.add(key, timeMs);
      this.#timers[slot] = NO_TIMERS;
      if (this.#function.ttlMs !== Number.POSITIVE_INFINITY) this.#expiry.push(timeMs + this.#function.ttlMs, slot);
    } else if (timeMs > (this.#touched[slot] as number)) {
      runtime.undo.note(this.#undoTouched, slot, this.#touched[slot] as number);
      this.#touched[slot] = timeMs;
    }
    if (!isNew) this.#noteChange(slot);
    const state = this.#stateOf(slot);
    this.#slot = slot;
    this.#put(slot, this.#function.onEvent(state, value, this.#at));
  };

  #preserve(slot: number, isNew: boolean): void {
    const saving = this.#saving;
    if (saving === undefined) return;
    saving.cut.preserve(slot, isNew);
    saving.copier.flush();
    saving.resting.forget(slot);
  }

  #noteChange(slot: number): void {
    if (this.#changed[slot] === 1) return;
    this.#changed[slot] = 1;
    this.#changedKeys++;
  }

  /** Where most change between two saves, a number that rested would only have to be read again, and it takes no heap as it is. */
  #restsAll(): boolean {
    return this.#changedKeys * 2 < this.#table.size;
  }

  #growTouched(): void {
    this.#touched = grown(this.#touched);
    this.#changed = grown(this.#changed, this.#touched.length);
  }

  #stateOf(slot: number): S {
    if (this.#resting.has(slot)) {
      this.#states[slot] = this.#resting.read(slot);
      this.#resting.forget(slot);
    }
    const state = this.#states[slot];
    return state === ABSENT ? this.#function.init() : (state as S);
  }

  #put(slot: number, state: S | undefined): void {
    const old = this.#states[slot];
    if (state === old) return;
    if (state === undefined && (this.#timers[slot] as readonly number[]).length === 0) {
      this.#forget(slot);
      return;
    }
    const { undo } = this.#runtime;
    undo.note(this.#undoState, slot, undo.keep(old));
    this.#states[slot] = state === undefined ? ABSENT : state;
  }

  #evict(newest: number): void {
    const timeAt = (slot: number) => (slot === newest ? undefined : (this.#touched[slot] as number));
    const slot = this.#longestUnused.take(this.#table, timeAt);
    this.#preserve(slot, false);
    this.#stateOf(slot); // what rests as bytes could not be put back
    this.#forget(slot);
  }

  #forget(slot: number): void {
    const { undo } = this.#runtime;
    const key = this.#table.keyAt(slot) as Key;
    const forgotten: Forgotten = {
      key,
      state: this.#states[slot],
      touched: this.#touched[slot] as number,
      timers: this.#timers[slot] as readonly number[],
    };
    undo.note(this, slot, undo.keep(forgotten));
    this.#table.remove(slot);
    this.#states[slot] = undefined;
    this.#resting.forget(slot);
    this.#changedKeys -= this.#changed[slot] as number;
    this.#changed[slot] = 0;
  }

  #setTimer(timeMs: number): void {
    if (!Number.isFinite(timeMs)) throw new RangeError(`${this.name}: a timer needs a time, got ${timeMs}`);
    const slot = this.#slot;
    const timers = this.#timers[slot] as readonly number[];
    if (timers.includes(timeMs)) return;
    this.#putTimers(
      slot,
      [...timers, timeMs].sort((a, b) => a - b),
    );
    this.#heap.push(timeMs, slot);
  }

  #cancelTimer(timeMs: number): void {
    const slot = this.#slot;
    const timers = this.#timers[slot] as readonly number[];
    if (timers.includes(timeMs))
      this.#putTimers(
        slot,
        timers.filter((time) => time !== timeMs),
      );
  }

  #putTimers(slot: number, timers: readonly number[]): void {
    const { undo } = this.#runtime;
    undo.note(this.#undoTimers, slot, undo.keep(this.#timers[slot]));
    this.#timers[slot] = timers;
  }

  /** Takes back that a key came, or went. */
  undo(slot: number, kept: number): void {
    if (kept < 0) {
      this.#table.remove(slot);
      this.#states[slot] = undefined;
      return;
    }
    const { key, state, touched, timers } = this.#runtime.undo.kept(kept) as Forgotten;
    const at = this.#table.slotOf(key); // freed last, so the same slot comes back
    this.#states[at] = state;
    this.#touched[at] = touched;
    this.#longestUnused.add(key, touched);
    this.#timers[at] = timers;
  }

  readonly #undoState: Undoable = {
    undo: (slot, kept) => {
      this.#states[slot] = this.#runtime.undo.kept(kept);
    },
  };
  readonly #undoTouched: Undoable = {
    undo: (slot, touched) => {
      this.#touched[slot] = touched;
      this.#longestUnused.add(this.#table.keyAt(slot) as Key, touched);
    },
  };
  readonly #undoTimers: Undoable = {
    undo: (slot, kept) => {
      this.#timers[slot] = this.#runtime.undo.kept(kept) as readonly number[];
    },
  };

  nextMs(): number {
    return Math.min(this.#heap.nextMs, this.#expiry.nextMs);
  }

  advance(toMs: number): void {
    atOnce(this.advanceInSteps(toMs));
  }

  *advanceInSteps(toMs: number): Steps {
    while (this.#heap.nextMs <= toMs || this.#expiry.nextMs <= toMs) {
      const timeMs = this.#heap.nextMs;
      if (timeMs <= this.#expiry.nextMs) yield* this.#fireAt(timeMs, this.#heap.pop());
      else this.#expire(this.#expiry.pop(), toMs);
      if (this.#runtime.isStepOver()) yield;
    }
  }

  /** Every timer of one time, in key order. */
  *#fireAt(timeMs: number, first: number): Steps {
    const isAlone = this.#heap.nextMs !== timeMs;
    const due = isAlone ? [first] : yield* popInKeyOrder(this.#heap, this.#table, timeMs, first);
    for (const slot of due) {
      const key = this.#table.keyAt(slot);
      if (key === undefined || !(this.#timers[slot] as readonly number[]).includes(timeMs)) continue;
      this.#fireTimer(slot, key, timeMs);
      if (this.#runtime.isStepOver()) yield;
    }
  }

  #fireTimer(slot: number, key: Key, timeMs: number): void {
    this.#preserve(slot, false);
    const run = (): void => {
      this.#putTimers(
        slot,
        (this.#timers[slot] as readonly number[]).filter((time) => time !== timeMs),
      );
      this.#slot = slot;
      this.#noteChange(slot);
      const state = this.#stateOf(slot);
      this.#put(slot, this.#function.onTimer?.(state, timeMs, this.#at));
    };
    const { now } = this.#runtime;
    now.key = key;
    now.timeMs = timeMs;
    if (this.#runtime.attempt(run, undefined)) return;
    // The timer that failed must not come back: its failure is in the dead letters.
    this.#timers[slot] = (this.#timers[slot] as readonly number[]).filter((time) => time !== timeMs);
  }

  #expire(slot: number, toMs: number): void {
    if (!this.#table.has(slot)) return;
    const endMs = (this.#touched[slot] as number) + this.#function.ttlMs;
    const lastTimerMs = this.#timers[slot]?.at(-1) ?? Number.NEGATIVE_INFINITY;
    if (endMs <= toMs && lastTimerMs === Number.NEGATIVE_INFINITY) {
      this.#preserve(slot, false);
      this.#forget(slot);
    } else {
      this.#expiry.push(Math.max(endMs, lastTimerMs), slot);
    }
  }

  save(writer: ByteWriter): void {
    const resting = new Resting(this.#table.length);
    const copier = this.#resting.copier(writer, resting);
    const restsAll = this.#restsAll();
    writer.uint(this.#table.size);
    for (const slot of this.#table.sortedSlots()) {
      if (copier.take(slot)) continue;
      copier.flush();
      writer.cut();
      const entry = { piece: writer.piece, from: writer.place };
      this.#table.writeKeyAt(writer, slot);
      this.#writeLive(writer, slot, entry, resting, restsAll);
    }
    copier.flush();
    resting.keep(writer.finishPieces());
    this.#resting = resting;
    for (let slot = 0; slot < this.#states.length; slot++) if (resting.has(slot)) this.#states[slot] = undefined;
  }

  *saveInSteps(writer: ByteWriter): Steps {
    const resting = new Resting(this.#table.length);
    const copier = this.#resting.copier(writer, resting);
    const restsAll = this.#restsAll();
    const kept = new Kept();
    const cut = new SlotCut(this.#table, (slot, keep) => (keep ? this.#keep(slot, kept) : LIVE));
    this.#saving = { cut, resting, copier };
    yield;
    yield* cut.steps(
      writer,
      (number, slot, _changed, entry) => {
        if (number === LIVE) this.#writeLive(writer, slot, entry, resting, restsAll);
        else this.#writeKept(writer, kept, number);
      },
      (slot, changed) => {
        if (!changed && copier.take(slot)) return true;
        copier.flush();
        writer.cut();
        return false;
      },
    );
    copier.flush();
    resting.keep(writer.finishPieces());
    this.#resting = resting;
    this.#saving = undefined;
    for (let slot = 0; slot < this.#states.length; slot++) {
      if (resting.has(slot)) this.#states[slot] = undefined; // in steps too: what changes meanwhile rests no more
      if (slot % STEP === STEP - 1) yield;
    }
  }

  #keep(slot: number, kept: Kept): number {
    kept.rests.push(this.#resting.bytesOf(slot));
    kept.touched.push(this.#touched[slot] as number);
    kept.timers.push(this.#timers[slot]);
    return kept.states.push(this.#states[slot]) - 1;
  }

  #writeKept(writer: ByteWriter, kept: Kept, number: number): void {
    const { states, rests, touched, timers } = kept;
    const hasState = this.#writeHead(writer, touched[number] as number, timers[number] as number[], states[number]);
    if (hasState) this.#writeState(writer, states[number], rests[number]);
    kept.forget(number);
  }

  /** What follows the key. */
  #writeLive(writer: ByteWriter, slot: number, entry: Entry, resting: Resting, restsAll: boolean): void {
    const state = this.#states[slot];
    const rests = restsAll || this.#changed[slot] === 0 || typeof state !== "number";
    this.#changedKeys -= this.#changed[slot] as number;
    this.#changed[slot] = 0;
    if (!this.#writeHead(writer, this.#touched[slot] as number, this.#timers[slot] as readonly number[], state)) return;
    const value = writer.place;
    this.#writeState(writer, state, this.#resting.bytesOf(slot));
    if (rests) resting.put(slot, writer, entry, value);
  }

  /** Whether a state follows. */
  #writeHead(writer: ByteWriter, touched: number, timers: readonly number[], state: unknown): boolean {
    writer.f64(touched);
    writer.uint(timers.length);
    for (const timeMs of timers) writer.f64(timeMs);
    writer.u8(state === ABSENT ? 0 : 1);
    return state !== ABSENT;
  }

  #writeState(writer: ByteWriter, state: unknown, rest: Uint8Array | undefined): void {
    writer.selfContained = true; // each state by itself, so that it can be copied
    if (rest === undefined) writeValue(writer, state);
    else writer.raw(rest);
    writer.selfContained = false;
  }

  load(reader: ByteReader): void {
    this.#table.clear();
    this.#heap.clear();
    this.#expiry.clear();
    this.#longestUnused.clear();
    this.#resting = new Resting();
    this.#changed.fill(0);
    this.#changedKeys = 0;
    for (let left = reader.uint(); left > 0; left--) {
      const slot = this.#table.slotOf(readKey(reader));
      const touched = reader.f64();
      const count = reader.uint();
      const timers = count === 0 ? NO_TIMERS : Array.from({ length: count }, () => reader.f64());
      if (slot >= this.#touched.length) this.#growTouched();
      this.#touched[slot] = touched;
      this.#timers[slot] = timers;
      this.#states[slot] = reader.u8() === 1 ? readValue(reader) : ABSENT;
      for (const timeMs of timers) this.#heap.push(timeMs, slot);
      if (this.#function.ttlMs !== Number.POSITIVE_INFINITY) this.#expiry.push(touched + this.#function.ttlMs, slot);
    }
  }

  held(key: Key): readonly HeldPart[] {
    const slot = this.#table.find(key);
    if (slot < 0) return [];
    const state = this.#resting.has(slot) ? this.#resting.read(slot) : this.#states[slot];
    const value = { state: state === ABSENT ? null : state, atMs: this.#touched[slot], timers: this.#timers[slot] };
    return [{ value }];
  }

  heldKeys(): Iterable<Key> {
    return this.#table.held();
  }

  metrics(): OperatorMetrics {
    return {
      name: this.name,
      keys: this.#table.size,
      bytes: this.#table.bytes + this.#table.size * 24 + this.#resting.bytes,
    };
  }
}

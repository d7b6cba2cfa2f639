import { ByteReader, type ByteWriter } from "../state/bytes.js";
import { compareKeys, type Key, KeyTable, longestUnused, readKey, writeKey } from "../state/keys.js";
import { TimerHeap } from "../state/timers.js";
import type { Undoable } from "../state/undo.js";
import { readValue, writeValue } from "../state/values.js";
import type { At, Operator, OperatorMetrics, Push, Runtime } from "../topology/runtime.js";

/** What a process function may do beside returning its next state. */
export interface ProcessAt<K, O> extends At<K> {
  /** Sends a value on, under the same key and time. */
  emit(value: O): void;
  /** Calls `onTimer` when the watermark reaches `timeMs`; the same time twice is one timer. */
  setTimer(timeMs: number): void;
  cancelTimer(timeMs: number): void;
  /** Sends a value of the input to the late stream instead, and counts it. */
  late(value: unknown, lateByMs: number): void;
}

/**
 * A function of a key's state and its events. State is plain data and never changed in place: each call returns the next state,
 * or undefined to forget the key (its timers stay until cancelled).
 */
export interface ProcessFunction<K, V, S, O> {
  /** State of a key seen for the first time. */
  init(): S;
  onEvent(state: S, value: V, at: ProcessAt<K, O>): S | undefined;
  onTimer?(state: S, timeMs: number, at: ProcessAt<K, O>): S | undefined;
  /** Forgets a key so long after its latest event, by watermark, ms. `Infinity` must be said: state without end is a leak. */
  readonly ttlMs: number;
  /**
   * Keys kept at once: one more, and the key longest without an event (then the smallest) is forgotten, timers too. O(keys) for a new
   * key at the bound. @default no bound
   */
  readonly maxKeys?: number;
}

const ABSENT = Symbol("absent");

/**
 * Runs a process function per key.
 *
 * Timers: fire in (time, key) order; one set at or before the watermark fires with the next tick.
 * State:  one object a key. O(1) an event, O(log n) a timer.
 */
export class Process<K extends Key, V, S, O> implements Operator, Undoable {
  readonly id: number;
  readonly name: string;
  readonly #runtime: Runtime;
  readonly #function: ProcessFunction<K, V, S, O>;
  readonly #table = new KeyTable();
  /** By slot; undefined where the state rests as bytes. */
  readonly #states: unknown[] = [];
  /**
   * States as the latest save wrote them: what does not change rests as bytes, costs no heap and is saved again by a copy. By slot the
   * first byte and the length, −1 where the state is an object.
   */
  #rest: Uint8Array = new Uint8Array(0);
  #restAt = new Int32Array(16).fill(-1);
  #restLength = new Int32Array(16);
  /** Latest event time by slot. */
  readonly #touched: number[] = [];
  /** Ascending; replaced, never changed in place. */
  readonly #timers: (readonly number[])[] = [];
  readonly #heap = new TimerHeap();
  /** When to look whether a key may be forgotten. */
  readonly #expiry = new TimerHeap();
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
    if (this.#table.fresh) {
      runtime.undo.note(this, slot, -1);
      if (this.#table.size > (this.#function.maxKeys ?? Number.POSITIVE_INFINITY)) this.#evict(slot);
      this.#states[slot] = ABSENT;
      this.#touched[slot] = timeMs;
      this.#timers[slot] = [];
      if (this.#function.ttlMs !== Number.POSITIVE_INFINITY) this.#expiry.push(timeMs + this.#function.ttlMs, slot);
    } else if (timeMs > (this.#touched[slot] as number)) {
      runtime.undo.note(this, slot, runtime.undo.keep({ touched: this.#touched[slot] }));
      this.#touched[slot] = timeMs;
    }
    const state = this.#stateOf(slot);
    this.#slot = slot;
    this.#put(slot, this.#function.onEvent(state, value, this.#at));
  };

  #stateOf(slot: number): S {
    const at = slot < this.#restAt.length ? (this.#restAt[slot] as number) : -1;
    if (at >= 0) {
      const bytes = this.#rest.subarray(at, at + (this.#restLength[slot] as number));
      this.#states[slot] = readValue(new ByteReader(bytes));
      this.#restAt[slot] = -1;
    }
    return this.#states[slot] === ABSENT ? this.#function.init() : (this.#states[slot] as S);
  }

  #put(slot: number, state: S | undefined): void {
    const old = this.#states[slot];
    if (state === old) return;
    if (state === undefined && (this.#timers[slot] as readonly number[]).length === 0) {
      this.#forget(slot);
      return;
    }
    const { undo } = this.#runtime;
    undo.note(this, slot, undo.keep({ state: old }));
    this.#states[slot] = state === undefined ? ABSENT : state;
  }

  #evict(newest: number): void {
    const { keys } = this.#table;
    const others = keys.flatMap((key, slot): (readonly [Key, number])[] =>
      key === undefined || slot === newest ? [] : [[key, this.#touched[slot] as number]],
    );
    const slot = this.#table.find(longestUnused(others) as Key);
    this.#stateOf(slot); // what rests as bytes could not be put back
    this.#forget(slot);
  }

  #forget(slot: number): void {
    const { undo } = this.#runtime;
    const key = this.#table.keys[slot];
    undo.note(
      this,
      slot,
      undo.keep({ key, state: this.#states[slot], touched: this.#touched[slot], timers: this.#timers[slot] }),
    );
    this.#table.remove(slot);
    this.#states[slot] = undefined;
    if (slot < this.#restAt.length) this.#restAt[slot] = -1;
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
    undo.note(this, slot, undo.keep({ timers: this.#timers[slot] }));
    this.#timers[slot] = timers;
  }

  undo(slot: number, kept: number): void {
    if (kept < 0) {
      this.#table.remove(slot);
      this.#states[slot] = undefined;
      return;
    }
    const old = this.#runtime.undo.kept(kept) as {
      key?: Key;
      state?: unknown;
      touched?: number;
      timers?: readonly number[];
    };
    let at = slot;
    if (old.key !== undefined) at = this.#table.slotOf(old.key); // freed last, so the same slot comes back
    if ("state" in old) this.#states[at] = old.state;
    if (old.touched !== undefined) this.#touched[at] = old.touched;
    if (old.timers !== undefined) this.#timers[at] = old.timers;
  }

  nextMs(): number {
    return Math.min(this.#heap.nextMs, this.#expiry.nextMs);
  }

  advance(toMs: number): void {
    while (this.#heap.nextMs <= toMs || this.#expiry.nextMs <= toMs) {
      if (this.#heap.nextMs <= this.#expiry.nextMs) this.#fireAt(this.#heap.nextMs);
      else this.#expire(this.#expiry.pop(), toMs);
    }
  }

  /** Every timer of one time, in key order. */
  #fireAt(timeMs: number): void {
    const slots = new Set<number>();
    while (this.#heap.nextMs === timeMs) slots.add(this.#heap.pop());
    const live = [...slots].filter((slot) => this.#table.keys[slot] !== undefined);
    const due = live
      .map((slot) => ({ slot, key: this.#table.keys[slot] as Key }))
      .sort((a, b) => compareKeys(a.key, b.key));
    for (const { slot, key } of due) {
      if (this.#table.keys[slot] === key && (this.#timers[slot] as readonly number[]).includes(timeMs))
        this.#fireTimer(slot, key, timeMs);
    }
  }

  #fireTimer(slot: number, key: Key, timeMs: number): void {
    const run = (): void => {
      this.#putTimers(
        slot,
        (this.#timers[slot] as readonly number[]).filter((time) => time !== timeMs),
      );
      this.#slot = slot;
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
    if (this.#table.keys[slot] === undefined) return;
    const endMs = (this.#touched[slot] as number) + this.#function.ttlMs;
    const lastTimerMs = this.#timers[slot]?.at(-1) ?? Number.NEGATIVE_INFINITY;
    if (endMs <= toMs && lastTimerMs === Number.NEGATIVE_INFINITY) this.#forget(slot);
    else this.#expiry.push(Math.max(endMs, lastTimerMs), slot);
  }

  save(writer: ByteWriter): void {
    const restAt = new Int32Array(this.#table.keys.length).fill(-1);
    const restLength = new Int32Array(this.#table.keys.length);
    writer.uint(this.#table.size);
    writer.selfContained = true; // each state by itself, so that it can be copied
    for (const slot of this.#table.sortedSlots()) {
      const state = this.#states[slot];
      const timers = this.#timers[slot] as readonly number[];
      writeKey(writer, this.#table.keys[slot] as Key);
      writer.f64(this.#touched[slot] as number);
      writer.uint(timers.length);
      for (const timeMs of timers) writer.f64(timeMs);
      writer.u8(state === ABSENT ? 0 : 1);
      if (state === ABSENT) continue;
      const from = writer.length;
      const at = slot < this.#restAt.length ? (this.#restAt[slot] as number) : -1;
      if (at < 0) writeValue(writer, state);
      else writer.raw(this.#rest.subarray(at, at + (this.#restLength[slot] as number)));
      restAt[slot] = from;
      restLength[slot] = writer.length - from;
    }
    writer.selfContained = false;
    this.#rest = writer.finish();
    this.#restAt = restAt;
    this.#restLength = restLength;
    for (let slot = 0; slot < restAt.length; slot++) if ((restAt[slot] as number) >= 0) this.#states[slot] = undefined;
  }

  load(reader: ByteReader): void {
    this.#table.clear();
    this.#heap.clear();
    this.#expiry.clear();
    this.#restAt.fill(-1);
    for (let left = reader.uint(); left > 0; left--) {
      const slot = this.#table.slotOf(readKey(reader));
      const touched = reader.f64();
      const timers = Array.from({ length: reader.uint() }, () => reader.f64());
      this.#touched[slot] = touched;
      this.#timers[slot] = timers;
      this.#states[slot] = reader.u8() === 1 ? readValue(reader) : ABSENT;
      for (const timeMs of timers) this.#heap.push(timeMs, slot);
      if (this.#function.ttlMs !== Number.POSITIVE_INFINITY) this.#expiry.push(touched + this.#function.ttlMs, slot);
    }
  }

  metrics(): OperatorMetrics {
    return {
      name: this.name,
      keys: this.#table.size,
      bytes: this.#table.bytes + this.#table.size * 24 + this.#rest.length,
    };
  }
}

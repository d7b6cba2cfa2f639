import { loadCells, type Plan, saveCells } from "../aggregates/plan.js";
import { type ByteReader, ByteWriter } from "../state/bytes.js";
import { popInKeyOrder } from "../state/due.js";
import { Frame } from "../state/frame.js";
import { KeyTable } from "../state/key-table.js";
import { type Key, readKey } from "../state/keys.js";
import { SlotCut } from "../state/slot-cut.js";
import { atOnce, type Steps } from "../state/steps.js";
import { TimerHeap } from "../state/timers.js";
import type { Undoable } from "../state/undo.js";
import type { HeldPart, Operator, OperatorMetrics, Push, Runtime } from "../topology/runtime.js";
import type { SessionSpec } from "./specs.js";

const START = 0;
const LAST = 1;
/** Results said so far of exactly this session. */
const SAID = 2;
/** Slot of the key. */
const OWNER = 3;
export const SESSION_EXTRA = 4;

/**
 * Folds the activity of a key between two pauses.
 *
 * Window: `[first event, last event + gapMs)`, cut at `maxLengthMs`: an event beyond that opens the next session.
 * Merge:  an event within the gap of two sessions joins them (unless the whole would be too long).
 * Out:    one row when the watermark reaches the end. Within the lateness a session that was said and then changes is retracted
 *         (`kind: "retract"`, the row as it was), and said anew as `update`, or when its new end comes.
 * Late:   it touches no session that is still kept, and its own would have ended more than the lateness ago.
 * State:  a row a session until its end + lateness; a session's place is its own number, found through its key. O(sessions of the
 *         key) an event, O(log n) a timer.
 */
export class Session<V> implements Operator, Undoable {
  readonly id: number;
  readonly name: string;
  readonly #runtime: Runtime;
  readonly #spec: SessionSpec;
  readonly #latenessMs: number;
  readonly #plan: Plan<V, unknown>;
  readonly #next: Push<unknown>;
  /** Rows by session number; numbers never show. */
  #frame: Frame<V>;
  #serial = 0;
  readonly #owners = new KeyTable();
  /** Session slots by owner, ascending by start; replaced, never changed in place. */
  readonly #sessions: (readonly number[])[] = [];
  readonly #heap = new TimerHeap();
  #watermarkMs = Number.NEGATIVE_INFINITY;
  /** While a save is under way: what each owner's sessions were, as saved. */
  #cut: SlotCut<Uint8Array | undefined> | undefined;

  constructor(
    id: number,
    name: string,
    runtime: Runtime,
    spec: SessionSpec,
    plan: Plan<V, unknown>,
    next: Push<unknown>,
  ) {
    this.id = id;
    this.name = name;
    this.#runtime = runtime;
    this.#spec = spec;
    this.#latenessMs = spec.latenessMs ?? 0;
    this.#plan = plan;
    this.#next = next;
    this.#frame = new Frame(plan, runtime.undo);
  }

  readonly push = (value: V): void => {
    const { now } = this.#runtime;
    const { timeMs, key } = now;
    const owner = this.#owners.find(key);
    let sessions = NONE;
    if (owner >= 0) {
      this.#cut?.preserve(owner, false);
      sessions = this.#sessions[owner] as readonly number[];
    }
    const only = sessions.length === 1 ? (sessions[0] as number) : -1;
    if (only >= 0 && this.#fits(only, timeMs)) {
      this.#extend(only, key, value, timeMs);
      return;
    }
    const touched = sessions.length === 0 ? NONE : this.#touched(sessions, timeMs);
    if (touched.length === 0) this.#begin(value, key, timeMs);
    else if (touched.length === 1) this.#extend(touched[0] as number, key, value, timeMs);
    else this.#join(touched, key, value, timeMs);
  };

  #get(slot: number, field: number): number {
    return this.#frame.rows[slot * this.#plan.stride + this.#plan.extraAt + field] as number;
  }

  #set(slot: number, field: number, value: number): void {
    this.#frame.rows[slot * this.#plan.stride + this.#plan.extraAt + field] = value;
  }

  #endOf(slot: number): number {
    return Math.min(this.#get(slot, LAST) + this.#spec.gapMs, this.#get(slot, START) + this.#spec.maxLengthMs);
  }

  /** Within the gap of the session, and not making it too long. */
  #fits(slot: number, timeMs: number): boolean {
    const { gapMs, maxLengthMs } = this.#spec;
    const [startMs, lastMs] = [this.#get(slot, START), this.#get(slot, LAST)];
    if (timeMs >= lastMs + gapMs || timeMs <= startMs - gapMs) return false;
    return Math.max(lastMs, timeMs) - Math.min(startMs, timeMs) < maxLengthMs;
  }

  /** The sessions the event belongs to: one, or two neighbours that it joins. */
  #touched(sessions: readonly number[], timeMs: number): readonly number[] {
    const fitting = sessions.filter((slot) => this.#fits(slot, timeMs));
    if (fitting.length < 2) return fitting;
    const [before, after] = fitting as [number, number];
    const lengthMs = Math.max(this.#get(after, LAST), timeMs) - this.#get(before, START);
    return lengthMs < this.#spec.maxLengthMs ? [before, after] : [before];
  }

  #begin(value: V, key: Key, timeMs: number): void {
    const { undo } = this.#runtime;
    const endMs = timeMs + this.#spec.gapMs;
    if (endMs + this.#latenessMs <= this.#watermarkMs) {
      this.#runtime.late(this.name, value, this.#watermarkMs - endMs);
      return;
    }
    const owner = this.#owners.slotOf(key);
    if (this.#owners.fresh) {
      this.#cut?.preserve(owner, true);
      this.#sessions[owner] = NONE;
      undo.note(this, owner, -1);
    }
    const slot = this.#frame.open(this.#serial++);
    this.#set(slot, START, timeMs);
    this.#set(slot, LAST, timeMs);
    this.#set(slot, SAID, 0);
    this.#set(slot, OWNER, owner);
    this.#putSessions(owner, this.#inOrder([...(this.#sessions[owner] as readonly number[]), slot]));
    this.#frame.add(slot, value, timeMs);
    this.#settle(slot, key, false);
  }

  #inOrder(slots: number[]): readonly number[] {
    return slots.sort((a, b) => this.#get(a, START) - this.#get(b, START));
  }

  #extend(slot: number, key: Key, value: V, timeMs: number): void {
    const said = this.#get(slot, SAID) > 0;
    if (said) this.#retract(slot, key);
    this.#frame.touch(slot);
    const startMs = this.#get(slot, START);
    if (timeMs < startMs) this.#set(slot, START, timeMs);
    if (timeMs > this.#get(slot, LAST)) this.#set(slot, LAST, timeMs);
    this.#frame.add(slot, value, timeMs);
    if (timeMs < startMs) {
      this.#heap.push(this.#endOf(slot), slot); // an earlier start may mean an earlier end, by the maximum length
      const owner = this.#get(slot, OWNER);
      this.#putSessions(owner, this.#inOrder([...(this.#sessions[owner] as readonly number[])]));
    }
    if (said || this.#endOf(slot) <= this.#watermarkMs) this.#settle(slot, key, said);
  }

  /** Makes one new session of two and the event; the old rows are left as they were, for the undo. */
  #join([before, after]: readonly number[], key: Key, value: V, timeMs: number): void {
    const parts = [before as number, after as number];
    let said = false;
    for (const part of parts) {
      if (this.#get(part, SAID) === 0) continue;
      said = true;
      this.#retract(part, key);
    }
    const owner = this.#get(parts[0] as number, OWNER);
    const slot = this.#frame.open(this.#serial++);
    this.#set(slot, START, Math.min(timeMs, this.#get(before as number, START)));
    this.#set(slot, LAST, Math.max(timeMs, this.#get(after as number, LAST)));
    this.#set(slot, SAID, Math.max(...parts.map((part) => this.#get(part, SAID))));
    this.#set(slot, OWNER, owner);
    for (const part of parts) this.#frame.mergeFrom(slot, this.#frame, part);
    this.#frame.add(slot, value, timeMs);
    const rest = (this.#sessions[owner] as readonly number[]).filter((other) => !parts.includes(other));
    this.#putSessions(owner, this.#inOrder([...rest, slot]));
    for (const part of parts) this.#drop(part);
    this.#settle(slot, key, said);
  }

  #retract(slot: number, key: Key): void {
    const row = this.#frame.result(
      slot,
      key,
      this.#get(slot, START),
      this.#endOf(slot),
      "retract",
      this.#get(slot, SAID) - 1,
    );
    this.#next(row);
  }

  /** After a change: says at once what is due already, else sets the timer. */
  #settle(slot: number, key: Key, said: boolean): void {
    const endMs = this.#endOf(slot);
    if (endMs > this.#watermarkMs) {
      this.#heap.push(endMs, slot);
      if (said) this.#setDue(slot);
      return;
    }
    const revision = Math.abs(this.#get(slot, SAID));
    this.#set(slot, SAID, revision + 1);
    this.#heap.push(endMs + this.#latenessMs, slot);
    this.#next(this.#frame.result(slot, key, this.#get(slot, START), endMs, "update", revision));
  }

  /** Said before, retracted, to be said again: kept as a negative number. */
  #setDue(slot: number): void {
    this.#set(slot, SAID, -Math.abs(this.#get(slot, SAID)));
  }

  #putSessions(owner: number, slots: readonly number[]): void {
    const { undo } = this.#runtime;
    undo.note(this, owner, undo.keep(this.#sessions[owner]));
    this.#sessions[owner] = slots;
  }

  #drop(slot: number): void {
    const { undo } = this.#runtime;
    const { stride } = this.#plan;
    const number = this.#frame.table.keyAt(slot);
    const rows = this.#frame.rows.slice(slot * stride, (slot + 1) * stride);
    const cells = this.#frame.cells.map((cell) => cell[slot]);
    undo.note(this, slot, -2 - undo.keep({ number, rows, cells }));
    this.#frame.remove(slot);
  }

  undo(slot: number, what: number): void {
    if (what === -1) {
      this.#owners.remove(slot);
    } else if (what >= 0) {
      this.#sessions[slot] = this.#runtime.undo.kept(what) as readonly number[];
    } else {
      const kept = this.#runtime.undo.kept(-2 - what) as { number: number; rows: Float64Array; cells: unknown[] };
      this.#frame.table.slotOf(kept.number); // freed last, so the same slot comes back
      this.#frame.rows.set(kept.rows, slot * this.#plan.stride);
      kept.cells.forEach((cell, i) => {
        (this.#frame.cells[i] as unknown[])[slot] = cell;
      });
    }
  }

  nextMs(): number {
    return this.#heap.nextMs;
  }

  advance(toMs: number): void {
    atOnce(this.advanceInSteps(toMs));
  }

  *advanceInSteps(toMs: number): Steps {
    if (toMs > this.#watermarkMs) this.#watermarkMs = toMs;
    const heap = this.#heap;
    while (heap.nextMs <= toMs) {
      const timeMs = heap.nextMs;
      const slot = heap.pop();
      if (heap.nextMs === timeMs) yield* this.#fireAt(timeMs, slot);
      else if (this.#keyed.has(slot)) this.#fireOne(slot, this.#keyed.keyOf(slot) as Key, timeMs);
      if (this.#runtime.isStepOver()) yield;
    }
  }

  /** Everything due at one time, by key, then by start. */
  *#fireAt(timeMs: number, first: number): Steps {
    const due = yield* popInKeyOrder(this.#heap, this.#keyed, timeMs, first);
    for (let from = 0, to = 0; from < due.length; from = to) {
      const owner = this.#get(due[from] as number, OWNER);
      while (to < due.length && this.#get(due[to] as number, OWNER) === owner) to++;
      const key = this.#owners.keyAt(owner) as Key;
      const sessions = to - from === 1 ? due.subarray(from, to) : new Set(due.subarray(from, to));
      const byStart = [...sessions].sort((a, b) => this.#get(a, START) - this.#get(b, START));
      for (const slot of byStart) this.#fireOne(slot, key, timeMs);
      if (this.#runtime.isStepOver()) yield;
    }
  }

  /** Sessions by the key of their owner. */
  readonly #keyed = {
    has: (slot: number): boolean => this.#frame.table.has(slot),
    keyOf: (slot: number): Key | undefined => this.#owners.keyAt(this.#get(slot, OWNER)),
  };

  #fireOne(slot: number, key: Key, timeMs: number): void {
    this.#cut?.preserve(this.#get(slot, OWNER), false);
    const endMs = this.#endOf(slot);
    const said = this.#get(slot, SAID);
    if (said <= 0) {
      if (endMs > timeMs) {
        this.#heap.push(endMs, slot); // it grew since the timer was set
        return;
      }
      const revision = Math.abs(said); // not −0
      this.#set(slot, SAID, revision + 1);
      this.#say(slot, key, endMs, revision);
    }
    const closeMs = endMs + this.#latenessMs;
    if (closeMs > timeMs) {
      this.#heap.push(closeMs, slot);
      return;
    }
    const owner = this.#get(slot, OWNER);
    const left = (this.#sessions[owner] as readonly number[]).filter((other) => other !== slot);
    this.#sessions[owner] = left;
    this.#frame.remove(slot);
    if (left.length === 0) this.#owners.remove(owner);
  }

  #say(slot: number, key: Key, endMs: number, revision: number): void {
    const kind = revision === 0 ? "final" : "update";
    let row: unknown;
    try {
      row = this.#frame.result(slot, key, this.#get(slot, START), endMs, kind, revision);
    } catch (error) {
      this.#runtime.setAside(error, this.id, key, endMs - 1);
      return;
    }
    this.#runtime.fire(this.#next, row, key, endMs - 1);
  }

  save(writer: ByteWriter): void {
    writer.f64(this.#watermarkMs);
    writer.uint(this.#owners.size);
    for (const owner of this.#owners.sortedSlots()) {
      this.#owners.writeKeyAt(writer, owner);
      this.#writeSessions(writer, owner);
    }
  }

  *saveInSteps(writer: ByteWriter): Steps {
    this.#cut = new SlotCut(this.#owners, (owner, keep) => {
      if (!keep) return undefined;
      const kept = new ByteWriter(128);
      this.#writeSessions(kept, owner);
      return kept.finish();
    });
    writer.f64(this.#watermarkMs);
    yield;
    yield* this.#cut.steps(writer, (kept, owner) => {
      if (kept === undefined) this.#writeSessions(writer, owner);
      else writer.raw(kept);
    });
    this.#cut = undefined;
  }

  #writeSessions(writer: ByteWriter, owner: number): void {
    const { stride, extraAt } = this.#plan;
    const sessions = this.#sessions[owner] as readonly number[];
    writer.uint(sessions.length);
    for (const slot of sessions) {
      writer.doubles(this.#frame.rows, slot * stride, extraAt + OWNER);
      saveCells(this.#plan, this.#frame.cells, slot, writer);
    }
  }

  load(reader: ByteReader): void {
    const { stride, extraAt } = this.#plan;
    this.#frame = new Frame(this.#plan, this.#runtime.undo);
    this.#owners.clear();
    this.#heap.clear();
    this.#serial = 0;
    this.#watermarkMs = reader.f64();
    for (let left = reader.uint(); left > 0; left--) {
      const owner = this.#owners.slotOf(readKey(reader));
      const slots: number[] = [];
      for (let sessions = reader.uint(); sessions > 0; sessions--) {
        const slot = this.#frame.open(this.#serial++);
        reader.doubles(this.#frame.rows, slot * stride, extraAt + OWNER);
        loadCells(this.#plan, this.#frame.cells, slot, reader);
        this.#set(slot, OWNER, owner);
        slots.push(slot);
        this.#heap.push(this.#endOf(slot), slot);
      }
      this.#sessions[owner] = slots;
    }
  }

  held(key: Key): readonly HeldPart[] {
    const owner = this.#owners.find(key);
    const slots = owner < 0 ? NONE : (this.#sessions[owner] as readonly number[]);
    return slots.map((slot) => this.#frame.heldAt(slot, key, this.#get(slot, START), this.#endOf(slot)));
  }

  heldKeys(): Iterable<Key> {
    return this.#owners.held();
  }

  metrics(): OperatorMetrics {
    return { name: this.name, keys: this.#frame.table.size, bytes: this.#frame.bytes + this.#owners.bytes };
  }
}

const NONE: readonly number[] = [];

import { DAY_MS, MillraceError } from "../../../core/index.js";
import { type ByteReader, ByteWriter } from "../state/bytes.js";
import { KeyTable } from "../state/key-table.js";
import { grown } from "../state/keys.js";
import { atOnce, type Steps } from "../state/steps.js";
import type { Operator, OperatorMetrics } from "../topology/runtime.js";

/** Identities written in one step of a save. */
const STEP = 512;
/** Identities of a day that is over let go of at once: by the next tick, and by each event that comes before it. */
const LET_GO = { tick: 4_096, event: 4 } as const;
/** As large as the pieces of a save, which then shares them. */
const PIECE_BYTES = 0x4_0000;

/** Identities of one day, as they came. */
interface Day {
  readonly day: number;
  /** One of its own: a day may be forgotten and come again. */
  readonly serial: number;
  /** Their slots; the first `count`. */
  slots: Int32Array;
  count: number;
  /** How many of them `bytes` holds. */
  written: number;
  readonly bytes: ByteWriter;
  /** How many the save under way is about. */
  cut: number;
}

/**
 * Recognises what was delivered before, by its identity: the first thing a source with `unique` does.
 *
 * Kept:   at least `ttlMs` and up to a day longer: identities are filed by the day of their source's clock (an event's own time may lie
 *         years back), and forgotten by the watermark.
 * State:  some 30 bytes an identity and twice its text; its bound is the rate of events times the time kept. O(1) an event. A save writes
 *         what came since the last one, and shares the rest with it: identities are saved in the order in which they came.
 * Errors: MR_OPTION_INVALID unless `ttlMs` is positive.
 */
export class Seen implements Operator {
  readonly id: number;
  readonly name: string;
  readonly #ttlMs: number;
  readonly #table = new KeyTable();
  /** Serial of the day by slot. */
  #dayOf = new Int32Array(16);
  readonly #days = new Map<number, Day>();
  readonly #bySerial = new Map<number, Day>();
  #serial = 0;
  /** Days that are over, whose identities are still in the table, and how many of the first one's are not. */
  readonly #leaving: Day[] = [];
  #left = 0;
  #forgottenBefore = Number.NEGATIVE_INFINITY;

  constructor(id: number, name: string, ttlMs: number) {
    if (!(ttlMs > 0)) throw new MillraceError("MR_OPTION_INVALID", `unique needs a positive ttlMs, got ${ttlMs}`);
    this.id = id;
    this.name = name;
    this.#ttlMs = ttlMs;
  }

  /** False when the identity is known; else remembers it as of `nowMs`, its source's time. */
  isNew(identity: string, nowMs: number): boolean {
    if (this.#leaving.length > 0) this.#letGo(LET_GO.event);
    const slot = this.#table.slotOf(identity);
    const number = Math.floor(nowMs / DAY_MS);
    if (!this.#table.fresh && this.#bySerial.has(this.#dayOf[slot] as number)) return false;
    this.#file(slot, number);
    return true;
  }

  #file(slot: number, number: number): void {
    if (slot >= this.#dayOf.length) this.#dayOf = grown(this.#dayOf);
    const day = this.#dayAt(number);
    this.#dayOf[slot] = day.serial;
    if (day.count === day.slots.length) day.slots = grown(day.slots);
    day.slots[day.count++] = slot;
  }

  /** Takes back the latest `isNew`: the event did not succeed, and may be sent again. */
  takeBack(identity: string): void {
    const slot = this.#table.find(identity);
    const day = this.#bySerial.get(this.#dayOf[slot] ?? 0);
    if (day === undefined) return;
    this.#table.remove(slot);
    day.count--;
    if (day.count === 0) this.#drop(day);
  }

  #dayAt(number: number): Day {
    let day = this.#days.get(number);
    if (day === undefined) {
      const bytes = new ByteWriter(1024, PIECE_BYTES);
      day = { day: number, serial: ++this.#serial, slots: new Int32Array(16), count: 0, written: 0, bytes, cut: 0 };
      this.#days.set(number, day);
      this.#bySerial.set(day.serial, day);
    }
    return day;
  }

  #drop({ day, serial }: Day): void {
    this.#days.delete(day);
    this.#bySerial.delete(serial);
  }

  nextMs(): number {
    return Number.POSITIVE_INFINITY;
  }

  advance(toMs: number): void {
    if (this.#leaving.length > 0) this.#letGo(LET_GO.tick);
    const firstKept = Math.floor((toMs - this.#ttlMs) / DAY_MS);
    if (firstKept <= this.#forgottenBefore) return;
    this.#forgottenBefore = firstKept;
    for (const [number, day] of this.#days) {
      if (number >= firstKept) continue;
      atOnce(this.#write(day)); // a save under way may not have come to it
      this.#leaving.push(day);
      this.#drop(day);
    }
  }

  /** A day is forgotten at once, its identities leave the table bit by bit: to remove a million would be a pause. */
  #letGo(most: number): void {
    const day = this.#leaving[0] as Day;
    const to = Math.min(day.count, this.#left + most);
    for (; this.#left < to; this.#left++) {
      const slot = day.slots[this.#left] as number;
      // It may have come again, or its slot be another's.
      if (this.#table.has(slot) && this.#dayOf[slot] === day.serial) this.#table.remove(slot);
    }
    if (this.#left < day.count) return;
    this.#leaving.shift();
    this.#left = 0;
  }

  save(writer: ByteWriter): void {
    atOnce(this.saveInSteps(writer));
  }

  *saveInSteps(writer: ByteWriter): Steps {
    // Days only grow, at their end: how long each is now is all that must be kept of this moment.
    const days = [...this.#days.values()].sort((a, b) => a.day - b.day);
    for (const day of days) day.cut = day.count;
    writer.uint(days.length);
    for (const day of days) {
      yield;
      yield* this.#write(day);
      writer.f64(day.day);
      writer.uint(day.cut);
      day.cut = 0;
      for (const piece of day.bytes.finishPieces()) if (!writer.share(piece)) writer.raw(piece);
    }
  }

  /** Appends what the save under way is about and is not written yet. */
  *#write(day: Day): Steps {
    while (day.written < day.cut) {
      day.bytes.text(this.#table.keyAt(day.slots[day.written++] as number) as string);
      if (day.written % STEP === 0) yield;
    }
  }

  load(reader: ByteReader): void {
    this.#table.clear();
    this.#days.clear();
    this.#bySerial.clear();
    this.#leaving.length = 0;
    this.#left = 0;
    this.#forgottenBefore = Number.NEGATIVE_INFINITY; // forgetting again what is forgotten already changes nothing
    for (let left = reader.uint(); left > 0; left--) {
      const day = reader.f64();
      for (let ids = reader.uint(); ids > 0; ids--) this.#file(this.#table.slotOf(reader.text()), day);
    }
  }

  metrics(): OperatorMetrics {
    let keys = 0;
    let bytes = this.#table.bytes + this.#dayOf.byteLength;
    for (const { count, slots, bytes: written } of this.#days.values()) {
      keys += count;
      bytes += slots.byteLength + written.length;
    }
    return { name: this.name, keys, bytes };
  }
}

import { DAY_MS, MillraceError } from "../../../core/index.js";
import { type ByteReader, ByteWriter } from "../state/bytes.js";
import type { Operator, OperatorMetrics } from "../topology/runtime.js";

/** Ids of one day, as they came. */
interface Day {
  readonly day: number;
  readonly ids: string[];
  /** How many of them `bytes` holds, sorted and written; most days are complete. */
  written: number;
  bytes: Uint8Array;
}

/**
 * Recognises what was delivered before, by its identity: the first thing a source with `unique` does.
 *
 * Kept:   at least `ttlMs` and up to a day longer: identities are filed by the day of their source's clock (an event's own time may lie
 *         years back), and forgotten by the watermark.
 * State:  one map entry an identity; its bound is the rate of events times the time kept. O(1) an event. A save writes again
 *         only the days that have grown.
 * Errors: MR_OPTION_INVALID unless `ttlMs` is positive.
 */
export class Seen implements Operator {
  readonly id: number;
  readonly name: string;
  readonly #ttlMs: number;
  readonly #dayOf = new Map<string, number>();
  readonly #days = new Map<number, Day>();
  #forgottenBefore = Number.NEGATIVE_INFINITY;

  constructor(id: number, name: string, ttlMs: number) {
    if (!(ttlMs > 0)) throw new MillraceError("MR_OPTION_INVALID", `unique needs a positive ttlMs, got ${ttlMs}`);
    this.id = id;
    this.name = name;
    this.#ttlMs = ttlMs;
  }

  /** False when the identity is known; else remembers it as of `nowMs`, its source's time. */
  isNew(identity: string, nowMs: number): boolean {
    if (this.#dayOf.has(identity)) return false;
    const number = Math.floor(nowMs / DAY_MS);
    this.#dayOf.set(identity, number);
    this.#dayAt(number).ids.push(identity);
    return true;
  }

  /** Takes back the latest `isNew`: the event did not succeed, and may be sent again. */
  takeBack(identity: string): void {
    const day = this.#days.get(this.#dayOf.get(identity) ?? Number.NaN);
    this.#dayOf.delete(identity);
    day?.ids.pop();
    if (day?.ids.length === 0) this.#days.delete(day.day);
  }

  #dayAt(number: number): Day {
    let day = this.#days.get(number);
    if (day === undefined) {
      day = { day: number, ids: [], written: 0, bytes: new Uint8Array(0) };
      this.#days.set(number, day);
    }
    return day;
  }

  nextMs(): number {
    return Number.POSITIVE_INFINITY;
  }

  advance(toMs: number): void {
    const firstKept = Math.floor((toMs - this.#ttlMs) / DAY_MS);
    if (firstKept <= this.#forgottenBefore) return;
    this.#forgottenBefore = firstKept;
    for (const [number, { ids }] of this.#days) {
      if (number >= firstKept) continue;
      for (const id of ids) this.#dayOf.delete(id);
      this.#days.delete(number);
    }
  }

  save(writer: ByteWriter): void {
    for (const _step of this.saveInSteps(writer));
  }

  /** A day a step. */
  *saveInSteps(writer: ByteWriter): Generator<void> {
    // Days only grow, at their end: how long each is now is all that must be kept of this moment.
    const days = [...this.#days.values()].sort((a, b) => a.day - b.day).map((day) => ({ day, length: day.ids.length }));
    writer.uint(days.length);
    for (const { day, length } of days) {
      yield;
      const bytes = bytesOf(day, length);
      writer.f64(day.day);
      writer.uint(length);
      writer.raw(bytes);
    }
  }

  load(reader: ByteReader): void {
    this.#dayOf.clear();
    this.#days.clear();
    this.#forgottenBefore = Number.NEGATIVE_INFINITY; // forgetting again what is forgotten already changes nothing
    for (let left = reader.uint(); left > 0; left--) {
      const day = this.#dayAt(reader.f64());
      for (let ids = reader.uint(); ids > 0; ids--) {
        const id = reader.text();
        day.ids.push(id);
        this.#dayOf.set(id, day.day);
      }
    }
  }

  metrics(): OperatorMetrics {
    return { name: this.name, keys: this.#dayOf.size, bytes: this.#dayOf.size * 16 };
  }
}

function bytesOf(day: Day, length: number): Uint8Array {
  if (day.written !== length) {
    const writer = new ByteWriter(length * 48);
    for (const id of day.ids.slice(0, length).sort()) writer.text(id);
    day.bytes = writer.finish();
    day.written = length;
  }
  return day.bytes;
}

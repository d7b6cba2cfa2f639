import { type Aggregates, type Plan, planAggregates } from "../aggregates/plan.js";
import type { ByteReader, ByteWriter } from "../state/bytes.js";
import { Frame } from "../state/frame.js";
import type { Key } from "../state/keys.js";
import { atOnce, type Steps } from "../state/steps.js";
import { Undo, type Undoable } from "../state/undo.js";
import type { HeldPart, Operator, OperatorMetrics, Push, Runtime } from "../topology/runtime.js";
import { type Held, type SayAll, sayingAll } from "./firing.js";
import { BlockSlide } from "./slide-blocks.js";
import { SubtractSlide } from "./slide-subtract.js";
import type { HoppingSpec } from "./specs.js";

/** Frames kept for panes to come. */
const SPARES = 4;

/** A slice of time that overlapping windows share: an event is folded into it once. */
export interface HopPane<V> {
  readonly startMs: number;
  readonly frame: Frame<V>;
}

/** What a sliding window holds at the moment, moved from one window to the next. */
export interface Slide<V> {
  /** Moves on to the window `[startMs, endMs)`: lets go of panes before it and takes in those not seen yet. `panes` ascend. */
  moveTo(startMs: number, endMs: number, panes: readonly HopPane<V>[]): Steps;
  /** Keys with something in the window, in key order. */
  slots(): Int32Array;
  /** What the window holds of each; until the next move. */
  held(): Held;
  /** A pane that was taken in already has changed: start over from the panes. */
  spoil(): void;
  readonly keys: number;
  readonly bytes: number;
}

/**
 * Folds events per key in overlapping windows of event time.
 *
 * Panes:  an event goes into one pane of gcd(size, slide); windows are put together from panes. Where every aggregate can be taken
 *         away exactly, a pane leaving the window is subtracted; else two stacks in the fixed-block form (van Herk; Gil and
 *         Werman): either way about two merges a pane and key, however many windows overlap.
 * Out:    one row per key and window when the watermark reaches its end, in (end, key) order.
 * Late:   the last window it belongs to has ended more than the lateness ago: to the late stream. Within the lateness: a corrected
 *         row (`update`) at once for each of its windows that was said already.
 * Throws: an aggregate's `merge` that throws takes the window with it, of all keys; its `result` only that key's row.
 * State:  panes of the span of one window (+ lateness), and one row per key of the window at hand.
 */
export class Hop<V> implements Operator, Undoable {
  readonly id: number;
  readonly name: string;
  readonly #runtime: Runtime;
  readonly #spec: HoppingSpec;
  readonly #paneMs: number;
  readonly #latenessMs: number;
  readonly #plan: Plan<V, unknown>;
  readonly #next: Push<unknown>;
  readonly #panes = new Map<number, HopPane<V>>();
  readonly #slide: Slide<V>;
  readonly #sayAll: SayAll;
  readonly #quiet = new Undo();
  /** Frames of panes that are over, of which the slide has yet to let go, and of those it has. */
  #dropped: Frame<V>[] = [];
  readonly #spare: Frame<V>[] = [];
  #current: HopPane<V> | undefined;
  /** The pane made last. */
  #latest: HopPane<V> | undefined;
  #watermarkMs = Number.NEGATIVE_INFINITY;
  /** End of the latest window that was fired or passed over. */
  #reachedMs = Number.NEGATIVE_INFINITY;
  #nextMs = Number.POSITIVE_INFINITY;

  constructor(
    id: number,
    name: string,
    runtime: Runtime,
    spec: HoppingSpec,
    aggregates: Aggregates<V>,
    next: Push<unknown>,
  ) {
    this.id = id;
    this.name = name;
    this.#runtime = runtime;
    this.#spec = spec;
    this.#paneMs = gcd(spec.sizeMs, spec.slideMs);
    this.#latenessMs = spec.latenessMs ?? 0;
    this.#next = next;
    this.#plan = planAggregates<V>(aggregates);
    this.#sayAll = sayingAll(this.#plan, runtime, id, next);
    const blocks = { sizeMs: spec.sizeMs, offsetMs: spec.offsetMs };
    this.#slide = this.#plan.subtractable ? new SubtractSlide(aggregates) : new BlockSlide(aggregates, blocks);
  }

  readonly push = (value: V): void => {
    const { timeMs, key } = this.#runtime.now;
    let pane = this.#current;
    if (pane === undefined || timeMs < pane.startMs || timeMs >= pane.startMs + this.#paneMs) {
      const lastEndMs = this.#floor(timeMs, this.#spec.slideMs) + this.#spec.sizeMs;
      if (lastEndMs + this.#latenessMs <= this.#watermarkMs) {
        this.#runtime.late(this.name, value, this.#watermarkMs - lastEndMs);
        return;
      }
      pane = this.#paneOf(this.#floor(timeMs, this.#paneMs));
    }
    const { frame } = pane;
    frame.add(frame.open(key), value, timeMs);
    if (pane.startMs < this.#reachedMs) this.#correct(pane.startMs, key);
    else this.#current = pane;
  };

  #floor(timeMs: number, stepMs: number): number {
    const { offsetMs } = this.#spec;
    return Math.floor((timeMs - offsetMs) / stepMs) * stepMs + offsetMs;
  }

  #paneOf(startMs: number): HopPane<V> {
    const known = this.#panes.get(startMs);
    if (known !== undefined) return known;
    const frame = this.#spare.pop() ?? new Frame(this.#plan, this.#runtime.undo, this.#expectedKeys());
    const pane = { startMs, frame };
    this.#panes.set(startMs, pane);
    this.#latest = pane;
    this.#runtime.undo.note(this, startMs, 0);
    this.#nextMs = Math.min(this.#nextMs, Math.max(this.#firstEndAfter(startMs), this.#reachedMs + this.#spec.slideMs));
    return pane;
  }

  /** About as many as in the pane before: growing key by key would cost as much as the adding. */
  #expectedKeys(): number {
    const latest = this.#latest?.frame.table.size ?? 0;
    return Math.max(16, Math.ceil(latest * 1.125));
  }

  undo(startMs: number): void {
    this.#panes.delete(startMs);
    this.#current = undefined;
  }

  /** The end of the first window that holds `timeMs`. */
  #firstEndAfter(timeMs: number): number {
    const { sizeMs, slideMs } = this.#spec;
    return this.#floor(timeMs - sizeMs, slideMs) + slideMs + sizeMs;
  }

  /** Says anew the windows of a pane that were said before it changed. */
  #correct(paneMs: number, key: Key): void {
    this.#slide.spoil();
    const { sizeMs, slideMs } = this.#spec;
    for (let endMs = this.#firstEndAfter(paneMs); endMs - sizeMs <= paneMs; endMs += slideMs) {
      if (endMs > this.#reachedMs) break;
      if (endMs + this.#latenessMs > this.#watermarkMs) this.#next(this.#recompute(key, endMs));
    }
  }

  #recompute(key: Key, endMs: number): unknown {
    this.#quiet.begin();
    const whole = new Frame<V>(this.#plan, this.#quiet);
    const slot = whole.open(key);
    const startMs = endMs - this.#spec.sizeMs;
    for (const { startMs: paneMs, frame } of this.#ascending()) {
      if (paneMs < startMs || paneMs >= endMs) continue;
      const from = frame.table.find(key);
      if (from >= 0) whole.mergeFrom(slot, frame, from);
    }
    return whole.result(slot, key, startMs, endMs, "update", 1);
  }

  #ascending(): HopPane<V>[] {
    return [...this.#panes.values()].sort((a, b) => a.startMs - b.startMs);
  }

  nextMs(): number {
    return this.#nextMs;
  }

  advance(toMs: number): void {
    atOnce(this.advanceInSteps(toMs));
  }

  *advanceInSteps(toMs: number): Steps {
    if (toMs > this.#watermarkMs) this.#watermarkMs = toMs;
    while (this.#nextMs <= toMs) {
      const endMs = this.#nextMs;
      if (this.#isEnd(endMs)) yield* this.#fire(endMs);
      this.#dropPanes(toMs);
      this.#nextMs = this.#dueAfter();
    }
    // Windows that held nothing are over as well: what comes for them is late, or a correction.
    this.#reachedMs = this.#floor(this.#watermarkMs - this.#spec.sizeMs, this.#spec.slideMs) + this.#spec.sizeMs;
    if (this.#panes.size === 0 && this.#slide.keys > 0) this.#slide.spoil();
  }

  #isEnd(timeMs: number): boolean {
    return this.#floor(timeMs - this.#spec.sizeMs, this.#spec.slideMs) === timeMs - this.#spec.sizeMs;
  }

  *#fire(endMs: number): Steps {
    const startMs = endMs - this.#spec.sizeMs;
    this.#reachedMs = endMs;
    this.#current = undefined;
    const slide = this.#slide;
    try {
      yield* slide.moveTo(startMs, endMs, this.#ascending());
      this.#spareDropped();
    } catch (error) {
      slide.spoil(); // half moved
      this.#runtime.setAside(error, this.id, "", endMs - 1);
      return;
    }
    const slots = slide.slots();
    const held = slide.held();
    for (let from = 0, to = 0; from < slots.length; from = to) {
      to = Math.min(slots.length, from + this.#runtime.unitsLeft);
      this.#sayAll(slots.subarray(from, to), held, startMs, endMs, "final");
      if (this.#runtime.isStepOver(to - from)) yield;
    }
  }

  /** Removes panes that no window can use or correct any more. */
  #dropPanes(toMs: number): void {
    for (const [startMs, { frame }] of this.#panes) {
      if (this.#closeOf(startMs) > toMs || startMs >= this.#reachedMs - this.#spec.sizeMs + this.#spec.slideMs)
        continue;
      this.#panes.delete(startMs);
      if (this.#dropped.length < SPARES) this.#dropped.push(frame);
    }
  }

  /** A pane comes and goes with each slide: memory taken anew for it costs more than what is done with it. */
  #spareDropped(): void {
    for (const frame of this.#dropped) if (this.#spare.length < SPARES && frame.reuse()) this.#spare.push(frame);
    this.#dropped = [];
  }

  /** When the last window of a pane takes no more corrections. */
  #closeOf(startMs: number): number {
    return this.#floor(startMs, this.#spec.slideMs) + this.#spec.sizeMs + this.#latenessMs;
  }

  #dueAfter(): number {
    const { sizeMs, slideMs } = this.#spec;
    let due = Number.POSITIVE_INFINITY;
    for (const startMs of this.#panes.keys()) {
      const needed = startMs >= this.#reachedMs - sizeMs + slideMs;
      const end = needed ? Math.max(this.#firstEndAfter(startMs), this.#reachedMs + slideMs) : this.#closeOf(startMs);
      if (end < due) due = end;
    }
    return due;
  }

  save(writer: ByteWriter): void {
    writer.f64(this.#watermarkMs);
    writer.f64(this.#reachedMs);
    writer.uint(this.#panes.size);
    for (const { startMs, frame } of this.#ascending()) {
      writer.f64(startMs);
      frame.save(writer);
    }
  }

  *saveInSteps(writer: ByteWriter): Steps {
    const panes = this.#ascending();
    const frames = panes.map(({ frame }) => frame.saveInSteps(writer));
    for (const frame of frames) frame.next();
    writer.f64(this.#watermarkMs);
    writer.f64(this.#reachedMs);
    writer.uint(panes.length);
    yield;
    for (const [i, { startMs }] of panes.entries()) {
      writer.f64(startMs);
      yield* frames[i] as Steps;
    }
  }

  load(reader: ByteReader): void {
    this.#panes.clear();
    this.#current = undefined;
    this.#watermarkMs = reader.f64();
    this.#reachedMs = reader.f64();
    for (let left = reader.uint(); left > 0; left--) {
      const startMs = reader.f64();
      const frame = new Frame(this.#plan, this.#runtime.undo);
      frame.load(reader);
      this.#panes.set(startMs, { startMs, frame });
    }
    this.#nextMs = this.#dueAfter();
    this.#slide.spoil();
  }

  /** By pane: what several windows share. */
  held(key: Key): readonly HeldPart[] {
    return this.#ascending().flatMap(({ startMs, frame }) => frame.held(key, startMs, startMs + this.#paneMs));
  }

  *heldKeys(): Generator<Key> {
    for (const { frame } of this.#panes.values()) yield* frame.table.held();
  }

  metrics(): OperatorMetrics {
    let keys = this.#slide.keys;
    let bytes = this.#slide.bytes;
    for (const { frame } of this.#panes.values()) {
      keys += frame.table.size;
      bytes += frame.bytes;
    }
    for (const frame of this.#spare) bytes += frame.bytes;
    return { name: this.name, keys, bytes };
  }
}

/** The first of the ascending panes at or behind `startMs` and behind `reachedMs`: from the end, for few are new. */
export function firstFrom<V>(panes: readonly HopPane<V>[], startMs: number, reachedMs: number): number {
  let i = panes.length;
  while (i > 0 && (panes[i - 1] as HopPane<V>).startMs >= startMs && (panes[i - 1] as HopPane<V>).startMs > reachedMs)
    i--;
  return i;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

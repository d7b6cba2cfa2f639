import type { Plan, ResultKind } from "../aggregates/plan.js";
import type { ByteReader, ByteWriter } from "../state/bytes.js";
import { Frame } from "../state/frame.js";
import type { Key } from "../state/keys.js";
import { atOnce, type Steps } from "../state/steps.js";
import type { Undoable } from "../state/undo.js";
import type { HeldPart, Operator, OperatorMetrics, Push, Runtime } from "../topology/runtime.js";
import type { TumblingSpec } from "./specs.js";

/** Doubles a row needs beside its aggregates when a key may have several results: how many were emitted, and events since. */
export const TUMBLE_EXTRA = 2;

interface Pane<V> {
  readonly startMs: number;
  readonly frame: Frame<V>;
  fired: boolean;
  nextEarlyMs: number;
}

/**
 * Folds events per key in fixed, gap-free windows of event time.
 *
 * Out:    one row per key and window when the watermark reaches `endMs`, in (end, key) order; early rows and updates on request.
 * Late:   beyond the lateness: to the late stream. Within: the corrected row at once, `kind: "update"`.
 * State:  one table of keys a window, dropped whole. O(1) an event, O(n log n) a window for its n keys.
 */
export class Tumble<V> implements Operator, Undoable {
  readonly id: number;
  readonly name: string;
  readonly #runtime: Runtime;
  readonly #spec: TumblingSpec;
  readonly #plan: Plan<V, unknown>;
  readonly #next: Push<unknown>;
  readonly #latenessMs: number;
  /** Results of a key are numbered only where there can be several. */
  readonly #revisable: boolean;
  readonly #panes = new Map<number, Pane<V>>();
  #current: Pane<V> | undefined;
  #watermarkMs = Number.NEGATIVE_INFINITY;
  #nextMs = Number.POSITIVE_INFINITY;

  constructor(
    id: number,
    name: string,
    runtime: Runtime,
    spec: TumblingSpec,
    plan: Plan<V, unknown>,
    next: Push<unknown>,
  ) {
    this.id = id;
    this.name = name;
    this.#runtime = runtime;
    this.#spec = spec;
    this.#plan = plan;
    this.#next = next;
    this.#latenessMs = spec.latenessMs ?? 0;
    this.#revisable = plan.stride - plan.extraAt >= TUMBLE_EXTRA;
  }

  readonly push = (value: V): void => {
    const { now } = this.#runtime;
    const { timeMs, key } = now;
    let pane = this.#current;
    if (pane === undefined || timeMs < pane.startMs || timeMs >= pane.startMs + this.#spec.sizeMs) {
      pane = this.#paneAt(timeMs);
      if (pane === undefined) {
        const { sizeMs, offsetMs } = this.#spec;
        const endMs = Math.floor((timeMs - offsetMs) / sizeMs) * sizeMs + offsetMs + sizeMs;
        this.#runtime.late(this.name, value, this.#watermarkMs - endMs);
        return;
      }
      this.#current = pane;
    }
    const { frame } = pane;
    if (!this.#revisable) {
      frame.add(frame.open(key), value, timeMs);
      return;
    }
    this.#addRevisable(pane, key, value, timeMs);
  };

  #paneAt(timeMs: number): Pane<V> | undefined {
    const { sizeMs, offsetMs, earlyEveryMs } = this.#spec;
    const startMs = Math.floor((timeMs - offsetMs) / sizeMs) * sizeMs + offsetMs; // floor, not truncation: aligned before 1970 too
    const known = this.#panes.get(startMs);
    if (known !== undefined) return known;
    const endMs = startMs + sizeMs;
    if (endMs + this.#latenessMs <= this.#watermarkMs) return undefined;
    const pane: Pane<V> = {
      startMs,
      frame: new Frame(this.#plan, this.#runtime.undo),
      fired: endMs <= this.#watermarkMs,
      nextEarlyMs: this.#firstEarly(startMs, earlyEveryMs),
    };
    this.#panes.set(startMs, pane);
    this.#runtime.undo.note(this, startMs, 0);
    this.#nextMs = Math.min(this.#nextMs, this.#dueOf(pane));
    return pane;
  }

  /** The first multiple still to come: a window whose first event is late in it keeps its neighbours' times. */
  #firstEarly(startMs: number, everyMs = Number.POSITIVE_INFINITY): number {
    if (this.#watermarkMs < startMs) return startMs + everyMs;
    return startMs + (Math.floor((this.#watermarkMs - startMs) / everyMs) + 1) * everyMs;
  }

  undo(startMs: number): void {
    this.#panes.delete(startMs);
    this.#current = undefined;
  }

  #addRevisable(pane: Pane<V>, key: Key, value: V, timeMs: number): void {
    const { frame, startMs } = pane;
    const { stride, extraAt } = this.#plan;
    const endMs = startMs + this.#spec.sizeMs;
    const slot = frame.open(key);
    const extra = slot * stride + extraAt;
    const said = frame.rows[extra] as number;
    let retracted: unknown;
    if (pane.fired && this.#spec.retract && said > 0)
      retracted = frame.result(slot, key, startMs, endMs, "retract", said - 1);
    frame.add(slot, value, timeMs);
    if (pane.fired) {
      if (retracted !== undefined) this.#next(retracted);
      frame.rows[extra] = said + 1;
      this.#next(frame.result(slot, key, startMs, endMs, "update", said));
      return;
    }
    const since = (frame.rows[extra + 1] as number) + 1;
    frame.rows[extra + 1] = since;
    if (since === this.#spec.earlyEveryCount) this.#sayEarly(pane, slot, key, (row) => this.#next(row));
  }

  #sayEarly(pane: Pane<V>, slot: number, key: Key, say: (row: unknown) => void): void {
    const { frame, startMs } = pane;
    const extra = slot * this.#plan.stride + this.#plan.extraAt;
    const said = frame.rows[extra] as number;
    const endMs = startMs + this.#spec.sizeMs;
    frame.rows[extra] = said + 1;
    frame.rows[extra + 1] = 0;
    say(frame.result(slot, key, startMs, endMs, "early", said));
  }

  #dueOf(pane: Pane<V>): number {
    const endMs = pane.startMs + this.#spec.sizeMs;
    return pane.fired ? endMs + this.#latenessMs : Math.min(endMs, pane.nextEarlyMs);
  }

  nextMs(): number {
    return this.#nextMs;
  }

  advance(toMs: number): void {
    atOnce(this.advanceInSteps(toMs));
  }

  *advanceInSteps(toMs: number): Steps {
    if (toMs > this.#watermarkMs) this.#watermarkMs = toMs;
    if (this.#nextMs > toMs) return;
    const due = [...this.#panes.values()]
      .filter((pane) => this.#dueOf(pane) <= toMs)
      .sort((a, b) => a.startMs - b.startMs);
    for (const pane of due) yield* this.#firePane(pane, toMs);
    this.#nextMs = Number.POSITIVE_INFINITY;
    for (const pane of this.#panes.values()) this.#nextMs = Math.min(this.#nextMs, this.#dueOf(pane));
  }

  *#firePane(pane: Pane<V>, toMs: number): Steps {
    const endMs = pane.startMs + this.#spec.sizeMs;
    if (endMs > toMs) {
      yield* this.#fireAll(pane, "early");
      while (pane.nextEarlyMs <= toMs) pane.nextEarlyMs += this.#spec.earlyEveryMs as number;
      return;
    }
    this.#current = undefined;
    if (!pane.fired) {
      pane.fired = true;
      yield* this.#fireAll(pane, "final");
    }
    if (endMs + this.#latenessMs <= toMs) this.#panes.delete(pane.startMs);
  }

  *#fireAll({ frame, startMs }: Pane<V>, kind: ResultKind): Steps {
    const endMs = startMs + this.#spec.sizeMs;
    const { stride, extraAt } = this.#plan;
    const runtime = this.#runtime;
    for (const slot of yield* frame.table.sortedInSteps()) {
      if (runtime.isStepOver()) yield;
      const key = frame.table.keyAt(slot) as Key;
      let revision = 0;
      if (this.#revisable) {
        const extra = slot * stride + extraAt;
        if (kind === "early" && frame.rows[extra + 1] === 0) continue;
        frame.touch(slot);
        revision = frame.rows[extra] as number;
        frame.rows[extra] = revision + 1;
        frame.rows[extra + 1] = 0;
      }
      const timeMs = kind === "early" ? this.#watermarkMs - 1 : endMs - 1;
      let row: unknown;
      try {
        row = frame.result(slot, key, startMs, endMs, kind, revision);
      } catch (error) {
        runtime.setAside(error, this.id, key, timeMs);
        continue;
      }
      runtime.fire(this.#next, row, key, timeMs);
    }
  }

  save(writer: ByteWriter): void {
    writer.f64(this.#watermarkMs);
    writer.uint(this.#panes.size);
    for (const pane of [...this.#panes.values()].sort((a, b) => a.startMs - b.startMs)) {
      writer.f64(pane.startMs);
      writer.u8(pane.fired ? 1 : 0);
      writer.f64(pane.nextEarlyMs);
      pane.frame.save(writer);
    }
  }

  *saveInSteps(writer: ByteWriter): Steps {
    const panes = [...this.#panes.values()].sort((a, b) => a.startMs - b.startMs);
    // As they are now: flags are written at once, the frames cut at once and written later.
    const heads = panes.map(({ startMs, fired, nextEarlyMs }) => ({ startMs, fired, nextEarlyMs }));
    const frames = panes.map(({ frame }) => frame.saveInSteps(writer));
    for (const frame of frames) frame.next();
    writer.f64(this.#watermarkMs);
    writer.uint(panes.length);
    yield;
    for (const [i, { startMs, fired, nextEarlyMs }] of heads.entries()) {
      writer.f64(startMs);
      writer.u8(fired ? 1 : 0);
      writer.f64(nextEarlyMs);
      yield* frames[i] as Steps;
    }
  }

  load(reader: ByteReader): void {
    this.#panes.clear();
    this.#current = undefined;
    this.#nextMs = Number.POSITIVE_INFINITY;
    this.#watermarkMs = reader.f64();
    for (let left = reader.uint(); left > 0; left--) {
      const startMs = reader.f64();
      const fired = reader.u8() === 1;
      const pane: Pane<V> = {
        startMs,
        fired,
        nextEarlyMs: reader.f64(),
        frame: new Frame(this.#plan, this.#runtime.undo),
      };
      pane.frame.load(reader);
      this.#panes.set(startMs, pane);
      this.#nextMs = Math.min(this.#nextMs, this.#dueOf(pane));
    }
  }

  held(key: Key): readonly HeldPart[] {
    return [...this.#panes.values()]
      .sort((a, b) => a.startMs - b.startMs)
      .flatMap(({ startMs, frame }) => frame.held(key, startMs, startMs + this.#spec.sizeMs));
  }

  *heldKeys(): Generator<Key> {
    for (const { frame } of this.#panes.values()) yield* frame.table.held();
  }

  metrics(): OperatorMetrics {
    let keys = 0;
    let bytes = 0;
    for (const { frame } of this.#panes.values()) {
      keys += frame.table.size;
      bytes += frame.bytes;
    }
    return { name: this.name, keys, bytes };
  }
}

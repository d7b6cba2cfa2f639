import { saveCells } from "../aggregates/plan.js";
import { ByteWriter } from "./bytes.js";
import type { Frame } from "./frame.js";
import { compareKeys, type Key, writeKey } from "./keys.js";

/** Slots copied at once when one of them changes during a save: some 100 µs. */
const CHUNK = 1_024;
/** Slots sorted, or rows written, in one step: some ms. */
const STEP = 1_024;

interface Image {
  readonly keys: (Key | undefined)[];
  readonly rows: Float64Array;
  /** Saved cells by slot, where there are any. */
  readonly cells: (Uint8Array | undefined)[];
}

/**
 * A frame as it was at one moment, written bit by bit while the frame goes on changing: a chunk of slots is copied just before its
 * first change (copy on write). What is written is byte for byte what `Frame.save` would have written at that moment.
 */
export class FrameCut<V> {
  readonly #frame: Frame<V>;
  readonly #length: number;
  readonly #size: number;
  readonly #images: (Image | undefined)[] = [];

  constructor(frame: Frame<V>) {
    this.#frame = frame;
    this.#length = frame.table.keys.length;
    this.#size = frame.table.size;
  }

  /** Call before a slot changes; after a free slot got its key, with `isNew`. */
  preserve(slot: number, isNew: boolean): void {
    if (slot >= this.#length) return;
    const chunk = Math.floor(slot / CHUNK);
    if (this.#images[chunk] !== undefined) return;
    this.#images[chunk] = this.#copy(chunk, isNew ? slot % CHUNK : -1);
  }

  /** `fresh` is the place of a key that was not there at the cut. */
  #copy(chunk: number, fresh: number): Image {
    const { table, rows, plan, cells } = this.#frame;
    const from = chunk * CHUNK;
    const to = Math.min(from + CHUNK, this.#length);
    const keys = table.keys.slice(from, to);
    if (fresh >= 0) keys[fresh] = undefined;
    const saved =
      plan.cells.length === 0
        ? []
        : keys.map((key, i) => (key === undefined ? undefined : this.#cellsOf(cells, from + i)));
    return { keys, rows: rows.slice(from * plan.stride, to * plan.stride), cells: saved };
  }

  #cellsOf(cells: readonly unknown[][], slot: number): Uint8Array {
    const writer = new ByteWriter(256);
    saveCells(this.#frame.plan, cells, slot, writer);
    return writer.finish();
  }

  #keyAt(slot: number): Key | undefined {
    const image = this.#images[Math.floor(slot / CHUNK)];
    return image === undefined ? this.#frame.table.keys[slot] : image.keys[slot % CHUNK];
  }

  /** Writes the frame; each turn of the generator is one step. */
  *steps(writer: ByteWriter): Generator<void> {
    writer.uint(this.#size);
    const runs: { readonly slots: Int32Array; at: number }[] = [];
    for (let from = 0; from < this.#length; from += STEP) {
      const slots = this.#sortedRun(from, Math.min(from + STEP, this.#length));
      if (slots.length > 0) runs.push({ slots, at: 0 });
      yield;
    }
    const heap = new RunHeap(runs.map((run) => ({ run, key: this.#keyAt(run.slots[0] as number) as Key })));
    for (let written = 0; written < this.#size; written++) {
      if (written > 0 && written % STEP === 0) yield;
      const { run, key } = heap.top;
      this.#writeSlot(writer, run.slots[run.at++] as number, key);
      const next = run.slots[run.at];
      if (next === undefined) heap.dropTop();
      else heap.replaceTop(this.#keyAt(next) as Key);
    }
  }

  #sortedRun(from: number, to: number): Int32Array {
    const pairs: { slot: number; key: Key }[] = [];
    for (let slot = from; slot < to; slot++) {
      const key = this.#keyAt(slot);
      if (key !== undefined) pairs.push({ slot, key });
    }
    pairs.sort((a, b) => compareKeys(a.key, b.key));
    return Int32Array.from(pairs, ({ slot }) => slot);
  }

  #writeSlot(writer: ByteWriter, slot: number, key: Key): void {
    const { plan, rows, cells } = this.#frame;
    const image = this.#images[Math.floor(slot / CHUNK)];
    const place = slot % CHUNK;
    writeKey(writer, key);
    writer.doubles(image?.rows ?? rows, (image === undefined ? slot : place) * plan.stride, plan.stride);
    if (plan.cells.length === 0) return;
    writer.raw(image?.cells[place] ?? this.#cellsOf(cells, slot));
  }
}

type Head = { run: { readonly slots: Int32Array; at: number }; key: Key };

/** Runs by their next key. */
class RunHeap {
  readonly #heads: Head[];

  constructor(heads: Head[]) {
    this.#heads = heads;
    for (let i = (heads.length >> 1) - 1; i >= 0; i--) this.#sink(i);
  }

  get top(): Head {
    return this.#heads[0] as Head;
  }

  replaceTop(key: Key): void {
    this.top.key = key;
    this.#sink(0);
  }

  dropTop(): void {
    const last = this.#heads.pop() as Head;
    if (this.#heads.length === 0) return;
    this.#heads[0] = last;
    this.#sink(0);
  }

  #sink(from: number): void {
    const heads = this.#heads;
    const head = heads[from] as Head;
    let i = from;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heads.length) break;
      if (child + 1 < heads.length && compareKeys((heads[child + 1] as Head).key, (heads[child] as Head).key) < 0)
        child++;
      if (compareKeys((heads[child] as Head).key, head.key) >= 0) break;
      heads[i] = heads[child] as Head;
      i = child;
    }
    heads[i] = head;
  }
}

import { grown } from "./keys.js";

/** References that may stay behind from one unit of work to the next. */
const KEPT_MAX = 64;

/** State that can take one change back. What `a` and `b` mean is the target's own affair. */
export interface Undoable {
  undo(a: number, b: number): void;
}

/**
 * What the unit of work at hand (one event, one timer, one window result) has changed, so that it can be taken back when user
 * code throws: the newest change first.
 *
 * Cost: two numbers and a reference a change, and a copy of a row's doubles where a row changes; nothing is allocated once the
 * buffers have grown. `begin` is O(1).
 */
export class Undo {
  /** Old rows; their place is the `b` of the change. */
  doubles = new Float64Array(256);
  #used = 0;
  #count = 0;
  readonly #targets: Undoable[] = [];
  readonly #a: number[] = [];
  readonly #b: number[] = [];
  readonly #objects: unknown[] = [];
  #kept = 0;
  readonly #after: (() => void)[] = [];

  begin(): void {
    this.#count = 0;
    this.#used = 0;
    if (this.#after.length > 0) this.#after.length = 0;
    this.#kept = 0;
    // Shortening a list frees its memory, to be had again by the next event: only after a large unit of work.
    if (this.#objects.length > KEPT_MAX) this.#objects.length = 0;
  }

  note(target: Undoable, a: number, b: number): void {
    const i = this.#count++;
    this.#targets[i] = target;
    this.#a[i] = a;
    this.#b[i] = b;
  }

  /** Keeps a reference for `undo` to find by number. */
  keep(object: unknown): number {
    this.#objects[this.#kept] = object;
    return this.#kept++;
  }

  kept(index: number): unknown {
    return this.#objects[index];
  }

  /** Copies `count` doubles and notes where they are. */
  row(target: Undoable, a: number, values: Float64Array, from: number, count: number): void {
    const at = this.#used;
    this.#used += count;
    if (this.#used > this.doubles.length)
      this.doubles = grown(this.doubles, Math.max(this.#used, this.doubles.length * 2));
    const doubles = this.doubles;
    for (let i = 0; i < count; i++) doubles[at + i] = values[from + i] as number;
    this.note(target, a, at);
  }

  /** Runs `effect` once the unit has succeeded: for what can neither be taken back nor throw (models that learn). */
  afterwards(effect: () => void): void {
    this.#after.push(effect);
  }

  commit(): void {
    if (this.#after.length === 0) return;
    for (const effect of this.#after) effect();
    this.#after.length = 0;
  }

  rollback(): void {
    while (this.#count > 0) {
      const i = --this.#count;
      (this.#targets[i] as Undoable).undo(this.#a[i] as number, this.#b[i] as number);
    }
    this.begin();
  }
}

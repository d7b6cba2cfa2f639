import { mergeInSteps } from "../state/key-order.js";
import type { KeyTable } from "../state/key-table.js";
import type { Steps } from "../state/steps.js";

/** Keeps slots of a changing set of keys in key order: newcomers are sorted and merged in, so a window costs O(keys), not a sort. */
export class OrderedSlots {
  slots: Int32Array = new Int32Array(0);
  #added: number[] = [];
  #removed = 0;

  add(slot: number): void {
    this.#added.push(slot);
  }

  /** Call before the slot can be given to another key, and `settle` before it is. */
  noteRemoved(): void {
    this.#removed++;
  }

  /** Brings the list up to date. `table` as of before any removed slot is re-used. */
  *settle(table: KeyTable): Steps {
    if (this.#removed > 0) {
      this.slots = this.slots.filter((slot) => table.has(slot));
      this.#removed = 0;
    }
    if (this.#added.length === 0) return;
    const added = yield* table.sort(Int32Array.from(this.#added));
    this.#added = [];
    this.slots = this.slots.length === 0 ? added : yield* mergeInSteps(this.slots, added, table.keyOf);
  }

  clear(): void {
    this.slots = new Int32Array(0);
    this.#added = [];
    this.#removed = 0;
  }
}

import { type Key, mergeSlots, sortSlots } from "../state/keys.js";

/** Keeps slots of a changing set of keys in key order: newcomers are sorted and merged in, so a window costs O(keys), not a sort. */
export class OrderedSlots {
  slots = new Int32Array(0);
  #added: number[] = [];
  #removed = 0;

  add(slot: number): void {
    this.#added.push(slot);
  }

  /** Call before the slot can be given to another key, and `settle` before it is. */
  noteRemoved(): void {
    this.#removed++;
  }

  /** Brings the list up to date. `keys` as of before any removed slot is re-used; removed ones are undefined there. */
  settle(keys: readonly (Key | undefined)[]): Int32Array {
    if (this.#removed > 0) {
      this.slots = this.slots.filter((slot) => keys[slot] !== undefined);
      this.#removed = 0;
    }
    if (this.#added.length === 0) return this.slots;
    const added = sortSlots(Int32Array.from(this.#added), keys);
    this.#added = [];
    const merged = mergeSlots(this.slots, added, keys);
    this.slots = merged;
    return merged;
  }

  clear(): void {
    this.slots = new Int32Array(0);
    this.#added = [];
    this.#removed = 0;
  }
}

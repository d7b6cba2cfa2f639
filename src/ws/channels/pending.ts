import type { DeliveryClass } from "../../core/index.js";
import type { Entry } from "./entry.js";

/** What waits to be sent, by delivery class, in the order of offsets. */
export interface Pending {
  readonly size: number;
  /** Characters of the records held, as a measure of their memory. */
  readonly length: number;
  /** Returns the records that will not be sent now because of this one: none, or a few when a bound was reached. */
  add(entry: Entry): readonly Entry[];
  take(): readonly Entry[];
}

const NONE: readonly Entry[] = [];

/** `key` names what a newer record replaces; `maxLength` bounds what one slow client may hold back. */
export function createPending(delivery: DeliveryClass, key: (entry: Entry) => string, maxLength: number): Pending {
  if (delivery === "lossless") return new All();
  return new Newest(delivery === "latest" ? key : () => "", maxLength);
}

class All implements Pending {
  #entries: Entry[] = [];
  length = 0;

  get size(): number {
    return this.#entries.length;
  }

  add(entry: Entry): readonly Entry[] {
    this.#entries.push(entry);
    this.length += entry.text.length;
    return NONE;
  }

  take(): readonly Entry[] {
    const entries = this.#entries;
    this.#entries = [];
    this.length = 0;
    return entries;
  }
}

class Newest implements Pending {
  readonly #key: (entry: Entry) => string;
  readonly #maxLength: number;
  #entries = new Map<string, Entry>();
  length = 0;

  constructor(key: (entry: Entry) => string, maxLength: number) {
    this.#key = key;
    this.#maxLength = maxLength;
  }

  get size(): number {
    return this.#entries.size;
  }

  add(entry: Entry): readonly Entry[] {
    const key = this.#key(entry);
    const replaced = this.#remove(key);
    this.#entries.set(key, entry); // at the end, so that offsets only increase
    this.length += entry.text.length;
    if (replaced === undefined && this.length <= this.#maxLength) return NONE;
    const left = replaced === undefined ? [] : [replaced];
    for (const oldest of this.#entries.keys()) {
      if (this.length <= this.#maxLength || this.#entries.size === 1) break;
      left.push(this.#remove(oldest) as Entry);
    }
    return left;
  }

  #remove(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.length -= entry.text.length;
    return entry;
  }

  take(): readonly Entry[] {
    const entries = [...this.#entries.values()];
    this.#entries = new Map();
    this.length = 0;
    return entries;
  }
}

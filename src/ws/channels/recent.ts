import type { Entry } from "./entry.js";

/**
 * The newest records of a channel, so that a storm of clients coming back is answered from memory. It can always be thrown away: what
 * it does not hold is read from the log.
 */
export class Recent {
  #entries: Entry[] = [];
  #length = 0;
  /** Everything after this offset is here. */
  #from: number;
  readonly #maxLength: number;

  /** `from`: the position at which collecting begins. `maxLength`: characters of all records together. */
  constructor(from: number, maxLength: number) {
    this.#from = from;
    this.#maxLength = maxLength;
  }

  add(entry: Entry): void {
    // Whoever reads it now has had its value and its frame; those who come back may never.
    this.#entries.at(-1)?.release();
    this.#entries.push(entry);
    this.#length += entry.text.length;
    if (this.#length <= this.#maxLength) return;
    // A quarter at once: dropping one at a time would move the whole array each time.
    let cut = 0;
    while (cut < this.#entries.length && this.#length > (this.#maxLength * 3) / 4) {
      const oldest = this.#entries[cut++] as Entry;
      this.#length -= oldest.text.length;
      this.#from = oldest.offset;
    }
    this.#entries = this.#entries.slice(cut);
  }

  /** Everything after `offset`; undefined when some of it is no longer here. */
  after(offset: number): readonly Entry[] | undefined {
    if (offset < this.#from) return undefined;
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#entries[middle] as Entry).offset <= offset) low = middle + 1;
      else high = middle;
    }
    return this.#entries.slice(low);
  }
}

/** One record on its way to many subscribers: text and value are made when first asked for, once for all. */
export class Entry {
  readonly offset: number;
  readonly subject: string;
  /** JSON, valid UTF-8. */
  readonly text: string;
  /** The frame made last; see `eventFrame`. */
  memo:
    | { readonly encoding: string; readonly channel: string; readonly prev: number; readonly frame: Buffer }
    | undefined;
  #value: unknown;
  #parsed = false;

  constructor(offset: number, subject: string, text: string) {
    this.offset = offset;
    this.subject = subject;
    this.text = text;
  }

  get value(): unknown {
    if (!this.#parsed) {
      this.#value = JSON.parse(this.text);
      this.#parsed = true;
    }
    return this.#value;
  }

  /** Lets go of what can be made again: who keeps many keeps their text alone. */
  release(): void {
    this.memo = undefined;
    this.#value = undefined;
    this.#parsed = false;
  }
}

/** Undefined when `data` is not JSON in UTF-8: a frame made of it would be refused by every client. */
export function readEntry(offset: number, subject: string, data: Uint8Array): Entry | undefined {
  try {
    const entry = new Entry(offset, subject, decoder.decode(data));
    void entry.value;
    return entry;
  } catch {
    return undefined;
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true });

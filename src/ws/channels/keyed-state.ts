import type { Encoding } from "./encoding.js";
import type { Entry } from "./entry.js";
import { type CompiledFilter, fieldOf } from "./filter.js";

/** Characters of records in one `state` frame. */
const FRAME_LENGTH = 32 << 10;

/** The newest record of each key, without those that are gone. Made from the log alone, so any gateway has the same. */
export class KeyedState {
  readonly #key: (entry: Entry) => string;
  readonly #isGone: (data: unknown) => boolean;
  readonly #entries = new Map<string, Entry>();

  constructor(key: (entry: Entry) => string, gone: { readonly field: string; readonly is: string } | undefined) {
    this.#key = key;
    const read = gone && fieldOf(gone.field);
    this.#isGone = (data) => read !== undefined && read(data) === gone?.is;
  }

  apply(entry: Entry): void {
    const key = this.#key(entry);
    this.#entries.delete(key);
    if (!this.#isGone(entry.value)) this.#entries.set(key, entry);
  }

  clear(): void {
    this.#entries.clear();
  }

  /** The whole state as frames, the oldest change first. At least one frame. O(state). */
  *frames(options: {
    readonly encoding: Encoding;
    readonly channel: string;
    readonly epoch: string;
    readonly offset: number;
    readonly filter: CompiledFilter | undefined;
  }): Generator<Buffer> {
    const { encoding, channel, epoch, offset, filter } = options;
    let part: Entry[] = [];
    let length = 0;
    for (const entry of this.#entries.values()) {
      if (filter && !filter.matches(entry.value)) continue;
      if (part.length > 0 && length + entry.text.length > FRAME_LENGTH) {
        yield encoding.state(channel, epoch, offset, part, false);
        part = [];
        length = 0;
      }
      part.push(entry);
      length += entry.text.length;
    }
    yield encoding.state(channel, epoch, offset, part, true);
  }
}

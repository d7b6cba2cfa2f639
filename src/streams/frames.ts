import { type NatsConnection, type NatsConnectionImpl, type Parser, State } from "nats";

const [LF, SPACE, ZERO, G, H, M, S] = [10, 32, 48, 71, 72, 77, 83];
/** `HMSG <subject> <sid> <reply> <header bytes> <all bytes>` has five behind its name: one more shows that there are too many. */
const TOKENS_MOST = 6;
const NAME_BYTES = 4; // "MSG "
const LINE_END_BYTES = 2;

/**
 * One message as it lies in what the network brought: places in `bytes`, which stay what they are. The frame itself is used again
 * for the next message.
 */
export interface Frame {
  readonly bytes: Buffer;
  readonly subjectFrom: number;
  readonly subjectTo: number;
  /** Empty where there is no reply. */
  readonly replyFrom: number;
  readonly replyTo: number;
  /** Headers, none or the whole block, and behind them the body. */
  readonly headersFrom: number;
  readonly bodyFrom: number;
  readonly bodyTo: number;
}

export interface Frames {
  /** From now on messages of the subscription go to `take`, which must not throw, and no more to its own callback. */
  claim(subscription: number, take: (frame: Frame) => void): void;
  release(subscription: number): void;
}

/**
 * Takes messages of some subscriptions out of what a connection receives, before the client's parser sees them: it goes byte by byte
 * and makes seven objects a message, two thirds of all that a task does with a small one. Everything else is the client's, whole
 * lines and messages at a time, over reconnections too.
 */
export function openFrames(nc: NatsConnection): Frames {
  const takers = new Map<number, (frame: Frame) => void>();
  const { protocol } = nc as NatsConnectionImpl;
  let parser = new Splitter(protocol.parser, takers);
  // The client makes a parser for each connection it opens, and asks it for nothing but `parse`.
  Object.defineProperty(protocol, "parser", {
    get: () => parser,
    set: (made: Parser) => {
      parser = new Splitter(made, takers);
    },
  });
  return {
    claim: (subscription, take) => void takers.set(subscription, take),
    release: (subscription) => void takers.delete(subscription),
  };
}

/** Cuts what arrives into lines and messages, wherever the network cut it. Exported for its test. */
export class Splitter implements Frame {
  bytes: Buffer = Buffer.alloc(0);
  subjectFrom = 0;
  subjectTo = 0;
  replyFrom = 0;
  replyTo = 0;
  headersFrom = 0;
  bodyFrom = 0;
  bodyTo = 0;
  /** Of the message at hand; -1 of anything else. */
  #subscription = -1;
  readonly #parser: Pick<Parser, "parse" | "state">;
  /** The client's parser is in the middle of something that began to arrive before there was a splitter. */
  #isLate: boolean;
  readonly #takers: ReadonlyMap<number, (frame: Frame) => void>;
  readonly #from = new Int32Array(TOKENS_MOST);
  readonly #to = new Int32Array(TOKENS_MOST);
  /** The beginning of what has not arrived as a whole, and how long all of it is once its first line is there. */
  #parts: Buffer[] = [];
  #held = 0;
  #needed = 0;

  constructor(parser: Pick<Parser, "parse" | "state">, takers: ReadonlyMap<number, (frame: Frame) => void>) {
    this.#parser = parser;
    this.#isLate = parser.state !== State.OP_START;
    this.#takers = takers;
  }

  parse(chunk: Uint8Array): void {
    if (this.#isLate) {
      this.#parser.parse(chunk);
      this.#isLate = this.#parser.state !== State.OP_START;
      return;
    }
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = this.#held > 0 ? this.#complete(bytes) : 0;
    while (at < bytes.length) {
      const end = this.#endOf(bytes, at);
      if (end < 0 || end > bytes.length) {
        this.#hold(bytes, at, bytes.length);
        this.#needed = end < 0 ? 0 : end - at;
        return;
      }
      this.#pass(bytes, at, end);
      at = end;
    }
  }

  /** Adds to what is held; passes it on when it is whole. Returns how much of the bytes that took. */
  #complete(bytes: Buffer): number {
    let at = 0;
    if (this.#needed === 0) {
      const lineEnd = bytes.indexOf(LF) + 1;
      at = lineEnd === 0 ? bytes.length : lineEnd;
      this.#hold(bytes, 0, at);
      if (lineEnd === 0) return at;
      this.#parts = [Buffer.concat(this.#parts)];
      this.#needed = this.#endOf(this.#parts[0] as Buffer, 0);
    }
    const end = Math.min(bytes.length, at + this.#needed - this.#held);
    this.#hold(bytes, at, end);
    if (this.#held < this.#needed) return end;
    const whole = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#held = 0;
    this.#endOf(whole, 0);
    this.#pass(whole, 0, whole.length);
    return end;
  }

  #hold(bytes: Buffer, from: number, to: number): void {
    if (to > from) this.#parts.push(bytes.subarray(from, to));
    this.#held += to - from;
  }

  #pass(bytes: Buffer, from: number, to: number): void {
    const take = this.#takers.get(this.#subscription);
    if (take === undefined) {
      this.#parser.parse(bytes.subarray(from, to));
      return;
    }
    this.bytes = bytes;
    take(this);
  }

  /** Where the line or message that begins at `at` ends, which may be beyond the bytes; -1 while its first line is not there. Notes its places. */
  #endOf(bytes: Buffer, at: number): number {
    this.#subscription = -1;
    const hasHeaders = bytes[at] === H;
    const name = hasHeaders ? at + 1 : at;
    if (bytes[name] !== M || bytes[name + 1] !== S || bytes[name + 2] !== G || bytes[name + 3] !== SPACE)
      return bytes.indexOf(LF, at) + 1 || -1;
    const [from, to] = [this.#from, this.#to];
    let count = 0;
    let start = -1;
    let i = name + NAME_BYTES;
    for (; ; i++) {
      if (i === bytes.length) return -1;
      const byte = bytes[i] as number;
      if (byte > SPACE) {
        if (start < 0) start = i;
        continue;
      }
      if (start >= 0 && count < TOKENS_MOST) {
        from[count] = start;
        to[count++] = i;
      }
      start = -1;
      if (byte === LF) break;
    }
    const fixed = hasHeaders ? 4 : 3;
    const lineEnd = i + 1;
    if (count !== fixed && count !== fixed + 1) return lineEnd; // the client's parser says what it thinks of it
    const size = this.#number(bytes, count - 1);
    const headers = hasHeaders ? this.#number(bytes, count - 2) : 0;
    this.#subscription = this.#number(bytes, 1);
    this.subjectFrom = from[0] as number;
    this.subjectTo = to[0] as number;
    this.replyFrom = from[2] as number;
    this.replyTo = count === fixed ? this.replyFrom : (to[2] as number);
    this.headersFrom = lineEnd;
    this.bodyFrom = lineEnd + headers;
    this.bodyTo = lineEnd + size;
    return this.bodyTo + LINE_END_BYTES;
  }

  #number(bytes: Buffer, token: number): number {
    return integer(bytes, this.#from[token] as number, this.#to[token] as number);
  }
}

/** The decimal digits from one place to another. A text of them would cost more than all else that is done with a small message. */
export function integer(bytes: Buffer, from: number, to: number): number {
  let value = 0;
  for (let i = from; i < to; i++) value = value * 10 + (bytes[i] as number) - ZERO;
  return value;
}

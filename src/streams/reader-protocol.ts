import { type MsgHdrs, MsgHdrsImpl } from "nats";
import type { LogMessage, Slices } from "../core/index.js";
import { type Frame, integer } from "./frames.js";

const DOT = 46;
const ACK = "$JS.ACK.";

/** Which consumer of which stream a message is from, and where it stands. One for all messages of a consumer. */
export class Place {
  /** In the stream. */
  sequence = 0;
  /** Among what the consumer has delivered. */
  delivery = 0;
  readonly #short: Buffer;
  readonly #infix: Buffer;

  constructor(stream: string, consumer: string) {
    this.#short = Buffer.from(`${ACK}${stream}.${consumer}.`);
    this.#infix = Buffer.from(`.${consumer}.`);
  }

  /**
   * Reads the reply `$JS.ACK.<stream>.<consumer>.<tries>.<sequence>.<delivery>.<time>.<pending>` or its longer form
   * `$JS.ACK.<domain>.<account>.<stream>.…`. False when it is another consumer's.
   */
  read({ bytes, replyFrom, replyTo }: Frame): boolean {
    let at = replyFrom + this.#short.length;
    if (!isAt(bytes, replyFrom, replyTo, this.#short)) {
      const found = bytes.indexOf(this.#infix, replyFrom);
      if (found < 0 || found >= replyTo || !isAt(bytes, replyFrom, replyTo, ANY)) return false;
      at = found + this.#infix.length;
    }
    const tries = dotFrom(bytes, at, replyTo);
    const sequence = dotFrom(bytes, tries + 1, replyTo);
    const delivery = dotFrom(bytes, sequence + 1, replyTo);
    this.sequence = integer(bytes, tries + 1, sequence);
    this.delivery = integer(bytes, sequence + 1, delivery);
    return delivery < replyTo;
  }
}

/** `to` or more where there is none. */
function dotFrom(bytes: Buffer, from: number, to: number): number {
  let at = from;
  while (at < to && bytes[at] !== DOT) at++;
  return at;
}

const ANY = Buffer.from(ACK);

function isAt(bytes: Buffer, from: number, to: number, expected: Buffer): boolean {
  const { length } = expected;
  if (to - from < length) return false;
  for (let i = 0; i < length; i++) if (bytes[from + i] !== expected[i]) return false;
  return true;
}

export function subjectOf({ bytes, subjectFrom, subjectTo }: Frame): string {
  return (bytes as Slices).utf8Slice(subjectFrom, subjectTo);
}

/** Undefined where there are none. */
export function headersOf(frame: Frame): MsgHdrs | undefined {
  const block = blockOf(frame);
  return block && MsgHdrsImpl.decode(block);
}

function blockOf({ bytes, headersFrom, bodyFrom }: Frame): Uint8Array | undefined {
  return headersFrom === bodyFrom ? undefined : bytes.subarray(headersFrom, bodyFrom);
}

/** A message as delivered. Headers are decoded when somebody asks. */
export class ReadMessage implements LogMessage {
  readonly sequence: number;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly sizeBytes: number;
  readonly #block: Uint8Array | undefined;
  #headers: MsgHdrs | undefined;

  constructor(sequence: number, subject: string, frame: Frame) {
    const { bytes, headersFrom, bodyFrom, bodyTo } = frame;
    this.sequence = sequence;
    this.subject = subject;
    this.data = bytes.subarray(bodyFrom, bodyTo);
    this.sizeBytes = bodyTo - headersFrom + subject.length + 200; // about what the object itself takes
    this.#block = blockOf(frame);
  }

  header(name: string): string | undefined {
    if (this.#block === undefined) return undefined;
    this.#headers ??= MsgHdrsImpl.decode(this.#block);
    return this.#headers.has(name) ? this.#headers.get(name) : undefined;
  }
}

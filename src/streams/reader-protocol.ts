import type { Msg } from "nats";
import type { LogMessage } from "../core/index.js";

/** Where a delivered message stands: in the stream, and in the deliveries of its consumer. */
export interface Place {
  readonly sequence: number;
  readonly delivery: number;
}

/** Status messages come to the request's own subject, stored ones under the subject they are stored with. */
export function isStatus(message: Msg, inbox: string): boolean {
  return message.subject.startsWith(inbox);
}

/**
 * Reads `$JS.ACK.<stream>.<consumer>.<tries>.<sequence>.<delivery>.<time>.<pending>` or its longer form
 * `$JS.ACK.<domain>.<account>.<stream>.…`; undefined when it is another consumer's.
 */
export function placeOf(reply: string, stream: string, consumer: string): Place | undefined {
  const start = `$JS.ACK.${stream}.${consumer}.`;
  const short = reply.startsWith(start);
  const at = short ? start.length : reply.indexOf(`.${consumer}.`) + consumer.length + 2;
  if (!short && (at < consumer.length + 2 || !reply.startsWith("$JS.ACK."))) return undefined;
  const sequenceAt = reply.indexOf(".", at) + 1;
  const deliveryAt = reply.indexOf(".", sequenceAt) + 1;
  return { sequence: integerAt(reply, sequenceAt), delivery: integerAt(reply, deliveryAt) };
}

/** The digits from a place on. Splitting the text would cost more than all else that is done with a small message. */
function integerAt(text: string, from: number): number {
  let value = 0;
  for (let i = from; ; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (!(digit >= 0 && digit <= 9)) return value;
    value = value * 10 + digit;
  }
}

/** A message as delivered. Headers are decoded when somebody asks. */
export class ReadMessage implements LogMessage {
  readonly sequence: number;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly sizeBytes: number;
  readonly #message: Msg;

  /** @param subject its own, where it is not stored under that */
  constructor(sequence: number, message: Msg, subject = message.subject) {
    this.sequence = sequence;
    this.subject = subject;
    this.data = message.data;
    this.sizeBytes = message.data.length + subject.length + 200; // about what headers and the object itself take
    this.#message = message;
  }

  header(name: string): string | undefined {
    const { headers } = this.#message;
    return headers?.has(name) ? headers.get(name) : undefined;
  }
}

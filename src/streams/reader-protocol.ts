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
  const [, sequence, delivery] = reply.slice(at).split(".", 3);
  return { sequence: Number(sequence), delivery: Number(delivery) };
}

/** A message as delivered. Headers are decoded when somebody asks. */
export class ReadMessage implements LogMessage {
  readonly sequence: number;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly sizeBytes: number;
  readonly #message: Msg;

  constructor(sequence: number, message: Msg) {
    this.sequence = sequence;
    this.subject = message.subject;
    this.data = message.data;
    this.sizeBytes = message.data.length + message.subject.length + 200; // about what headers and the object itself take
    this.#message = message;
  }

  header(name: string): string | undefined {
    const { headers } = this.#message;
    return headers?.has(name) ? headers.get(name) : undefined;
  }
}

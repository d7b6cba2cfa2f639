import { type DeadLetter, type FieldReader, type LogMessage, reasonOf, type TaskContext } from "../../../core/index.js";
import type { TimeOptions } from "../time/marks.js";

/** Takes what a decoder finds in one message. `from` and `to` are the value's own bytes within the message. */
export interface Found<V> {
  event(value: V, from: number, to: number): void;
  /** What cannot be decoded: it becomes a dead letter. */
  malformed(reason: string, from: number, to: number, about?: Malformed): void;
}

/** What the decoder knows all the same about what it cannot decode. */
export interface Malformed {
  /** @default empty */
  readonly id?: string;
  /** Its own bytes where they are no part of the message. */
  readonly bytes?: Uint8Array;
}

/**
 * Finds the events of a message, in order. Synchronous and pure; may throw: then the whole message is a dead letter. `ahead` is the
 * message's item of the batch function (`lookAhead`).
 */
export type Decoder<V> = (message: LogMessage, found: Found<V>, ahead?: unknown) => void;

export interface SourceOptions<V> {
  /** The stream of the log to read. */
  readonly stream: string;
  readonly decode: Decoder<V>;
  /** Event time, ms; undefined: its source's own time. Not an integer: the event becomes a dead letter. */
  readonly time: (value: NoInfer<V>) => number | undefined;
  /** Name of the event's time source. @default the header `Millrace-Source`, else `live` */
  readonly source?: (value: NoInfer<V>, message: LogMessage) => string;
  /** Identity of an event, for late events, dead letters and `dedupe`. @default sequence and index */
  readonly id?: (value: NoInfer<V>, message: LogMessage, index: number) => string;
  /**
   * Drops what was delivered before, and counts it as a duplicate, ahead of everything else: two events are one when `by` gives
   * the same text within `ttlMs` of their source's clock. What is refused is told by its bytes, so that the same garbage again is a
   * duplicate, while the corrected event may come under the same id. @default nothing is dropped
   */
  readonly unique?: { readonly ttlMs: number; readonly by: (value: NoInfer<V>) => string };
  /** Tasks of the stage before: time stands still until each has passed on a mark, and no other's counts. @default whoever comes */
  readonly producers?: (context: TaskContext) => readonly string[];
  readonly timing?: TimeOptions;
  /** What `dead` and `late` records call it. @default `github` for the stream of that name, else `telemetry` */
  readonly domain?: DeadLetter["domain"];
}

/** Where events come from and how they become values of type `V`. */
export type Source<V> = Readonly<SourceOptions<V>>;

export function source<V>(options: SourceOptions<V>): Source<V> {
  return Object.freeze({ ...options });
}

/** A source of JSON events of which only the named fields are decoded: `fields` from `fieldReader` or `variantReader`. */
export function jsonSource<V>({
  fields,
  ...options
}: Omit<SourceOptions<V>, "decode"> & { readonly fields: FieldReader<V> }): Source<V> {
  return source<V>({ ...options, decode: jsonFields(fields) });
}

const newline = 0x0a;

/**
 * The reference decoder: `JSON.parse` of each line (one event, or an NDJSON pack; empty lines are skipped), then `check`, which
 * returns the value or throws the reason why it is not one.
 */
export function jsonLines<V>(check: (value: unknown) => V): Decoder<V> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return ({ data }, found) => {
    for (let from = 0; from < data.length; ) {
      const at = data.indexOf(newline, from);
      const to = at < 0 ? data.length : at;
      if (to > from) readOne(data, from, to, found);
      from = to + 1;
    }
  };

  function readOne(data: Uint8Array, from: number, to: number, found: Found<V>): void {
    let value: V;
    try {
      value = check(JSON.parse(decoder.decode(data.subarray(from, to))));
    } catch (error) {
      found.malformed(reasonOf(error), from, to);
      return;
    }
    found.event(value, from, to);
  }
}

/**
 * Decodes only the fields a topology reads, straight from the bytes: see `fieldReader` and `variantReader` in core. One event a
 * line; empty lines are skipped.
 */
export function jsonFields<V>(reader: FieldReader<V>): Decoder<V> {
  return ({ data }, found) => {
    const bytes = Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    reader.open(bytes);
    for (let from = 0; from < bytes.length; from++) {
      if (bytes[from] === newline) continue;
      const value = reader.readLine(bytes, from);
      if (value === undefined) found.malformed(reader.reason, from, reader.end);
      else found.event(value, from, reader.end);
      from = reader.end;
    }
  };
}

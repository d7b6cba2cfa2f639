import {
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import type { Log, LogMessage, NewMessage } from "../../core/index.js";
import { formatTraceparent, readTraceparent, TRACEPARENT } from "./traceparent.js";

export interface TracedLogOptions {
  readonly tracer: Tracer;
  /** What is being done with each message read, as the name of its span: `process`, `store`, `deliver`. */
  readonly verb: string;
  /** The request that is being answered here, if any: what is published then belongs to it. */
  readonly current: () => SpanContext | undefined;
  /** Whether a message published outside of any request begins a trace. */
  readonly roots?: boolean;
  /** The stream a task reads; the identity of its outputs names the message of it that they came from. */
  readonly sourceOf?: (task: string) => string | undefined;
}

/** Messages whose outputs may still come; beyond that the oldest is forgotten, and with it the rest of its trace. */
const KEPT_MOST = 10_000;
/** The identity begins each record (docs/exactly-once.md): incarnation/pipeline/partition/sequence/index. */
const IDENTITY = /^\{"id":"[^"]*\/(\d+)\/\d+"/;
const IDENTITY_BYTES = 256;

/**
 * A log that passes traces on: `traceparent` in the headers of what is published and written, a span for each message that carries one,
 * from when it is handed out to when the reader asks for more. Records, their order and their identity are as without it, so replays
 * compare equal. Messages outside of a sampled trace get no header and no span.
 */
export function tracedLog(log: Log, options: TracedLogOptions): Log {
  const { tracer, verb, current, roots = false, sourceOf = () => undefined } = options;
  /** Spans of messages read, by stream and sequence. */
  const read = new Map<string, SpanContext>();

  const begin = (name: string, kind: SpanKind, attributes: Record<string, string | number>, parent?: SpanContext) =>
    tracer.startSpan(
      name,
      { kind, attributes: { "messaging.system": "nats", ...attributes } },
      parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent),
    );
  const received = (stream: string, message: LogMessage): Span | undefined => {
    const parent = readTraceparent(message.header(TRACEPARENT));
    if (parent === undefined) return undefined;
    const { sequence } = message;
    const attributes = { "messaging.destination.name": stream, "millrace.sequence": sequence };
    const span = begin(`${verb} ${stream}`, SpanKind.CONSUMER, attributes, parent);
    if (!span.isRecording()) return undefined;
    const oldest = read.size >= KEPT_MOST ? read.keys().next().value : undefined;
    if (oldest !== undefined) read.delete(oldest);
    read.set(`${stream}/${sequence}`, span.spanContext());
    return span;
  };

  return {
    ensureStream: (spec) => log.ensureStream(spec),
    info: (stream) => log.info(stream),
    readMarker: (stream, task) => log.readMarker(stream, task),
    last: (stream, subject) => log.last(stream, subject),
    countSubjects: (stream, filter) => log.countSubjects(stream, filter),
    close: () => log.close(),
    async read(wanted) {
      const reader = await log.read(wanted);
      let open: Span[] = [];
      const end = () => {
        for (const span of open) span.end();
        open = [];
      };
      return {
        async next(maxMessages) {
          end();
          const messages = await reader.next(maxMessages);
          open = messages.flatMap((message) => received(wanted.stream, message) ?? []);
          return messages;
        },
        async close() {
          end();
          await reader.close();
        },
      };
    },
    async publish(message) {
      const parent = current();
      if (parent === undefined && !roots) return log.publish(message);
      const attributes = { "messaging.destination.name": message.subject.split(".", 2).join(".") };
      const span = begin("publish", SpanKind.PRODUCER, attributes, parent);
      if (!span.isRecording()) return log.publish(message);
      return ended([span], log.publish(carrying(message, span)));
    },
    async writeBatch(batch) {
      const source = sourceOf(batch.task);
      const spans: Span[] = [];
      const attributes = { "messaging.destination.name": batch.stream, "millrace.task": batch.task };
      const carry = (message: NewMessage): NewMessage => {
        const origin = read.get(`${source}/${sequenceOf(message.data)}`);
        if (origin === undefined) return message;
        const span = begin(`write ${batch.stream}`, SpanKind.PRODUCER, attributes, origin);
        spans.push(span);
        return carrying(message, span);
      };
      if (source === undefined || read.size === 0) return log.writeBatch(batch);
      const messages = batch.messages.map(carry);
      return ended(spans, log.writeBatch({ ...batch, messages }));
    },
  };
}

function carrying(message: NewMessage, span: Span): NewMessage {
  return { ...message, headers: { ...message.headers, [TRACEPARENT]: formatTraceparent(span.spanContext()) } };
}

function sequenceOf(data: Uint8Array): string | undefined {
  const head = Buffer.from(data.buffer, data.byteOffset, Math.min(data.byteLength, IDENTITY_BYTES));
  return IDENTITY.exec(head.toString("latin1"))?.[1];
}

/** What failed is said by its status alone: messages of errors may hold data. */
async function ended<T>(spans: readonly Span[], work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    for (const span of spans) span.setStatus({ code: SpanStatusCode.ERROR });
    throw error;
  } finally {
    for (const span of spans) span.end();
  }
}

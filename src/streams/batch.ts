import {
  isMillraceError,
  type Log,
  type LogMessage,
  type Marker,
  MillraceError,
  type StoredMarker,
} from "../core/index.js";
import type { Link } from "./connection.js";
import { bareSubject, carriedSubject, formerSubject, HEADERS, writtenBy } from "./marker-subjects.js";
import { last, request, toHeaders } from "./publish.js";

/** nats-server takes 1000 messages a batch; the last one is the marker. */
const MESSAGES_MOST = 999;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The marker as stored; `writer` tells our own from another owner's. */
interface MarkerBody extends Marker {
  readonly writer: string;
}

let batches = 0;

/**
 * Stores messages and the task's marker, whole or not at all, and only while the stored marker is still the one at `expectedAt`.
 *
 * Several messages go as an atomic batch with the marker last. That costs one round trip and, on the server, three syncs of a staging
 * file: 2 to 10 ms however small, so few large batches beat many small ones. A pack alone carries its marker in a header, and a marker
 * alone is a message: a plain publish each, some 0.2 ms.
 *
 * A lost answer is looked up: when our marker is stored, the batch is. If it is not, the messages may still be on their way, so
 * the caller repeats the same batch; should both arrive, the second is refused by its expectation and answered with the first.
 *
 * Errors: MR_LOG_CONFLICT (another owner wrote), MR_LOG_FULL, MR_LOG_UNAVAILABLE, MR_OPTION_INVALID (more than 999 messages).
 */
export async function writeBatch(link: Link, batch: Parameters<Log["writeBatch"]>[0]): Promise<StoredMarker> {
  const { stream, task, messages, marker, expectedAt } = batch;
  const attempt = `writing ${messages.length} messages of ${task} to ${stream}`;
  if (messages.length > MESSAGES_MOST) {
    throw new MillraceError("MR_OPTION_INVALID", `${attempt}: a batch holds at most ${MESSAGES_MOST}`);
  }
  try {
    return { ...marker, storedAt: await send(link, attempt, batch) };
  } catch (error) {
    const unsure = isMillraceError(error, "MR_LOG_UNAVAILABLE") || isMillraceError(error, "MR_LOG_CONFLICT");
    if (!unsure) throw error;
    const stored = await readBody(link, stream, task);
    if (stored !== undefined && stored.storedAt > expectedAt && sameMarker(stored, marker, link.writer)) {
      return { ...marker, storedAt: stored.storedAt };
    }
    throw error;
  }
}

/** Errors: MR_LOG_UNAVAILABLE. */
export async function readMarker(link: Link, stream: string, task: string): Promise<StoredMarker | undefined> {
  const stored = await readBody(link, stream, task);
  if (stored === undefined) return undefined;
  const { writer: _writer, ...marker } = stored;
  return marker;
}

async function send(link: Link, attempt: string, batch: Parameters<Log["writeBatch"]>[0]): Promise<number> {
  const { stream, task, messages, marker, expectedAt } = batch;
  const body = JSON.stringify({ ...marker, writer: link.writer } satisfies MarkerBody);
  const bare = bareSubject(stream, task);
  const guard = {
    "Nats-Expected-Last-Subject-Sequence": String(expectedAt),
    "Nats-Expected-Last-Subject-Sequence-Subject": writtenBy(stream, task),
  };
  const [first] = messages;
  if (first === undefined) return request(link, attempt, bare, encoder.encode(body), toHeaders(guard));
  if (messages.length === 1 && first.pack === true) {
    const carried = toHeaders({ ...first.headers, ...guard, [HEADERS.subject]: first.subject, [HEADERS.marker]: body });
    return request(link, attempt, carriedSubject(first.subject, task), first.data, carried);
  }
  batches += 1;
  const id = `${link.writer}-${batches}`;
  // Everything but the commit goes without waiting: the server keeps the order and checks at the commit that none is missing.
  messages.forEach(({ subject, data, headers }, i) => {
    const hdrs = toHeaders({ ...headers, "Nats-Batch-Id": id, "Nats-Batch-Sequence": String(i + 1) });
    link.nc.publish(subject, data, { headers: hdrs });
  });
  const commit = toHeaders({
    "Nats-Batch-Id": id,
    "Nats-Batch-Sequence": String(messages.length + 1),
    "Nats-Batch-Commit": "1",
    ...guard,
  });
  return request(link, attempt, bare, encoder.encode(body), commit);
}

async function readBody(link: Link, stream: string, task: string): Promise<(MarkerBody & StoredMarker) | undefined> {
  const message = await last(link, stream, writtenBy(stream, task));
  if (message !== undefined) return { ...bodyOf(message), storedAt: message.sequence };
  const former = await last(link, stream, formerSubject(stream, task));
  return former && { ...bodyOf(former), storedAt: 0 };
}

function bodyOf(message: LogMessage): MarkerBody {
  return JSON.parse(message.header(HEADERS.marker) ?? decoder.decode(message.data)) as MarkerBody;
}

function sameMarker(stored: MarkerBody, marker: Marker, writer: string): boolean {
  const { sequence, index, epoch } = marker;
  return stored.sequence === sequence && stored.index === index && stored.epoch === epoch && stored.writer === writer;
}

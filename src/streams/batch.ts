import {
  encodeToken,
  isMillraceError,
  type Log,
  type Marker,
  MillraceError,
  type StoredMarker,
} from "../core/index.js";
import type { Link } from "./connection.js";
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
 * Stores messages and, last, the task's marker, as one atomic batch: whole or not at all, and only while the stored marker is
 * still the one at `expectedAt`. Costs one round trip and, on the server, three syncs of a staging file: 2 to 4 ms however small,
 * so few large batches beat many small ones.
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

/** Everything but the commit goes without waiting: the server keeps the order and checks at the commit that none is missing. */
async function send(link: Link, attempt: string, batch: Parameters<Log["writeBatch"]>[0]): Promise<number> {
  const { stream, task, messages, marker, expectedAt } = batch;
  batches += 1;
  const id = `${link.writer}-${batches}`;
  messages.forEach(({ subject, data, headers }, i) => {
    const hdrs = toHeaders({ ...headers, "Nats-Batch-Id": id, "Nats-Batch-Sequence": String(i + 1) });
    link.nc.publish(subject, data, { headers: hdrs });
  });
  const body: MarkerBody = { ...marker, writer: link.writer };
  const commit = toHeaders({
    "Nats-Batch-Id": id,
    "Nats-Batch-Sequence": String(messages.length + 1),
    "Nats-Batch-Commit": "1",
    "Nats-Expected-Last-Subject-Sequence": String(expectedAt),
  });
  return request(link, attempt, markerSubject(stream, task), encoder.encode(JSON.stringify(body)), commit);
}

async function readBody(link: Link, stream: string, task: string): Promise<(MarkerBody & StoredMarker) | undefined> {
  const message = await last(link, stream, markerSubject(stream, task));
  if (message === undefined) return undefined;
  return { ...(JSON.parse(decoder.decode(message.data)) as MarkerBody), storedAt: message.sequence };
}

function sameMarker(stored: MarkerBody, marker: Marker, writer: string): boolean {
  const { sequence, index, epoch } = marker;
  return stored.sequence === sequence && stored.index === index && stored.epoch === epoch && stored.writer === writer;
}

function markerSubject(stream: string, task: string): string {
  return `${stream}._at.${task.split("/").map(encodeToken).join(".")}`;
}

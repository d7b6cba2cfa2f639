import { headers, type MsgHdrs, TimeoutError } from "nats";
import type { LogMessage, NewMessage } from "../core/index.js";
import type { Link } from "./connection.js";
import { type ApiFailure, isNobody, isNotFound, logError, refusal } from "./failures.js";

/** What a stream answers to a message. */
interface Acknowledgement {
  readonly seq: number;
  readonly error?: ApiFailure;
}

/** Resolves with the message's sequence once stored. Errors: MR_LOG_FULL, MR_LOG_UNAVAILABLE, MR_TOO_LARGE. */
export async function publish(link: Link, message: NewMessage): Promise<number> {
  const hdrs = message.headers === undefined ? undefined : toHeaders(message.headers);
  return request(link, `publishing to ${message.subject}`, message.subject, message.data, hdrs);
}

/** Sends one message and waits for the stream's answer. Errors: as `publish`, and MR_LOG_CONFLICT for a failed expectation. */
export async function request(
  { answers, silences }: Link,
  attempt: string,
  subject: string,
  data: Uint8Array,
  hdrs: MsgHdrs | undefined,
): Promise<number> {
  let acknowledgement: Acknowledgement;
  try {
    const answer = await answers.ask(subject, data, hdrs);
    acknowledgement = answer.json<Acknowledgement>();
    silences.answered(subject);
  } catch (cause) {
    if (cause instanceof TimeoutError || isNobody(cause)) silences.missed(subject);
    throw logError(attempt, cause);
  }
  if (acknowledgement.error !== undefined) throw refusal(attempt, acknowledgement.error);
  return acknowledgement.seq;
}

export function toHeaders(values: Readonly<Record<string, string>>): MsgHdrs {
  const hdrs = headers();
  for (const [name, value] of Object.entries(values)) hdrs.set(name, value);
  return hdrs;
}

/**
 * The newest message on a subject. Asks the stream's leader, not a replica that may lag: markers are read this way, and an old
 * marker would let a task write its outputs twice.
 */
export async function last({ jsm }: Link, stream: string, subject: string): Promise<LogMessage | undefined> {
  try {
    const stored = await jsm.streams.getMessage(stream, { last_by_subj: subject });
    if (stored === null) return undefined;
    return {
      sequence: stored.seq,
      subject: stored.subject,
      data: stored.data,
      header: (name) => (stored.header?.has(name) ? stored.header.get(name) : undefined),
    };
  } catch (cause) {
    if (isNotFound(cause)) return undefined;
    throw logError(`reading the last message of ${subject} in stream ${stream}`, cause);
  }
}

/** Messages per subject matching `filter`. O(subjects). */
export async function countSubjects(
  { jsm }: Link,
  stream: string,
  filter: string,
): Promise<ReadonlyMap<string, number>> {
  try {
    const { state } = await jsm.streams.info(stream, { subjects_filter: filter });
    return new Map(Object.entries(state.subjects ?? {}));
  } catch (cause) {
    throw logError(`counting ${filter} in stream ${stream}`, cause);
  }
}

import type { DeadLetter, Log } from "../core/index.js";
import { type Found, newestRecords, recordsBetween } from "./newest.js";

const STREAM = "dead";
const SUBJECTS = "dead.*";

export interface StoredDeadLetter extends DeadLetter {
  /** As every output's: `incarnation/pipeline/partition/sequence/index`. */
  readonly id: string;
  /** Its own place in the stream `dead`: what `millrace dead show` takes. */
  readonly deadSequence: number;
}

/**
 * The newest dead letters, newest first. Reads backwards in growing steps, so it costs what it shows, not what is stored.
 * Errors: MR_LOG_UNAVAILABLE.
 */
export async function listDeadLetters(
  log: Log,
  { limit, domain }: { limit: number; domain?: DeadLetter["domain"] },
): Promise<readonly StoredDeadLetter[]> {
  const subject = domain === undefined ? SUBJECTS : `${STREAM}.${domain}`;
  return (await newestRecords<Letter>(log, { stream: STREAM, subject, limit })).map(placed);
}

/** One dead letter by its sequence in `dead`, or by its id; undefined when there is none. Errors: MR_LOG_UNAVAILABLE. */
export async function showDeadLetter(log: Log, which: string): Promise<StoredDeadLetter | undefined> {
  const newest = await log.last(STREAM, SUBJECTS);
  if (newest === undefined) return undefined;
  const { firstSequence } = await log.info(STREAM);
  const letters = async (from: number, to: number) =>
    (await recordsBetween<Letter>(log, { stream: STREAM, subject: SUBJECTS, from, to })).map(placed);
  if (/^\d+$/.test(which)) {
    const sequence = Number(which);
    if (sequence < firstSequence || sequence > newest.sequence) return undefined;
    return (await letters(sequence, sequence)).find(({ deadSequence }) => deadSequence === sequence);
  }
  return (await letters(firstSequence, newest.sequence)).find(({ id }) => id === which);
}

type Letter = DeadLetter & { readonly id: string };

function placed({ record, sequence }: Found<Letter>): StoredDeadLetter {
  return { ...record, deadSequence: sequence };
}

import type { Log } from "../core/index.js";

/** Messages looked at before the first doubling, when searching backwards from the end. */
const STEP_MESSAGES = 256;

const decoder = new TextDecoder();

/** A record and the message it stands in. */
export interface Found<Record> {
  readonly record: Record;
  readonly sequence: number;
}

/**
 * The newest records that are wanted, newest first, at most `limit`. Messages hold one JSON object a line. Reads backwards in growing
 * steps, so it costs what it shows, not what is stored, unless few are wanted. Stops before the first record that is too old.
 * Errors: MR_LOG_UNAVAILABLE.
 */
export async function newestRecords<Record>(
  log: Log,
  wanted: {
    readonly stream: string;
    readonly subject: string;
    readonly limit: number;
    readonly isWanted?: (record: Record) => boolean;
    readonly isTooOld?: (record: Record) => boolean;
  },
): Promise<readonly Found<Record>[]> {
  const { stream, subject, limit, isWanted = () => true, isTooOld = () => false } = wanted;
  const newest = await log.last(stream, subject);
  if (newest === undefined) return [];
  const { firstSequence } = await log.info(stream);
  for (let step = Math.max(STEP_MESSAGES, limit); ; step *= 4) {
    const from = Math.max(firstSequence, newest.sequence - step + 1);
    const all = (await recordsBetween<Record>(log, { stream, subject, from, to: newest.sequence })).reverse();
    const end = all.findIndex(({ record }) => isTooOld(record));
    const found = (end < 0 ? all : all.slice(0, end)).filter(({ record }) => isWanted(record));
    if (found.length >= limit || end >= 0 || from === firstSequence) return found.slice(0, limit);
  }
}

/** The records from one sequence to another, which must lie at or before the newest message of `subject`. */
export async function recordsBetween<Record>(
  log: Log,
  { stream, subject, from, to }: { stream: string; subject: string; from: number; to: number },
): Promise<Found<Record>[]> {
  const reader = await log.read({ stream, subjects: [subject], fromSequence: from });
  const found: Found<Record>[] = [];
  try {
    for (let position = 0; position < to; ) {
      for (const { sequence, data } of await reader.next(STEP_MESSAGES)) {
        position = sequence;
        if (sequence > to) break;
        for (const line of decoder.decode(data).split("\n"))
          if (line !== "") found.push({ record: JSON.parse(line) as Record, sequence });
      }
    }
    return found;
  } finally {
    await reader.close();
  }
}

import type { DeadLetter, Log } from "../core/index.js";

const STREAM = "dead";
const SUBJECTS = "dead.*";
/** Messages looked at before the first doubling, when searching backwards from the end. */
const STEP_MESSAGES = 256;

const decoder = new TextDecoder();

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
  const newest = await log.last(STREAM, subject);
  if (newest === undefined) return [];
  const { firstSequence } = await log.info(STREAM);
  for (let step = Math.max(STEP_MESSAGES, limit); ; step *= 4) {
    const from = Math.max(firstSequence, newest.sequence - step + 1);
    const found = await readLetters(log, subject, from, newest.sequence);
    if (found.length >= limit || from === firstSequence) return found.reverse().slice(0, limit);
  }
}

/** One dead letter by its sequence in `dead`, or by its id; undefined when there is none. Errors: MR_LOG_UNAVAILABLE. */
export async function showDeadLetter(log: Log, which: string): Promise<StoredDeadLetter | undefined> {
  const newest = await log.last(STREAM, SUBJECTS);
  if (newest === undefined) return undefined;
  const { firstSequence } = await log.info(STREAM);
  if (/^\d+$/.test(which)) {
    const sequence = Number(which);
    if (sequence < firstSequence || sequence > newest.sequence) return undefined;
    return (await readLetters(log, SUBJECTS, sequence, sequence)).find(({ deadSequence }) => deadSequence === sequence);
  }
  return (await readLetters(log, SUBJECTS, firstSequence, newest.sequence)).find(({ id }) => id === which);
}

/** The letters from one sequence to another, which must lie at or before the newest message of `subject`. */
async function readLetters(log: Log, subject: string, from: number, to: number): Promise<StoredDeadLetter[]> {
  const reader = await log.read({ stream: STREAM, subjects: [subject], fromSequence: from });
  const letters: StoredDeadLetter[] = [];
  try {
    for (let position = 0; position < to; ) {
      for (const { sequence, data } of await reader.next(STEP_MESSAGES)) {
        position = sequence;
        if (sequence > to) break;
        for (const line of decoder.decode(data).split("\n")) {
          if (line !== "")
            letters.push({ ...(JSON.parse(line) as DeadLetter & { id: string }), deadSequence: sequence });
        }
      }
    }
    return letters;
  } finally {
    await reader.close();
  }
}

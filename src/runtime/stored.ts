import type { Log, LogMessage } from "../core/index.js";

const SLICE_MESSAGES = 512;

/**
 * What a stream holds on `subject` at the time of asking, from a position on, in slices. `subject` must be one that fits no marker.
 * Errors: MR_LOG_TRUNCATED, MR_LOG_LOST_DATA, MR_LOG_UNAVAILABLE.
 */
export async function* storedMessages(
  log: Log,
  {
    stream,
    subject,
    fromSequence,
    through = Number.POSITIVE_INFINITY,
  }: { readonly stream: string; readonly subject: string; readonly fromSequence: number; readonly through?: number },
): AsyncGenerator<readonly LogMessage[]> {
  const end = Math.min(through, (await log.last(stream, subject))?.sequence ?? 0);
  if (end < fromSequence) return;
  const reader = await log.read({ stream, subjects: [subject], fromSequence });
  try {
    for (let reached = 0; reached < end; ) {
      const slice = await reader.next(SLICE_MESSAGES);
      const within = slice.filter(({ sequence }) => sequence <= end);
      yield within;
      reached = slice.at(-1)?.sequence ?? end; // an empty slice: the reader was closed from outside
    }
  } finally {
    await reader.close();
  }
}

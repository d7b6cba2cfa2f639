import type { Log, LogMessage } from "../../src/core/index.js";

/** Everything a stream holds on the subjects, in order. With a filter, only as much as matches it. */
export async function readAll(log: Log, stream: string, subject: string): Promise<readonly LogMessage[]> {
  const newest = await log.last(stream, subject);
  if (newest === undefined) return [];
  const reader = await log.read({ stream, subjects: [subject], fromSequence: 1 });
  const found: LogMessage[] = [];
  while ((found.at(-1)?.sequence ?? 0) < newest.sequence) found.push(...(await reader.next(1_000)));
  await reader.close();
  return found;
}

import { type Log, type LogMessage, type LogReader, partitionOf, type StreamInfo } from "../core/index.js";
import { storedMessages } from "./stored.js";

/** One partition of a stream. */
export interface Partition {
  readonly stream: string;
  readonly partition: number;
  readonly partitions: number;
}

/**
 * Reads one partition from a position on. Messages of former layouts (`relaidThrough`) are filed anew as the log itself would have: data
 * by the tokens of its subject, and of the control messages, which every partition has a copy of, those of partition 0.
 * Errors: those of `Log.read`.
 */
export async function readPartition(
  log: Log,
  from: Partition & { readonly fromSequence: number } & Pick<StreamInfo, "incarnation" | "relaidThrough">,
): Promise<LogReader> {
  const { stream, partition, incarnation, fromSequence, relaidThrough = 0 } = from;
  const own = (fromSequence: number) =>
    log.read({ stream, subjects: [`${stream}.${partition}.>`], fromSequence, incarnation });
  if (fromSequence > relaidThrough) return own(fromSequence);
  let isClosed = false;
  let isPast = false;
  let reader = await log.read({ stream, subjects: [`${stream}.>`], fromSequence, incarnation });
  return {
    async next(most) {
      for (;;) {
        const slice = await reader.next(most);
        if (isPast || isClosed) return slice;
        const found = relaid(slice, from, relaidThrough);
        if ((slice.at(-1)?.sequence ?? relaidThrough) >= relaidThrough) {
          isPast = true;
          await reader.close();
          if (!isClosed) reader = await own(relaidThrough + 1);
        }
        if (found.length > 0 || isClosed) return found;
      }
    },
    async close() {
      isClosed = true;
      await reader.close();
    },
  };
}

/** What a partition holds at the time of asking, as `readPartition` reads it, in slices. Errors: those of `storedMessages`. */
export async function* storedPartition(
  log: Log,
  from: Partition & { readonly fromSequence: number },
): AsyncGenerator<readonly LogMessage[]> {
  const { stream, partition, fromSequence } = from;
  const { relaidThrough = 0 } = await log.info(stream);
  if (fromSequence <= relaidThrough) {
    const former = { stream, subject: `${stream}.>`, fromSequence, through: relaidThrough };
    for await (const slice of storedMessages(log, former)) yield relaid(slice, from, relaidThrough);
  }
  const next = Math.max(fromSequence, relaidThrough + 1);
  yield* storedMessages(log, { stream, subject: `${stream}.${partition}.>`, fromSequence: next });
}

function relaid(
  slice: readonly LogMessage[],
  { stream, partition, partitions }: Partition,
  through: number,
): readonly LogMessage[] {
  const found: LogMessage[] = [];
  for (const message of slice) {
    const { sequence, subject, data } = message;
    if (sequence > through) break;
    const [, place = "", ...rest] = subject.split(".");
    const isControl = rest[0]?.startsWith("_") ?? false;
    if (isControl ? place !== "0" : partitionOf(rest.slice(0, 2), partitions) !== partition) continue;
    found.push({
      sequence,
      subject: `${stream}.${partition}.${rest.join(".")}`,
      data,
      header: (name) => message.header(name),
    });
  }
  return found;
}

import { type Clock, DAY_MS, isMillraceError, type Log, type Logger, type Registers } from "../../core/index.js";
import { type Limit, limitsOf, type StreamLimits } from "./limits.js";
import { listReaders, type Reader } from "./readers.js";

const EVERY_MS = 60_000;

/** What the keeper needs of the log beyond its port. */
export interface KeeperSpace {
  firstSince(stream: string, timeMs: number): Promise<number>;
  markers(stream: string): Promise<readonly { task: string; storedAt: number; sequence: number }[]>;
  purge(stream: string, sequence: number): Promise<number>;
  oldestMs(stream: string): Promise<number>;
  freeBodies(timeMs: number): Promise<number>;
}

export interface KeeperOptions {
  readonly log: Pick<Log, "info" | "readMarker">;
  readonly space: KeeperSpace;
  readonly registers: Registers;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly streams: readonly string[];
  /** How long messages are kept, by the time they were stored. */
  readonly retentionMs: number;
  /** Where a task that reads the stream would begin again: its newest snapshot's position, 0 without one. */
  readonly committed: (task: string, incarnation: string) => Promise<number>;
}

/**
 * Frees space: purges each stream up to what nobody needs any more, once a minute. Two keepers are harmless: both see the same limits.
 */
export async function runKeeper(options: KeeperOptions, signal: AbortSignal): Promise<void> {
  const { clock, logger, space, log } = options;
  while (!signal.aborted) {
    try {
      for (const { stream, from } of await streamLimits(options)) {
        const { firstSequence } = await log.info(stream);
        if (signal.aborted || from <= firstSequence) continue;
        const purged = await space.purge(stream, from);
        logger.info({ stream, from, purged }, "purged");
      }
      // No message older than this is left, so none refers to a body of an earlier day.
      const oldestMs = await Promise.all(options.streams.map((stream) => space.oldestMs(stream)));
      await space.freeBodies(Math.min(clock.nowMs() - DAY_MS, ...oldestMs));
    } catch (error) {
      if (!isMillraceError(error) || error.disposition !== "retry") throw error;
      logger.warn({ err: error }, "nothing purged this time");
    }
    await clock.sleep(EVERY_MS, signal);
  }
}

/** Up to where each stream may be purged, and who holds it back. Errors: MR_LOG_UNAVAILABLE. */
export async function streamLimits(options: Omit<KeeperOptions, "logger">): Promise<readonly StreamLimits[]> {
  const { log, space, registers, clock, streams, retentionMs } = options;
  const readers = await listReaders(registers);
  const found: StreamLimits[] = [];
  for (const stream of streams) {
    const info = await log.info(stream);
    const retention = {
      what: "retention",
      sequence: await space.firstSince(stream, clock.nowMs() - retentionMs),
    };
    const others: Limit[] = [];
    const dead = new Set(readers.filter(({ kind }) => kind === "forgotten").map(({ name }) => name));
    for (const reader of readers) {
      if (reader.stream !== stream || reader.kind === "forgotten") continue;
      const position = await positionOf(reader, info.incarnation, options);
      others.push({ what: `reader ${reader.name}`, sequence: position + 1 });
    }
    for (const { task, storedAt } of await space.markers(stream))
      if (!dead.has(task)) others.push({ what: `marker of ${task}`, sequence: storedAt });
    found.push(limitsOf(info, retention, others));
  }
  return found;
}

async function positionOf(
  reader: Reader,
  incarnation: string,
  { log, committed }: Pick<KeeperOptions, "log" | "committed">,
): Promise<number> {
  if (reader.kind === "position") return reader.incarnation === incarnation ? reader.position : 0;
  if (reader.kind === "marker") return (await log.readMarker(reader.stream, reader.name))?.sequence ?? 0;
  return committed(reader.name, incarnation);
}

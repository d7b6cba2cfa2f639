import { statfs } from "node:fs/promises";
import { type Clock, type Log, type Logger, MillraceError, systemClock } from "../../core/index.js";

const LOOK_EVERY_MS = 2_000;
/** Enough for what is accepted to be worked off and for a restart; what becomes of a log server that cannot write at all: log-writes.ts. */
const RESERVE_BYTES = 128 * 1024 * 1024;
/** So much more must be free before doors take again: no flapping. */
const AGAIN = 1.25;

/** Whether there is room on a disk for more input. */
export interface DiskRoom {
  /** Why nothing more is taken; undefined while there is room. */
  reason(): string | undefined;
  /** Looks now, where the last look may be too old. */
  look(): Promise<void>;
  /** The log for those who take from outside: it refuses with MR_LOG_FULL while there is no room. */
  guarded(log: Log): Log;
}

/** Looks at the disk of `path` every two seconds until the signal aborts. What cannot be asked is taken to have room. */
export async function watchDisk(options: {
  readonly path: string;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly reserveBytes?: number;
  readonly clock?: Clock;
}): Promise<DiskRoom & { readonly ended: Promise<void> }> {
  const { path, logger, signal, reserveBytes = RESERVE_BYTES, clock = systemClock } = options;
  let reason: string | undefined;
  const look = async (): Promise<void> => {
    const found = await statfs(path).catch(() => undefined);
    if (found === undefined) return;
    const freeBytes = found.bavail * found.bsize;
    const wasFull = reason !== undefined;
    const isFull = freeBytes < reserveBytes * (wasFull ? AGAIN : 1);
    reason = isFull
      ? `the disk of ${path} has ${megabytes(freeBytes)} MB free, and ${megabytes(reserveBytes)} MB are kept for what is accepted: make room, or move --data-dir`
      : undefined;
    if (isFull && !wasFull) logger.error(`${reason}. Doors refuse until then`);
    if (!isFull && wasFull) logger.info(`the disk of ${path} has room again`);
  };
  await look();
  const follow = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(LOOK_EVERY_MS, signal);
      if (signal.aborted) return;
      await look();
    }
  };
  return {
    ended: follow(),
    reason: () => reason,
    look,
    guarded: (log) => ({
      ...log,
      async publish(message) {
        if (reason !== undefined) throw new MillraceError("MR_LOG_FULL", `publishing to ${message.subject}: ${reason}`);
        return log.publish(message);
      },
    }),
  };
}

function megabytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(0);
}

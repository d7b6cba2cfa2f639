import { type Clock, formatTime, type Logger, systemClock } from "../../core/index.js";
import type { Connection } from "../../streams/index.js";
import type { DiskRoom } from "./disk-room.js";
import type { LogServer } from "./log-server.js";

const LOOK_EVERY_MS = 5_000;
/** Between two restarts; doubled while they do not help. */
const PAUSE_MS = { first: 30_000, longest: 600_000 };

/** After a failed write a server closes the stream's store, or, when the write was one of its own, JetStream altogether. */
const WHAT_TO_DO =
  'its disk is or was full, or cannot be written. See its own log for "write error", make room, and restart it: it stores nothing there until then';

/** Whether the log's server can write. */
export interface LogWrites {
  /** Why it cannot, and what is or must be done about it; undefined while it can. */
  reason(): string | undefined;
  /** Restarts of our own server since the start. */
  restarts(): number;
}

/**
 * Looks every five seconds until the signal aborts. A write that failed, on a full disk for one, closes a stream's store until its
 * server is started again, even if there is room: a server of ours is restarted as soon as there is, of another's we say what to do.
 */
export function watchLogWrites(options: {
  readonly server: Pick<LogServer, "own" | "log">;
  readonly connection: Pick<Connection, "unstored" | "connected" | "log">;
  readonly disk: Pick<DiskRoom, "reason" | "look">;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}): LogWrites & { readonly ended: Promise<void> } {
  const { server, connection, disk, logger, signal, clock = systemClock } = options;
  let reason: string | undefined;
  let restarts = 0;
  let pauseMs = PAUSE_MS.first;
  let restartAtMs = Number.NEGATIVE_INFINITY;

  const tell = (now: string | undefined): void => {
    if (reason === undefined && now !== undefined) logger.error(now);
    if (reason !== undefined && now === undefined) logger.info("the log stores again");
    reason = now;
  };

  const lookAtOwn = async (own: NonNullable<LogServer["own"]>): Promise<void> => {
    const failures = await own.writeFailures();
    if (failures === undefined) return; // those who use it notice that it is away
    const [first, ...others] = failures;
    if (first === undefined) {
      tell(undefined);
      if (clock.monotonicMs() > restartAtMs) pauseMs = PAUSE_MS.first;
      return;
    }
    const more = others.length === 0 ? "" : `, and ${others.length} more`;
    tell(`the log's server cannot write (${first}${more}): it is restarted as soon as there is room`);
    await disk.look(); // restarted on a full disk it would only fail again
    if (disk.reason() !== undefined || clock.monotonicMs() < restartAtMs) return;
    restartAtMs = clock.monotonicMs() + pauseMs;
    pauseMs = Math.min(pauseMs * 2, PAUSE_MS.longest);
    restarts += 1;
    logger.warn({ restarts }, "there is room: restarting the log's server");
    await own.restart().catch((err: unknown) => logger.error({ err }, "the log's server could not be restarted"));
  };

  const lookAtOther = async (): Promise<void> => {
    const silent = connection.unstored();
    const answers = silent !== undefined && (await connection.log.info(silent.stream).then(Boolean, () => false));
    // One that is away altogether: those who use it say so.
    if (silent === undefined || !(answers || connection.connected())) {
      tell(undefined);
      return;
    }
    const how = answers ? "answers, but" : "is connected, but its JetStream does not answer, and";
    const since = formatTime(silent.sinceMs);
    tell(`the log at ${server.log.url} ${how} has stored nothing in ${silent.stream} since ${since}: ${WHAT_TO_DO}`);
  };

  const follow = async (): Promise<void> => {
    while (!signal.aborted) {
      await (server.own === undefined ? lookAtOther() : lookAtOwn(server.own));
      await clock.sleep(LOOK_EVERY_MS, signal);
    }
  };
  return { ended: follow(), reason: () => reason, restarts: () => restarts };
}

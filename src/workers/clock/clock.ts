import { type Clock, isMillraceError, type Log, type Logger, SECOND_MS } from "../../core/index.js";

/**
 * Publishes the passing of wall time for live sources: a tick {source, t} to every partition of every stream, once a second, `t` on
 * a one-second grid. Two clocks are harmless: readers ignore a smaller or equal `t`. A failed tick is not repeated, the next
 * one says more.
 */
export async function runClock(options: {
  log: Log;
  clock: Clock;
  logger: Logger;
  /** The input streams, and how many partitions each has. */
  inputs: Readonly<Record<string, number>>;
  signal: AbortSignal;
}): Promise<void> {
  const { log, clock, logger, inputs, signal } = options;
  const subjects = Object.entries(inputs).flatMap(([stream, partitions]) =>
    Array.from({ length: partitions }, (_, p) => `${stream}.${p}._tick.live`),
  );
  let failed = 0;
  while (!signal.aborted) {
    const t = Math.floor(clock.nowMs() / SECOND_MS) * SECOND_MS;
    const data = Buffer.from(JSON.stringify({ source: "live", t }));
    try {
      await Promise.all(subjects.map((subject) => log.publish({ subject, data })));
      if (failed > 0) logger.info({ failed }, "clock ticks again");
      failed = 0;
    } catch (error) {
      if (!isMillraceError(error)) throw error;
      if (failed++ === 0) logger.warn({ err: error }, "clock tick not stored");
    }
    await clock.sleep(t + SECOND_MS - clock.nowMs(), signal);
  }
}

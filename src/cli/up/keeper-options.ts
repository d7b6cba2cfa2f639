import { type Config, DAY_MS, type Logger, systemClock } from "../../core/index.js";
import { readPointer } from "../../runtime/index.js";
import { type Connection, streamSpecs } from "../../streams/index.js";
import type { KeeperOptions } from "../../workers/keeper/index.js";

/** A damaged snapshot is passed over for one before it: the log must reach back to there. */
const SNAPSHOTS_NEEDED = 3;
const STREAMS = streamSpecs(1).map(({ name }) => name);

/** What the keeper of this log does, and `millrace tasks` asks it. */
export function keeperOptions(
  { log, space, registers }: Connection,
  { retentionDays }: Pick<Config, "retentionDays">,
  logger: Logger,
): KeeperOptions {
  return {
    ...{ log, space, registers, clock: systemClock, streams: STREAMS, retentionMs: retentionDays * DAY_MS },
    logger: logger.child({ component: "workers.keeper" }),
    async committed(task, incarnation) {
      const { pointer } = await readPointer(registers, task);
      if (pointer?.incarnation !== incarnation) return 0;
      return pointer.kept.slice(-SNAPSHOTS_NEEDED)[0]?.sequence ?? 0;
    },
  };
}

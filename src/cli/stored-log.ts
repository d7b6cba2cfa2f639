import { existsSync } from "node:fs";
import { join } from "node:path";
import { MillraceError } from "../core/index.js";
import type { Connection } from "../streams/index.js";
import { loadConfig } from "./config.js";
import { claimDataDir, isRunning, releaseDataDir } from "./up/instance.js";
import { openLogServer } from "./up/log-server.js";
import { type LogFlags, printFrom, withLog } from "./with-log.js";

/**
 * As `withLog`; where the instance of the data directory is stopped, with a server of our own for as long as `work` takes. Nobody
 * else can start there meanwhile. Errors: MR_OPTION_INVALID when nothing has ever run there; those of starting the server.
 */
export async function withStoredLog(flags: LogFlags, work: (connection: Connection) => Promise<string>): Promise<void> {
  const config = loadConfig({ ...flags });
  const { dataDir } = config;
  if (config.natsUrl !== undefined || isRunning(dataDir)) return withLog(flags, work);
  if (!existsSync(join(dataDir, "nats")))
    throw new MillraceError(
      "MR_OPTION_INVALID",
      `no instance has run in ${dataDir}: name its --data-dir, or give --nats-url`,
    );
  claimDataDir(dataDir);
  try {
    const server = await openLogServer({ ...config, mqttPort: 0 }, "", () => undefined);
    try {
      await printFrom(server.log, work);
    } finally {
      await server.stop();
    }
  } finally {
    releaseDataDir(dataDir);
  }
}

import { type Config, MillraceError } from "../core/index.js";
import { type Connection, connectLog, type LogOptions } from "../streams/index.js";
import { loadConfig } from "./config.js";
import { readInstance } from "./up/instance.js";
import { logAt, replicasOf } from "./up/log-server.js";

/** Where the log of a command is: `--nats-url`, else the instance of `--data-dir`. */
export interface LogFlags {
  readonly dataDir?: string;
  readonly natsUrl?: string;
}

export interface FoundLog {
  readonly log: Omit<LogOptions, "name">;
  /** As the running instance says; undefined for a log at a URL. */
  readonly partitions: number | undefined;
}

/** NATS_URL, or what `millrace up` wrote into the data directory. Errors: MR_OPTION_INVALID. */
export function findLog(config: Config): FoundLog {
  const { dataDir, natsUrl } = config;
  if (natsUrl !== undefined) return { log: logAt(natsUrl, replicasOf(config)), partitions: undefined };
  const instance = readInstance(dataDir);
  if (!instance?.natsUrl) {
    throw new MillraceError(
      "MR_OPTION_INVALID",
      `no running instance found in ${dataDir}: start one with "millrace up", name its --data-dir, or give --nats-url`,
    );
  }
  const { natsUrl: url, natsUser: user, natsPassword: password, partitions } = instance;
  return { log: { url, ...(user === null ? {} : { user }), ...(password === null ? {} : { password }) }, partitions };
}

/** Connects, does `work`, prints what it resolves with, and closes. */
export async function withLog(flags: LogFlags, work: (connection: Connection) => Promise<string>): Promise<void> {
  await printFrom(findLog(loadConfig({ ...flags })).log, work);
}

/** As `withLog`, of the log at hand. */
export async function printFrom(
  log: Omit<LogOptions, "name">,
  work: (connection: Connection) => Promise<string>,
): Promise<void> {
  const connection = await connectLog({ ...log, name: "millrace-cli" });
  try {
    process.stdout.write(`${await work(connection)}\n`);
  } finally {
    await connection.close();
  }
}

import { Command, Option } from "commander";
import { CONFIG_HELP, type Config, type ConfigKey, createLogger } from "../core/index.js";
import { connectLog, streamSpecs } from "../streams/index.js";
import { flagName, loadConfig } from "./config.js";
import { EXIT } from "./exit.js";
import { refuseLintErrors } from "./lint.js";
import { statusOf, watchCluster } from "./up/cluster.js";
import { refuseBetweenLayouts } from "./up/layout.js";
import { sabotageOf } from "./up/sabotage.js";
import { startWorkers } from "./up/workers.js";
import { findLog } from "./with-log.js";

const FLAGS: readonly ConfigKey[] = [
  "natsUrl",
  "dataDir",
  "partitions",
  "workers",
  "topologies",
  "retentionDays",
  "replicas",
  "durability",
  "clickhouseUrl",
  "logLevel",
];
/** Everything must be given back by then. */
const STOP_MS = 8_000;

export function runCommand(): Command {
  const command = new Command("run")
    .description("join a running log as one more process: take a share of the tasks, stand by for everything else")
    .option("--sinks", "take the embedded database of the data directory when its owner is gone")
    .addHelpText(
      "after",
      `
Joins the instance of --data-dir, or the log at --nats-url. Leaving or dying hands the share back within seconds.
The sinks are taken too when a ClickHouse server is given, or with --sinks.

Examples:
  millrace run --data-dir data --workers 2
  NATS_URL=nats://user:password@log:4222 CLICKHOUSE_URL=http://ch:8123 millrace run --partitions 4`,
    );
  for (const key of FLAGS) {
    const { flag, help, env } = CONFIG_HELP[key];
    command.addOption(new Option(`${flagName(key)} <${flag ?? "value"}>`, `${help} (${env})`));
  }
  return command.action(async (flags: Record<string, unknown>) => {
    const config = loadConfig(flags);
    await refuseLintErrors(config.topologies);
    await run(config, flags["sinks"] === true);
  });
}

async function run(config: Config, sinks: boolean): Promise<void> {
  const interrupted = new Promise<string>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve(signal));
  });
  const logger = createLogger(config.logLevel);
  const { log, partitions = config.partitions } = findLog(config);
  const connection = await connectLog({ ...log, name: "millrace-run" });
  try {
    await refuseBetweenLayouts(connection.registers);
    for (const spec of streamSpecs(partitions)) await connection.log.ensureStream(spec);
  } catch (error) {
    await connection.close(); // an open one would keep the process alive
    throw error;
  }
  const workers = startWorkers({
    ...{ config, log, connection, partitions, logger },
    sinks: sinks || config.clickhouseUrl !== undefined ? "may" : "never",
    sabotage: sabotageOf(process.env),
  });
  workers.tellTime();
  const cluster = watchCluster(connection, () => statusOf(workers));
  process.stdout.write(`joined as ${workers.holder}\n`);
  const why = await Promise.race([interrupted, workers.broken]);
  const asked = why.startsWith("SIG");
  process.stdout.write(asked ? "leaving: giving the share back\n" : `millrace: ${why}; leaving\n`);
  const abandon = setTimeout(() => process.exit(EXIT.failed), STOP_MS).unref();
  cluster.stop();
  await workers.stop();
  await connection.close();
  clearTimeout(abandon);
  if (!asked) process.exitCode = EXIT.failed;
}

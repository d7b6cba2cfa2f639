import { Command, Option } from "commander";
import { CONFIG_HELP, type Config, type ConfigKey } from "../core/index.js";
import { flagName, loadConfig } from "./config.js";
import { EXIT } from "./exit.js";
import { refuseLintErrors } from "./lint.js";
import { showProgress } from "./up/progress.js";
import { type Running, start } from "./up/start.js";

/** Everything must be stopped by then; what is left is abandoned, the log has what was acknowledged. */
const STOP_MS = 5_000;

export function upCommand(): Command {
  const command = new Command("up")
    .description("start the log, the database, doors, tasks and the page; play the bundled sample")
    .addHelpText("after", helpAfter());
  for (const [key, { flag, help, env }] of Object.entries(CONFIG_HELP)) {
    if (flag !== undefined) command.addOption(new Option(`${flagName(key)} <${flag}>`, `${help} (${env})`));
  }
  command.addOption(new Option("--no-replay", "play nothing").default(undefined));
  return command.action(async (flags: Record<string, unknown>) => {
    const config = loadConfig(flags);
    await refuseLintErrors(config.topologies);
    await run(config);
  });
}

function helpAfter(): string {
  const keys = Object.keys(CONFIG_HELP) as ConfigKey[];
  const names = keys.filter((key) => CONFIG_HELP[key].flag === undefined).map((key) => CONFIG_HELP[key].env);
  return `
Precedence: flags, then the environment (names in brackets), then millrace.yaml (mqttPort: 1884), then defaults.
By environment or file only: ${names.join(", ")}.

Examples:
  millrace up
  millrace up --speed max --port 0 --mqtt-port 0
  CLICKHOUSE_URL=http://default:@localhost:8123 NATS_URL=nats://localhost:4222 millrace up --no-replay`;
}

async function run(config: Config): Promise<void> {
  const startedMs = Date.now();
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  let abandon: NodeJS.Timeout | undefined;
  const abandonSoon = (): void => {
    abandon ??= setTimeout(() => {
      print(`still not stopped after ${STOP_MS / 1000} s: leaving the rest; nothing acknowledged is lost`);
      process.exit(EXIT.failed);
    }, STOP_MS);
  };
  const interruption = new AbortController();
  const interrupted = new Promise<string>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.once(signal, () => {
        resolve(signal);
        interruption.abort();
        abandonSoon();
      });
    }
  });
  const running = await start(config, print, interruption.signal);
  if (running === undefined) {
    print("stopped before it was ready");
    process.exit(EXIT.done); // what was still starting may wait for something that never comes
  }
  const readyS = ((Date.now() - startedMs) / 1000).toFixed(1);
  print(banner(running, readyS, config));
  const endProgress = showProgress(running.stats, process.stdout);
  const why = await Promise.race([interrupted, running.broken]);
  endProgress();
  const asked = why.startsWith("SIG");
  print(asked ? "stopping: draining what is in flight" : `millrace: ${why}; stopping`);
  if (!asked) process.exitCode = EXIT.failed;
  abandonSoon();
  await running.stop();
  clearTimeout(abandon);
  print("stopped");
}

function banner({ url, key, mqttPort, transport, database }: Running, readyS: string, config: Config): string {
  const lines = [
    `ready in ${readyS} s`,
    "",
    `  page       ${url}/?key=${key}`,
    `  telemetry  POST ${url}/api/v1/telemetry   (Authorization: Bearer <key>)`,
    `  webhooks   POST ${url}/hooks/github`,
    mqttPort === undefined ? "" : `  mqtt       127.0.0.1:${mqttPort}   user mqtt, password <key>`,
    `  database   ${database}`,
    `  key        ${config.dataDir}/local.key`,
    transport === "uws" ? "" : "  transport  node:http",
    "",
  ];
  return lines.filter((line, i) => line !== "" || lines[i - 1] !== "").join("\n");
}

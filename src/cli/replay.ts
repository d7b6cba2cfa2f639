import { Command } from "commander";
import { type Config, formatTime, MillraceError, systemClock } from "../core/index.js";
import { models, pipelines } from "../pipelines/index.js";
import { verifyTask } from "../runtime/index.js";
import { createReplay } from "../streams/index.js";
import { createInference } from "../workers/inference/index.js";
import { findInstance, type RunningInstance, readSecret } from "./client.js";
import { loadConfig } from "./config.js";
import { EXIT } from "./exit.js";
import { connectInstance } from "./log-client.js";

const SHOWN_DIFFERENCES = 10;

interface ReplayFlags {
  readonly verify?: boolean;
  readonly json?: boolean;
  readonly dataDir?: string;
  readonly speed?: string;
  readonly rebase?: string;
}

export function replayCommand(): Command {
  return new Command("replay")
    .description("play a folder of recorded events through the doors of the running instance, or verify the log")
    .argument("[path]", "folder with a manifest.json, as described in samples/README.md")
    .option("--verify", "run every task over the whole log again and compare each output with what is stored")
    .option("--speed <n|max>", "1 plays the folder in about 15 minutes")
    .option("--rebase <now|none>", "shift the events so that they end now, or keep their times")
    .option("--data-dir <path>", "data directory of the running instance")
    .option("--json", "with --verify: print the result as JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  millrace replay ./recorded --speed 10\n  millrace replay --verify\n\n--verify exits with 3 when something differs.",
    )
    .action(async (path: string | undefined, { verify, json, ...flags }: ReplayFlags) => {
      const config = loadConfig({ ...flags });
      const instance = findInstance(config.dataDir);
      if (verify) await verifyLog(instance, json ?? false);
      else if (path !== undefined) await play(instance, config, path);
      else throw new MillraceError("MR_OPTION_INVALID", "replay needs a folder to play, or --verify");
    });
}

async function verifyLog(instance: RunningInstance, json: boolean): Promise<void> {
  const connection = await connectInstance(instance);
  const inference = createInference({ models });
  const { partitions } = instance;
  let differing = 0;
  try {
    const tasks = [];
    for (const pipeline of pipelines) {
      for (let partition = 0; partition < (pipeline.single ? 1 : partitions); partition++) {
        const result = await verifyTask({ ...connection, pipeline, partition, partitions, inference });
        const { messages, outputs, differences } = result;
        differing += differences.length;
        const task = `${pipeline.name}/${partition}`;
        tasks.push({ task, messages, outputs, differences: differences.slice(0, SHOWN_DIFFERENCES) });
        if (!json) print(`${task}: ${messages} messages, ${outputs} outputs, ${differenceText(differences.length)}`);
        for (const { stream, id, computed, stored } of json ? [] : differences.slice(0, SHOWN_DIFFERENCES)) {
          print(`  ${stream} ${id}\n    computed ${computed ?? "nothing"}\n    stored   ${stored ?? "nothing"}`);
        }
      }
    }
    print(json ? JSON.stringify({ differing, tasks }) : differenceText(differing));
  } finally {
    await inference.close();
    await connection.close();
  }
  if (differing > 0) process.exitCode = EXIT.found;
}

function differenceText(count: number): string {
  return count === 0 ? "no difference" : `${count} differences`;
}

/** The folder is a time source of its own, so it neither holds nor hurries what else goes on. */
async function play(instance: RunningInstance, config: Config, path: string): Promise<void> {
  const { mqttUrl, url, key, partitions } = instance;
  if (mqttUrl === null)
    throw new MillraceError("MR_OPTION_INVALID", "the running instance has no MQTT broker to play to");
  const connection = await connectInstance(instance);
  const stopping = new AbortController();
  process.once("SIGINT", () => stopping.abort());
  try {
    const replay = await createReplay({
      path,
      speed: config.speed,
      rebase: config.rebase,
      source: `replay-${Date.now().toString(36)}`,
      webhookUrl: `${url}/hooks/github`,
      secret: config.githubWebhookSecret ?? readSecret(config.dataDir, "webhook.secret"),
      localKey: key,
      mqttUrl,
      ...(instance.natsUser === null ? {} : { mqttUser: instance.natsUser, mqttPassword: instance.natsPassword ?? "" }),
      log: connection.log,
      registers: connection.registers,
      partitions,
      clock: systemClock,
    });
    const timer = setInterval(() => {
      const { sent, total, clockMs } = replay.progress();
      print(`${sent} of ${total}${clockMs === undefined ? "" : `, ${formatTime(clockMs)}`}`);
    }, 5_000);
    await replay.run(stopping.signal).finally(() => clearInterval(timer));
    const { sent, total } = replay.progress();
    print(`${sent} of ${total} played`);
  } finally {
    await connection.close();
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

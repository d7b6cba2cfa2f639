import type { SinkThreadStatus } from "../../src/cli/up/sink-thread.js";
import { Thread } from "../../src/cli/up/thread.js";

/**
 * The engine in a process of its own, as `millrace up` has it: a thread of tasks, a thread with the embedded database and its writer.
 * Arguments: {natsUrl, dataDir, topologies} as JSON. Asked `open`, `run`, `status` and `stop` by its parent; each is answered with
 * the processor time of the whole process so far.
 */
const { natsUrl, dataDir, topologies } = JSON.parse(process.argv[2] ?? "") as Record<string, string>;
const log = { url: natsUrl, name: "bench" };
const failed = (error: Error): void => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
};
const shared = { log, logLevel: "warn" };
const up = new URL("../../src/cli/up/", import.meta.url);
const tasks = new Thread<{ tasks: readonly { position: number }[] }>(
  new URL("tasks-thread.js", up),
  { ...shared, partitions: 1, topologies, sabotage: undefined },
  failed,
);
const sinks = new Thread<SinkThreadStatus>(
  new URL("sink-thread.js", up),
  { ...shared, clickhouseUrl: undefined, dataDir },
  failed,
);

const commands: Readonly<Record<string, () => Promise<unknown>>> = {
  async open() {
    await Promise.all([tasks.ready(), sinks.ready()]);
    sinks.request("run", null).catch(failed);
    while ((sinks.status?.place ?? "") === "") await new Promise((resolve) => setTimeout(resolve, 20));
  },
  async run() {
    tasks.request("run", { partition: 0, epoch: Date.now() }).catch(failed);
  },
  status: async () => ({
    task: tasks.status?.tasks[0]?.position ?? 0,
    sink: sinks.status?.sinks.find(({ stream }) => stream === "features")?.position ?? 0,
  }),
  async stop() {
    await tasks.stop();
    await sinks.stop();
  },
};

process.on("message", async (command: string) => {
  const result = await commands[command]?.();
  const { user, system } = process.cpuUsage();
  process.send?.({ result, processorS: (user + system) / 1e6, wallMs: performance.now() });
  if (command === "stop") process.disconnect();
});

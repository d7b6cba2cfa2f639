import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import t from "tap";
import { askCluster } from "../../src/cli/known-tasks.js";
import { pause } from "../../src/cli/pause.js";
import { wish } from "../../src/cli/wishes.js";
import { packageRoot } from "../../src/core/index.js";
import { connectLog, streamSpecs } from "../../src/streams/index.js";
import { feed } from "../kill/feed.js";
import { FIRST_MS, makeInput, tickBody } from "../kill/input.js";
import { workerProcess } from "../kill/processes.js";
import { PARTITIONS } from "../kill/topologies.js";
import { startNats } from "../support/nats.js";
import { seededRandom } from "../support/random.js";

const run = promisify(execFile);
const MAIN = join(packageRoot(), "build/src/cli/main.js");

t.test("tasks, pause, resume, drain, savepoint, reset, forget", async (t) => {
  const server = await startNats();
  const dataDir = mkdtempSync(join(tmpdir(), "millrace-operations-"));
  const connection = await connectLog({ url: server.url, name: "test" });
  const { log } = connection;
  for (const spec of streamSpecs(PARTITIONS)) await log.ensureStream(spec);
  const worker = workerProcess({ natsUrl: server.url, dataDir, partitions: PARTITIONS });
  t.teardown(async () => {
    await worker.stop();
    await connection.close();
    await server.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const env = { ...process.env, MILLRACE_RETENTION_DAYS: "0.000001" }; // so that somebody holds the log back
  const cli = async (...args: string[]): Promise<string> =>
    (await run(process.execPath, [MAIN, ...args, "--nats-url", server.url], { env })).stdout.trim();
  interface Line {
    readonly task: string;
    readonly owner: string | null;
    readonly state: string;
    readonly lag: number;
    readonly stateBytes: number | null;
    readonly hotKeys: readonly { key: string }[];
  }
  const tasks = async (): Promise<{ tasks: Line[]; streams: { stream: string; heldBy: string | null }[] }> =>
    JSON.parse(await cli("tasks", "--json"));
  /** Both stages run and have read everything. */
  const caughtUp = async (): Promise<void> => {
    for (const endMs = performance.now() + 30_000; ; await delay(50)) {
      const running = (await askCluster(connection)).tasks.filter(({ state }) => state === "running");
      const behind = await Promise.all(
        running.map(async ({ source, partition, position }) => {
          return ((await log.last(source, `${source}.${partition}.>`))?.sequence ?? 0) > position;
        }),
      );
      if (running.length === 2 * PARTITIONS && !behind.includes(true)) return;
      if (performance.now() > endMs) throw new Error(`still behind: ${JSON.stringify(running)}`);
    }
  };
  const outputs = async (): Promise<number> => (await log.info("accepted")).messages;

  for (let p = 0; p < PARTITIONS; p++)
    await log.publish({ subject: `telemetry.${p}._tick.kill`, data: tickBody(FIRST_MS) });
  await worker.start();
  await caughtUp();
  const steps = makeInput({ random: seededRandom(7), round: 0, fromMs: FIRST_MS, steps: 4, eventsPerStep: 200 });
  await feed(connection, steps, 5_000).done;
  await caughtUp();
  const { tasks: lines, streams } = await tasks();
  t.match(
    lines.find(({ task }) => task === "kill.intake/0"),
    { task: "kill.intake/0", owner: /\/\d+$/, state: "running" },
  );
  const hot = lines.find(({ task }) => task === "kill.intake/0")?.hotKeys[0]?.key;
  t.match(hot, /^kill\.u\d+$/, "the busiest key");
  t.equal(
    streams.find(({ stream }) => stream === "telemetry")?.heldBy,
    "reader kill.intake/0",
    "who holds back the log",
  );
  t.match(await cli("tasks"), /kill\.intake\/0 .*running[\s\S]*telemetry +1\.\.\d+ +\d+ +reader kill\.intake\/0/);

  t.equal(await cli("drain", "kill.intake"), `kill.intake rests: ${PARTITIONS} tasks`);
  const resting = (await tasks()).tasks.filter(({ task }) => task.startsWith("kill.intake"));
  t.ok(resting.every(({ owner, state, stateBytes }) => owner === null && state === "paused" && (stateBytes ?? 0) > 0));
  t.match(await cli("savepoint", "kill.intake", "before"), /savepoint before of kill\.intake: kill\.intake\/0 at \d+/);

  const more = makeInput({ random: seededRandom(8), round: 1, fromMs: FIRST_MS + 4_000, steps: 2, eventsPerStep: 100 });
  const before = await outputs();
  await feed(connection, more, 5_000).done;
  t.equal(await outputs(), before, "what rests writes nothing");
  await cli("resume", "kill.intake");
  await caughtUp();
  const after = await outputs();
  t.ok(after > before, "it goes on where it stopped");

  const refused = { code: 2, stderr: /kill\.intake is running in .*first "millrace pause kill\.intake"/ };
  await t.rejects(cli("reset", "kill.intake", "--to", "beginning"), refused);
  for (const to of ["savepoint:before", "beginning"]) {
    t.equal(await pause(connection, "kill.intake"), `kill.intake rests: ${PARTITIONS} tasks`);
    t.match(await cli("reset", "kill.intake", "--to", to), /begins again at/);
    await wish(connection.registers, "kill.intake", "run");
    await caughtUp();
    const markers = 8; // an owner that takes over, and a last snapshot, write markers and no outputs
    t.ok((await outputs()) <= after + 2 * markers * PARTITIONS, `reset to ${to}: nothing is written twice`);
  }
  t.match(await cli("forget", "kill.intake/0"), /no longer holds back telemetry/);
  await t.rejects(cli("forget", "nobody/0"), {
    code: 2,
    stderr: /there is no reader nobody\/0; known are .*kill\.intake\/1/,
  });
  await t.rejects(pause(connection, "nobody"), /no pipeline nobody has run here; known are kill\.intake, kill\.second/);
});

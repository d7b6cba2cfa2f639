import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import { packageRoot } from "../../src/core/index.js";
import { writePointer } from "../../src/runtime/index.js";
import { connectLog, startNatsServer } from "../../src/streams/index.js";
import { registerReader } from "../../src/workers/keeper/index.js";
import { PARTITIONS, pipelines } from "../kill/topologies.js";
import { temporaryDir } from "../support/millrace.js";
import { natsBinary } from "../support/nats.js";

const run = promisify(execFile);
const MAIN = join(packageRoot(), "build/src/cli/main.js");
const TOPOLOGIES = join(packageRoot(), "build/test/kill/topologies.js");
const START_MS = Date.UTC(2026, 0, 1);

/** State of `kill.intake/1` after some readings of two units, as a task would have saved it. */
function savedState(): Uint8Array {
  const [intake] = pipelines;
  if (intake === undefined) throw new Error("the topologies are gone");
  const program = intake.create({
    ...{ task: "kill.intake/1", partition: 1, partitions: PARTITIONS },
    inference: { run: async () => new Float32Array() },
  });
  const readings = [
    { id: "r1", unit: "u1", ts: START_MS + 100, v: 5 },
    { id: "r2", unit: "u1", ts: START_MS + 200, v: 7 },
    { id: "r3", unit: "u2", ts: START_MS + 1_300, v: 1 },
    { id: "r4", unit: "u1", ts: START_MS + 1_400, v: 2 },
  ];
  const message = (sequence: number, subject: string, body: object) =>
    program.apply(
      { sequence, subject, data: Buffer.from(JSON.stringify(body)), header: () => undefined },
      undefined,
      () => undefined,
    );
  readings.forEach((reading, i) => message(i + 1, `telemetry.1.kill.${reading.unit}.g`, reading));
  message(5, "telemetry.1._tick.kill", { source: "kill", t: START_MS + 900, mark: START_MS + 900 });
  return program.save();
}

t.test("state get: of a running log and of a stopped one, and what is not there", async (t) => {
  const dataDir = temporaryDir("state");
  const env = { ...process.env, NATS_SERVER_BIN: natsBinary() };
  const cli = async (where: readonly string[], ...args: string[]): Promise<string> =>
    (await run(process.execPath, [MAIN, "state", "get", ...args, "--topologies", TOPOLOGIES, ...where], { env }))
      .stdout;
  const start = () =>
    startNatsServer({
      bin: natsBinary(),
      storeDir: join(dataDir, "nats"),
      mqttPort: undefined,
      mqttPassword: "test",
    });
  const server = await start();
  const { url, user, password } = server;
  const connection = await connectLog({ url, user, password, name: "test" });
  t.teardown(async () => {
    await connection.close();
    await server.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const { registers, objects } = connection;
  const given = new URL(url);
  given.username = user;
  given.password = password;
  const atUrl = ["--nats-url", given.href];

  await t.rejects(cli(atUrl, "nobody", "u1"), { code: 2, stderr: /no pipeline nobody; known are kill\.intake/ });
  for (const partition of [0, 1, 2])
    await registerReader(registers, { stream: "telemetry", name: `kill.intake/${partition}`, kind: "task" });
  await t.rejects(cli(atUrl, "kill.second", "u1"), { code: 2, stderr: /no pipeline kill\.second has run here/ });
  await t.rejects(cli(atUrl, "kill.intake", "u1"), { code: 2, stderr: /kill\.intake has no snapshot yet/ });

  await objects.put("kill.intake/1/5-1", savedState());
  const snapshot = {
    ...{ sequence: 5, object: "kill.intake/1/5-1", watermarkMs: START_MS + 900, savedMs: START_MS },
    program: "p",
  };
  const pointer = { format: 2, epoch: 1, incarnation: "i", program: "p", kept: [snapshot], borders: [] };
  await writePointer(registers, "kill.intake/1", pointer, 0);

  const text = await cli(atUrl, "kill.intake", "u1");
  t.match(text, /^kill\.intake\/1 at position 5, watermark 2026-01-01T00:00:00\.900Z, saved 2026-01-01T00:00:00/);
  t.match(text, /seconds +2026-01-01T00:00:00\S+ to 2026-01-01T00:00:01\S+ +\{"events":2,"total":12\}/);
  t.match(text, /seconds +2026-01-01T00:00:01\S+ to 2026-01-01T00:00:02\S+ +\{"events":1,"total":2\}/);
  await t.rejects(cli(atUrl, "kill.intake", "u7"), {
    code: 2,
    stderr: /no operator of kill\.intake holds "u7" \(kill\.intake\/1 at 5\); keys there are, for example, r1, r2, r3/,
  });

  await connection.close();
  await server.stop();
  const atDir = ["--data-dir", dataDir];
  const [task] = JSON.parse(await cli(atDir, "kill.intake", "u2", "--json")) as readonly object[];
  t.same(task, {
    task: "kill.intake/1",
    position: 5,
    watermark: "2026-01-01T00:00:00.900Z",
    saved: "2026-01-01T00:00:00.000Z",
    held: [
      {
        operator: "seconds",
        startMs: START_MS + 1_000,
        endMs: START_MS + 2_000,
        value: { events: 1, total: 1 },
      },
    ],
  });
  t.match(await cli(atDir, "kill.intake", "r2"), /ids +\{"latest":true,/, "an id is a key as well; stopped twice over");
  const none = temporaryDir("none");
  await t.rejects(cli(["--data-dir", none], "kill.intake", "u1"), { code: 2, stderr: /no instance has run in/ });
});

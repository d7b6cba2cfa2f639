import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import { packageRoot } from "../../src/core/index.js";
import { startMillrace, temporaryDir, waitFor } from "../support/millrace.js";

const run = promisify(execFile);
const MAIN = join(packageRoot(), "build/src/cli/main.js");
const cli = async (...args: string[]): Promise<string> => (await run(process.execPath, [MAIN, ...args])).stdout;

t.test("every command has help with an example", async (t) => {
  t.match(await cli("--help"), /Exit codes: 0 done, 1 failed, 2 wrong usage/);
  for (const command of ["up", "replay", "backtest", "sql", "topology", "lint", "doctor"]) {
    t.match(await cli(command, "--help"), /Examples?:\n {2}\S*\s?millrace|Examples?:\n {2}millrace/, command);
  }
  for (const command of ["list", "show"]) t.match(await cli("dead", command, "--help"), /Example:\n {2}millrace dead/);
});

t.test("wrong usage is refused with 2 and the way out", async (t) => {
  const table = [
    { args: ["up", "--prot", "1"], stderr: /Did you mean --port/ },
    { args: ["up", "--port", "80800"], stderr: /--port: "80800" is not accepted/ },
    { args: ["topology", "mine"], stderr: /no pipeline mine; known are parallel-org.activity/ },
    { args: ["topology", "--mermaid"], stderr: /a chart is of one pipeline: name one of parallel-org.activity/ },
    { args: ["lint", "./not-there.js"], stderr: /loading topologies from \.\/not-there\.js/ },
    {
      args: ["sql", "SELECT 1", "--data-dir", temporaryDir("none")],
      stderr: /no running instance found .* start one with/,
    },
    { args: ["replay", "--data-dir", temporaryDir("none")], stderr: /no running instance/ },
    { args: ["backtest", "mine.telemetry", "--from", "yesterday", "--to", "x"], stderr: /--from takes a time such as/ },
    {
      args: ["backtest", "mine", "--from", "2026-10-01T00:00:00Z", "--to", "2026-10-02T00:00:00Z"],
      stderr: /no pipeline mine; known are parallel-org.activity/,
    },
    { args: ["dead", "list", "--limit", "0"], stderr: /positive whole number/ },
    { args: ["dead", "list", "--domain", "moon"], stderr: /must be one of github, telemetry/ },
    { args: ["upp"], stderr: /Did you mean up/ },
  ];
  for (const { args, stderr } of table) await t.rejects(cli(...args), { code: 2, stderr }, args.join(" "));
});

t.test("topology: text, JSON and Mermaid of the engine's own graph", async (t) => {
  const text = await cli("topology");
  t.match(text, /parallel-org\.activity.*\(version \d+\)\n {2}reads github[\s\S]*mine\.telemetry[\s\S]*mine\.site/);
  t.match(text, /truckWindows {2}tumbling 7200000 ms/);
  const [telemetry] = JSON.parse(await cli("topology", "mine.telemetry", "--json")) as { source: string }[];
  t.equal(telemetry?.source, "telemetry");
  const chart = await cli("topology", "mine.site", "--mermaid");
  t.match(chart, /^flowchart LR\n {2}n0\(\["from features/);
  t.match(chart, /\[\/"to plans/);
});

t.test("up ends by itself, and takes its threads and servers along, when the database is not there", async (t) => {
  const dataDir = temporaryDir("no-database");
  const env = { ...process.env, CLICKHOUSE_URL: "http://127.0.0.1:1" };
  const args = [MAIN, "up", "--port", "0", "--mqtt-port", "0", "--no-replay", "--data-dir", dataDir];
  const up = run(process.execPath, args, { env, timeout: 20_000 });
  await t.rejects(up, { code: 1, killed: false, stderr: /millrace: connecting to ClickHouse at .* failed/ });
  t.notOk(existsSync(join(dataDir, "instance.json")), "the data directory is free again");
});

t.test("a broker that is away holds the page up for seconds, not for ever; Ctrl-C works meanwhile", async (t) => {
  const dataDir = temporaryDir("no-broker");
  const env = { ...process.env, MQTT_URL: "mqtt://127.0.0.1:1" };
  const args = [MAIN, "up", "--port", "0", "--no-replay", "--data-dir", dataDir];
  const early = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  let printed = "";
  early.stdout.on("data", (chunk: Buffer) => (printed += chunk));
  await waitFor(60_000, () => existsSync(join(dataDir, "nats", "endpoint.json")) || undefined);
  early.kill("SIGTERM");
  const [code] = await once(early, "exit");
  t.equal(code, 0);
  t.match(printed, /stopped before it was ready/);
  t.notOk(existsSync(join(dataDir, "nats", "endpoint.json")), "the log's server has ended too");

  process.env["MQTT_URL"] = env.MQTT_URL;
  const millrace = await startMillrace(dataDir, ["--no-replay"]).finally(() => delete process.env["MQTT_URL"]);
  t.teardown(() => millrace.killTree());
  const answer = await fetch(`${millrace.instance.url}/readyz`);
  t.equal(answer.status, 503);
  t.match(await answer.text(), /the MQTT broker is not connected/);
  await millrace.stop();
});

t.test("doctor: what is wrong, how to mend it, and exit code 3", async (t) => {
  const taken = createServer().listen(0, "127.0.0.1");
  t.teardown(() => taken.close());
  await new Promise((done) => taken.once("listening", done));
  const { port } = taken.address() as AddressInfo;
  const dataDir = temporaryDir("doctor");
  const well = JSON.parse(await cli("doctor", "--json", "--port", "0", "--mqtt-port", "0", "--data-dir", dataDir)) as {
    check: string;
    ok: boolean;
  }[];
  t.same(
    well.filter(({ ok }) => !ok),
    [],
  );
  t.match(
    well.map(({ check }) => check),
    ["Node.js", "free disk", /--port/, /--mqtt-port/, "nats-server", "embedded ClickHouse"],
  );
  const ill = cli("doctor", "--port", String(port), "--mqtt-port", "0", "--data-dir", dataDir);
  await t.rejects(ill, { code: 3, stdout: /FAIL +--port \d+ .*EADDRINUSE\n.*choose another with --port/ });
  const env = { ...process.env, NATS_URL: "nats://127.0.0.1:1", CLICKHOUSE_URL: "http://127.0.0.1:1" };
  const away = run(process.execPath, [MAIN, "doctor", "--port", "0", "--mqtt-port", "0", "--data-dir", dataDir], {
    env,
  });
  await t.rejects(away, {
    code: 3,
    stdout: /FAIL +nats-server[\s\S]*unset NATS_URL[\s\S]*FAIL +ClickHouse[\s\S]*unset CLICKHOUSE_URL/,
  });
});

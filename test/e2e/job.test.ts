import { execFile } from "node:child_process";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { connectAsync } from "mqtt";
import { chromium } from "playwright-core";
import t from "tap";
import WebSocket from "ws";
import { packageRoot, type Stats } from "../../src/core/index.js";
import { RESULT_TABLES } from "../../src/sinks/index.js";
import { CHROMIUM_FLAGS, findChromium } from "../support/chromium.js";
import { type RunningMillrace, startMillrace, temporaryDir, waitFor, waitForSettled } from "../support/millrace.js";
import { peakRss } from "../support/rss.js";

const run = promisify(execFile);
const MAIN = join(packageRoot(), "build/src/cli/main.js");
const GIB = 1024 ** 3;

interface Manifest {
  readonly domains: Readonly<
    Record<"github" | "telemetry", { sent: number; duplicates: number; malformed: number; stored: number }>
  >;
}
const manifest = JSON.parse(readFileSync(join(packageRoot(), "samples/manifest.json"), "utf8")) as Manifest;

const dataDir = temporaryDir("job");
let millrace: RunningMillrace;

t.before(async () => {
  millrace = await startMillrace(dataDir, ["--speed", "max"]);
});
t.teardown(async () => {
  await millrace.stop();
  await rm(dataDir, { recursive: true, force: true });
});

t.test(
  "conservation: every delivery of the sample is stored, a duplicate, or a dead letter, as the manifest says",
  async (t) => {
    const memory = peakRss(millrace.child.pid ?? 0);
    const stats = await waitForSettled(millrace, 240_000);
    for (const domain of ["github", "telemetry"] as const) {
      const { sent, duplicates, malformed, stored } = manifest.domains[domain];
      t.same(stats[domain], { received: sent, stored, duplicates, deadLettered: malformed }, domain);
    }
    t.ok(memory.stop() <= 1.5 * GIB, `peak memory of the process tree ${(memory.stop() / GIB).toFixed(2)} GiB`);
    t.comment(`peak memory ${(memory.stop() / GIB).toFixed(2)} GiB, ready in ${millrace.readyMs} ms`);
    for (const [name, count] of [
      ["features", stats.features],
      ["anomalies", stats.anomalies],
      ["alerts", stats.alerts],
      ["plans", stats.plans],
    ] as const) {
      t.ok(count.stored > 0, `${name}: ${count.stored}`);
      t.same(
        await millrace.query(`SELECT count() FROM ${name}`),
        [[count.stored]],
        `${name}: stats say what the table holds`,
      );
    }
    t.same(await millrace.query("SELECT count() FROM dead_letters"), [
      [stats.github.deadLettered + stats.telemetry.deadLettered],
    ]);
    t.same(await millrace.query("SELECT count() FROM late_events"), [[stats.late]]);
  },
);

t.test("no id twice, no event twice, in any table", async (t) => {
  for (const { name } of RESULT_TABLES)
    t.same(await millrace.query(`SELECT count() - uniqExact(_id) FROM ${name}`), [[0]], name);
  t.same(await millrace.query("SELECT count() - uniqExact(event_id) FROM github_events"), [[0]]);
  t.same(await millrace.query("SELECT count() - uniqExact(site, equipment, event_id) FROM readings"), [[0]]);
});

t.test("privacy: alerts and features speak of repositories, never of people", async (t) => {
  const people = await millrace.query(
    "SELECT count() FROM alerts WHERE match(title, '\\\\bp\\\\d{3}\\\\b') OR match(key, '^p\\\\d{3}$')",
  );
  t.same(people, [[0]]);
  t.same(await millrace.query("SELECT countIf(NOT match(key, '^[^/]+/[^/]+$')) FROM alerts WHERE domain = 'github'"), [
    [0],
  ]);
});

t.test("alerts over the WebSocket: history with since, then the contract's frames", async (t) => {
  const url = millrace.instance.url.replace("http", "ws");
  const socket = new WebSocket(`${url}/ws?key=${millrace.key}`);
  const frames: { op: string; offset: number; prev: number; data: Record<string, unknown> }[] = [];
  socket.on("message", (data) => frames.push(JSON.parse(String(data))));
  await new Promise((open) => socket.once("open", open));
  socket.send(JSON.stringify({ op: "subscribe", id: 1, channel: "alerts", since: 0 }));
  const { alerts } = await millrace.stats();
  await waitFor(10_000, () => frames.length > alerts.stored || undefined);
  socket.close();
  t.match(frames[0], { op: "subscribed", id: 1, channel: "alerts", epoch: /^\w+$/, recovered: true });
  for (const [i, frame] of frames.slice(1).entries()) {
    if (frame.op !== "event" || frame.offset <= frame.prev || frame.prev !== frames[i]?.offset)
      t.fail(`frame ${i}: ${JSON.stringify(frame)}`);
  }
  t.match(frames[1]?.data, {
    schema: "millrace.alert/1",
    fingerprint: /./,
    revision: 1,
    title: /./,
    window: { start: /Z$/, end: /Z$/ },
  });
});

t.test("hostile input is refused, set aside or stored raw, and nothing falls over", async (t) => {
  const { url } = millrace.instance;
  const secret = readFileSync(join(dataDir, "webhook.secret"), "utf8").trim();
  const before = await millrace.stats();
  const deliver = (body: string | Buffer, headers: Record<string, string> = {}): Promise<Response> => {
    const signature = `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
    const standard = {
      "content-type": "application/json",
      "x-github-event": "push",
      "x-github-delivery": `hostile-${Math.random()}`,
      "x-hub-signature-256": signature,
    };
    return fetch(`${url}/hooks/github`, { method: "POST", body, headers: { ...standard, ...headers } });
  };
  const body = JSON.stringify({ repository: { full_name: "a/b" } });
  t.equal((await deliver(body, { "x-hub-signature-256": `sha256=${"0".repeat(64)}` })).status, 401, "wrong signature");
  t.equal((await deliver(body, { "x-hub-signature-256": "" })).status, 401, "no signature");
  t.equal((await deliver(body, { "x-github-event": "never_heard_of" })).status, 202, "unknown event type");
  t.equal(
    (await deliver(Buffer.alloc(26 * 1024 * 1024, 32)).catch(() => ({ status: 413 }))).status,
    413,
    "over the limit",
  );
  const telemetry = `${url}/api/v1/telemetry`;
  t.equal(
    (await fetch(telemetry, { method: "POST", body: "{}", headers: { authorization: "Bearer wrong" } })).status,
    401,
    "wrong key",
  );
  const mqtt = await connectAsync(`mqtt://127.0.0.1:${mqttPortOf(millrace)}`, {
    username: "mqtt",
    password: millrace.key,
    protocolVersion: 4,
  });
  await mqtt.publishAsync("millrace/v1/s1/pump-7/engine", Buffer.from([0, 255, 254, 123]), { qos: 1 });
  await mqtt.endAsync();
  const authorization = `Bearer ${millrace.key}`;
  for (const sql of [
    "INSERT INTO alerts SELECT * FROM alerts",
    "DROP TABLE alerts",
    "SELECT * FROM file('/etc/passwd')",
    "SELECT 1; SELECT 2",
    "SET readonly = 0",
  ]) {
    const answer = await fetch(`${url}/api/v1/query`, {
      method: "POST",
      headers: { authorization, "content-type": "text/plain" },
      body: sql,
    });
    t.ok(answer.status === 403 || answer.status === 400, `${sql}: ${answer.status}`);
  }
  const after = await waitFor(15_000, async () => {
    const stats = await millrace.stats();
    return stats.github.stored > before.github.stored && stats.telemetry.deadLettered > before.telemetry.deadLettered
      ? stats
      : undefined;
  });
  t.equal(after.github.received, before.github.received + 1, "only the signed delivery is in the log");
  t.same(await millrace.query("SELECT event, owner, repo FROM github_events WHERE event = 'never_heard_of'"), [
    ["never_heard_of", "a", "b"],
  ]);
  t.equal(after.telemetry.received, before.telemetry.received + 1);
  t.equal((await fetch(`${url}/healthz`)).status, 200);
  t.equal((await fetch(`${url}/readyz`)).status, 200);
});

t.test("a reading over HTTP is stored under its own content's id, once", async (t) => {
  const send = async (body: string): Promise<unknown> => {
    const headers = { authorization: `Bearer ${millrace.key}` };
    return (await fetch(`${millrace.instance.url}/api/v1/telemetry`, { method: "POST", headers, body })).json();
  };
  const before = await millrace.stats();
  const reading = JSON.stringify({
    site: "s1",
    equipment: "pump-7",
    group: "engine",
    ts: new Date().toISOString(),
    values: { fuelLph: 182.4 },
  });
  t.same(await send(reading), { accepted: 1, rejected: 0 });
  t.same(await send(reading), { accepted: 1, rejected: 0 });
  t.same(await send(`${reading}\n{"site":"s1"}`), { accepted: 1, rejected: 1 });
  const after = await waitFor(15_000, async () => {
    const { telemetry } = await millrace.stats();
    return telemetry.stored + telemetry.duplicates + telemetry.deadLettered === before.telemetry.received + 4
      ? telemetry
      : undefined;
  });
  t.same(
    {
      stored: after.stored - before.telemetry.stored,
      duplicates: after.duplicates - before.telemetry.duplicates,
      dead: after.deadLettered - before.telemetry.deadLettered,
    },
    { stored: 1, duplicates: 2, dead: 1 },
  );
});

t.test("metrics, and no secret in anything printed", async (t) => {
  const metrics = await (await fetch(`${millrace.instance.url}/metrics`)).text();
  t.match(metrics, /millrace_task_events_received_total\{task="mine.telemetry\/0"\} \d+/);
  t.notMatch(metrics, new RegExp(millrace.key));
  const secret = readFileSync(join(dataDir, "webhook.secret"), "utf8").trim();
  t.notOk(millrace.output().includes(secret), "the webhook secret is never printed");
  t.equal(millrace.output().split(millrace.key).length - 1, 1, "the key is printed once, in the URL");
});

t.test("the other commands answer about the running instance", async (t) => {
  const cli = async (...args: string[]): Promise<string> =>
    (await run(process.execPath, [MAIN, ...args, "--data-dir", dataDir])).stdout;
  t.match(await cli("sql", "SELECT count() AS alerts FROM alerts"), /alerts\n-+\n\d+/);
  t.match(JSON.parse(await cli("sql", "SELECT 1 AS one", "--json")), { columns: ["one"], rows: [[1]] });
  const letters = JSON.parse(await cli("dead", "list", "--json", "--limit", "3")) as { deadSequence: number }[];
  t.equal(letters.length, 3);
  t.match(await cli("dead", "show", String(letters[0]?.deadSequence)), /reason +\w/);
  t.match(await cli("replay", "--verify"), /no difference/);
  t.match(await cli("doctor", "--json"), /"check":"running instance","ok":true/);
  await t.rejects(cli("sql", "DROP TABLE alerts"), { code: 2 });
  await t.rejects(cli("dead", "show", "999999999"), { code: 2 });
});

t.test("the README's own lines work as they stand", async (t) => {
  const folder = temporaryDir("readme");
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await symlink(dataDir, join(folder, "data"));
  await symlink(join(packageRoot(), "node_modules/.bin/mqtt_pub"), join(folder, "mosquitto_pub"));
  // A real mosquitto_pub is taken where there is one; mqtt.js has the same options.
  const env = { ...process.env, PATH: `${process.env["PATH"]}${delimiter}${folder}` };
  const readme = readFileSync(join(packageRoot(), "README.md"), "utf8");
  const lines = [...readme.matchAll(/```sh\n(.*?)```/gs)].map((match) => String(match[1]));
  const [curl, mosquitto] = ["curl", "mosquitto_pub"].map(
    (tool) => lines.find((line) => line.startsWith(tool)) ?? "false",
  );
  const here = (line = ""): string =>
    line.replace("http://127.0.0.1:8080", millrace.instance.url).replace("-p 1883", `-p ${mqttPortOf(millrace)}`);
  const shell = async (line: string): Promise<string> => (await run("sh", ["-c", line], { cwd: folder, env })).stdout;
  const before = await millrace.query("SELECT count() FROM readings WHERE site = 's1'");
  t.same(JSON.parse(await shell(here(curl))), { accepted: 1, rejected: 0 }, "curl");
  await shell(here(mosquitto));
  const stored = await waitFor(15_000, async () => {
    const rows = await millrace.query("SELECT count() FROM readings WHERE site = 's1'");
    return Number(rows[0]?.[0]) === Number(before[0]?.[0]) + 2 ? rows : undefined;
  });
  t.ok(stored, "both are stored");
});

t.test("a machine's own alarm is an alert on the WebSocket at once", async (t) => {
  const socket = new WebSocket(`${millrace.instance.url.replace("http", "ws")}/ws?key=${millrace.key}`);
  const frames: { op: string; data?: { title: string } }[] = [];
  socket.on("message", (data) => frames.push(JSON.parse(String(data))));
  await new Promise((open) => socket.once("open", open));
  socket.send(JSON.stringify({ op: "subscribe", id: 1, channel: "alerts" }));
  await waitFor(5_000, () => frames.length > 0 || undefined);
  const body = JSON.stringify({
    site: "s1",
    equipment: "crusher-1",
    group: "plc",
    ts: Date.now(),
    labels: { alarm: "belt slip", severity: "critical" },
  });
  const startMs = performance.now();
  await fetch(`${millrace.instance.url}/api/v1/telemetry`, {
    method: "POST",
    headers: { authorization: `Bearer ${millrace.key}` },
    body,
  });
  await waitFor(5_000, () => frames.find(({ data }) => data?.title === "crusher-1 reports belt slip"));
  t.comment(`HTTP request to frame ${(performance.now() - startMs).toFixed(0)} ms`);
  t.pass("the alert came");
  socket.close();
});

t.test("millrace replay plays a folder through the doors", async (t) => {
  const folder = temporaryDir("recorded");
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const firstMs = Date.UTC(2024, 0, 1);
  const records = Array.from({ length: 20 }, (_, i) => {
    const ts = firstMs + i * 1_000;
    return {
      at: ts,
      topic: "millrace/v1/s2/fan-1/drive",
      payload: JSON.stringify({ id: `r${i}`, ts, values: { speedRpm: i } }),
    };
  });
  const source = { files: [{ path: "fan.ndjson.gz" }], firstMs, lastMs: firstMs + 19_000, sent: records.length };
  await writeFile(join(folder, "manifest.json"), JSON.stringify({ sources: { fan: source } }));
  await writeFile(
    join(folder, "fan.ndjson.gz"),
    gzipSync(records.map((record) => `${JSON.stringify(record)}\n`).join("")),
  );
  const { stdout } = await run(process.execPath, [
    MAIN,
    "replay",
    folder,
    "--speed",
    "max",
    "--rebase",
    "none",
    "--data-dir",
    dataDir,
  ]);
  t.match(stdout, /20 of 20 played/);
  const count = "SELECT count(), min(ts) FROM readings WHERE site = 's2'";
  const rows = await waitFor(15_000, async () => {
    const answer = await millrace.query(count);
    return Number(answer[0]?.[0]) === 20 ? answer : undefined;
  });
  t.match(rows, [[20, /^2024-01-01 00:00:00/]]);
});

const browserFound = findChromium();
const noBrowser = browserFound.kind === "missing" ? browserFound.reason : false;
if (noBrowser) t.comment(`skipped: ${noBrowser}`);
t.test("the page shows what happened, and complains of nothing", { skip: noBrowser }, async (t) => {
  const shots = join(packageRoot(), "build/screenshots");
  await mkdir(shots, { recursive: true });
  const browser = await chromium.launch({
    executablePath: browserFound.kind === "found" ? browserFound.path : "",
    args: [...CHROMIUM_FLAGS],
  });
  t.teardown(() => browser.close());
  const page = await browser.newPage({ viewport: { width: 1600, height: 900 } });
  const complaints: string[] = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(`${millrace.instance.url}/?key=${millrace.key}`);
  await page.getByText("crusher-1 reports belt slip").first().waitFor();
  await page
    .getByText(/less diesel|more diesel|same diesel/)
    .first()
    .waitFor();
  const { telemetry } = await millrace.stats();
  await page.getByText(telemetry.stored.toLocaleString("en")).first().waitFor();
  await page.screenshot({ path: join(shots, "job.png") });
  t.notMatch(page.url(), new RegExp(millrace.key), "the key is not left in the address bar");
  t.same(complaints, []);
});

t.test("Ctrl-C stops everything within 5 s; the second start is ready within 5 s and resumes", async (t) => {
  const { uptimeS: _, ...before } = await millrace.stats();
  const stopMs = await millrace.stop();
  t.ok(stopMs <= 5_000, `stopped in ${stopMs} ms`);
  t.match(millrace.output(), /stopped\n$/);
  millrace = await startMillrace(dataDir, ["--speed", "max"]);
  t.ok(millrace.readyMs <= 5_000, `second start ready in ${millrace.readyMs} ms`);
  t.comment(`stopped in ${stopMs} ms, second start ready in ${millrace.readyMs} ms`);
  const after = await waitFor(10_000, async () => {
    const { uptimeS, ...stats }: Stats = await millrace.stats();
    return JSON.stringify(stats) === JSON.stringify(before) ? stats : undefined;
  });
  t.same(after, before);
});

function mqttPortOf({ output }: RunningMillrace): number {
  return Number(/mqtt +127\.0\.0\.1:(\d+)/.exec(output())?.[1]);
}

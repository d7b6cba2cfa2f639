// A whole run with every kind of credential, right and wrong, at the lowest log level: none of them is in what was logged or written to

// the audit stream, and the audit stream has who did what.
import { execFile } from "node:child_process";
import { createHmac } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import { packageRoot } from "../../src/core/index.js";
import { connectLog, newestRecords } from "../../src/streams/index.js";
import { type AuditEntry, createCredential, revokeCredential } from "../../src/ws/index.js";
import { startMillrace, temporaryDir, waitFor } from "../support/millrace.js";
import { SECRET, token, unsigned } from "../ws/access/keys.js";
import { client, TRANSPORTS } from "../ws/support.js";

const run = promisify(execFile);
const MAIN = join(packageRoot(), "build/src/cli/main.js");
const WEBHOOK_SECRET = "webhook-secret-0123456789";
Object.assign(process.env, {
  MILLRACE_LOG_LEVEL: "trace",
  MILLRACE_JWT_SECRET: SECRET,
  GITHUB_WEBHOOK_SECRET: WEBHOOK_SECRET,
});

for (const transport of TRANSPORTS) {
  t.test(`${transport}: no secret in the logs, every call in the audit stream`, { timeout: 120_000 }, async (t) => {
    const dataDir = temporaryDir("secrets");
    const millrace = await startMillrace(dataDir, ["--no-replay", "--transport", transport]);
    t.teardown(async () => {
      await millrace.stop();
      await rm(dataDir, { recursive: true, force: true });
    });
    const { url } = millrace.instance;
    const { natsUrl, natsUser, natsPassword } = millrace.instance;
    const { log, registers, close } = await connectLog({
      url: natsUrl,
      user: natsUser ?? "",
      password: natsPassword ?? "",
      name: "test",
    });
    t.teardown(close);
    const cli = async (...args: string[]) =>
      (await run(process.execPath, [MAIN, ...args, "--data-dir", dataDir])).stdout.trim();
    const create = (kind: "display" | "ingest", name: string, channels: string[] | null) =>
      createCredential(registers, { kind, name, channels, expiresAtMs: null }, Date.now());
    const isFirst = transport === TRANSPORTS[0]; // starting the program takes its time: once is enough
    const wall = isFirst
      ? await cli("token", "display", "create", "east", "--channels", "alerts")
      : await create("display", "east", ["alerts"]);
    const key = isFirst ? await cli("key", "create", "pump", "--ttl", "90d") : await create("ingest", "pump", null);
    const alice = await token(new TextEncoder().encode(SECRET), { sub: "alice" });
    const forged = unsigned({ alg: "none" }, { sub: "mallory", exp: 9e9, roles: ["admin"] }, "c2lnbmF0dXJl");
    const guess = `mrk_0123456789ab_${"guess".repeat(8)}abc`;
    const credentials = [millrace.key, wall, key, alice, forged, guess, "a-wrong-password-of-mine"];

    const isKnown = async () => (await fetch(`${url}/api/v1/alerts?key=${wall}`)).status === 200;
    const isKeyKnown = async () => (await fetch(`${url}/api/v1/alerts?key=${key}`)).status === 403;
    await waitFor(10_000, async () => ((await isKnown()) && (await isKeyKnown())) || undefined); // followed within two seconds
    for (const credential of credentials) {
      const headers = { authorization: `Bearer ${credential}` };
      for (const path of ["/api/v1/alerts", "/api/v1/stats", "/openapi.json", "/nowhere", "/metrics"]) {
        await fetch(url + path, { headers });
        await fetch(`${url}${path}?key=${credential}`);
      }
      const reading = { site: "s", equipment: "e", group: "g", ts: Date.now(), values: { a: 1 } };
      await fetch(`${url}/api/v1/telemetry`, { method: "POST", headers, body: JSON.stringify(reading) });
      await fetch(`${url}/api/v1/query`, { method: "POST", headers, body: `SELECT '${credential}' FROM nowhere` });
      await fetch(`${url}/api/v1/commands`, { method: "POST", headers, body: `{"command":"${credential}"}` });
      const socket = await client(`${url.replace("http", "ws")}/ws?key=${credential}`).catch(() => undefined);
      socket?.send({ op: "refresh", id: 1, token: forged });
      socket?.send({ op: "subscribe", id: 2, channel: credential });
      socket?.send(credential);
      await socket?.until(({ id }) => id === 2);
      socket?.ws.terminate();
    }
    const signature = createHmac("sha256", WEBHOOK_SECRET).update("{}").digest("hex");
    for (const sent of [signature, "0".repeat(64)]) {
      const headers = { "x-hub-signature-256": `sha256=${sent}`, "x-github-event": "ping" };
      await fetch(`${url}/hooks/github`, { method: "POST", headers, body: "{}" });
    }
    const command = { command: "ack", target: "f1", reason: "seen" };
    const headers = { authorization: `Bearer ${alice}`, "idempotency-key": "once" };
    const given = await fetch(`${url}/api/v1/commands`, { method: "POST", headers, body: JSON.stringify(command) });
    t.equal(given.status, 202);
    if (isFirst) t.match(await cli("token", "display", "revoke", "east"), /^revoked east \([0-9a-f]{12}\)$/);
    else await revokeCredential(registers, { kind: "display", which: "east" }, Date.now());
    await waitFor(10_000, async () => !(await isKnown()) || undefined);

    const all = await waitFor(30_000, async () => {
      const wanted = { stream: "audit", subject: "audit.gateway", limit: 1_000 };
      const entries = (await newestRecords<AuditEntry>(log, wanted)).map(({ record }) => record);
      return entries.some(({ result }) => result === "revoked") ? entries : undefined;
    });
    const has = (wanted: Partial<AuditEntry>) =>
      all.some((entry) => Object.entries(wanted).every(([name, value]) => entry[name as keyof AuditEntry] === value));
    const expected: Partial<AuditEntry>[] = [
      { who: "local", what: "GET /api/v1/alerts", result: "ok" },
      { who: "user:alice", what: "POST /api/v1/commands", result: "ok" },
      { who: "user:alice", what: "connect", result: "ok" },
      { who: "user:alice", what: "refresh", result: "bad-credential" },
      { who: "display:east", what: "GET /api/v1/alerts", result: "ok" },
      { who: "display:east", what: "POST /api/v1/telemetry", result: "permission" },
      { who: "key:pump", what: "POST /api/v1/telemetry", result: "ok" },
      { who: "key:pump", what: "POST /api/v1/query", result: "permission" },
      { who: "signed", what: "POST /hooks/github", result: "ok" },
      { who: "unknown", what: "POST /hooks/github", result: "bad-credential" },
      { who: "unknown", what: "connect", result: "bad-credential" },
      { who: "unknown", what: "GET /api/v1/alerts", result: "revoked" },
    ];
    for (const entry of expected) t.ok(has(entry), JSON.stringify(entry));
    t.ok(all.every(({ address }) => address.includes("127.0.0.1")));
    if (isFirst) {
      const audit = async (...filters: string[]) =>
        JSON.parse(await cli("audit", "--json", ...filters)) as AuditEntry[];
      const ofAlice = await audit("--who", "user:alice", "--result", "refused", "--since", "10m");
      t.ok(ofAlice.length > 0 && ofAlice.every(({ who, result }) => who === "user:alice" && result !== "ok"));
      t.same(await audit("--since", new Date(Date.now() + 60_000).toISOString()), []);
      t.match(await cli("audit", "--who", "key:pump"), /when .*result .*\n.*key:pump +127\.0\.0\.1/s);
    }
    await millrace.stop();

    const logs = millrace
      .output()
      .split("\n")
      .filter((line) => line.startsWith("{"));
    t.ok(logs.length > 0, `${logs.length} lines were logged`);
    const files = readdirSync(dataDir, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".log"));
    const text = [
      ...logs,
      ...files.map((path) => readFileSync(join(dataDir, path), "latin1")),
      JSON.stringify(all),
    ].join("\n");
    const signatures = [alice, forged].flatMap((jwt) => jwt.split(".").slice(1));
    for (const secret of [...credentials, ...signatures, SECRET, WEBHOOK_SECRET, signature])
      t.notOk(text.includes(secret), `${secret.slice(0, 6)}… is not in ${text.length} characters of logs and audit`);
  });
}

t.test("passwords in addresses are not shown when nobody answers there", async (t) => {
  const dataDir = temporaryDir("passwords");
  const at = (protocol: string) => `${protocol}://user:hunter2@127.0.0.1:1`;
  const env = { ...process.env, NATS_URL: at("nats"), CLICKHOUSE_URL: at("http"), MQTT_URL: at("mqtt") };
  for (const command of [["up", "--no-replay"], ["doctor"]]) {
    const args = [MAIN, ...command, "--port", "0", "--mqtt-port", "0", "--data-dir", dataDir];
    const { stdout, stderr } = await run(process.execPath, args, { env }).catch((error) => error);
    t.match(stdout + stderr, /127\.0\.0\.1:1/, `${command[0]}: the address`);
    t.notMatch(stdout + stderr, /hunter2/, `${command[0]}: without the password`);
  }
});

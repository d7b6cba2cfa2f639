// Who gets in and what they may read, on both transports: tokens of every wrong kind, keys that rotate, roles and channels, revocation.
import t from "tap";
import { createCredential, revokeCredential } from "../../src/ws/index.js";
import { memoryRegisters } from "../support/memory-registers.js";
import { ask, KEY, startGateway } from "./access/gateway.js";
import { AUDIENCE, ISSUER, issuer, pair, SECRET, token, unsigned } from "./access/keys.js";
import { raw, TRANSPORTS } from "./support.js";

const secret = new TextEncoder().encode(SECRET);
const shared = { secret: SECRET, issuer: ISSUER, audience: AUDIENCE };
const alerts = { op: "subscribe", id: 1, channel: "alerts" };
const ADMIN = { sub: "x", exp: 9_999_999_999, roles: ["admin"], iss: ISSUER, aud: AUDIENCE };

for (const transport of TRANSPORTS) {
  t.test(`${transport}: tokens that count and tokens that do not, over HTTP and WebSocket`, async (t) => {
    const rsa = await pair("RS256");
    const { call, socket } = await startGateway(t, { transport, tokens: shared });
    const withKey = await startGateway(t, {
      transport,
      tokens: { publicKey: rsa.pem, issuer: ISSUER, audience: AUDIENCE },
    });
    const good = await token(secret);
    const [header = "", , signature = ""] = good.split(".");
    const claims = unsigned({}, ADMIN).split(".")[1];
    const bad: [name: string, credential: string, gateway?: typeof withKey][] = [
      ["expired", await token(secret, { expiresS: -60 })],
      ["without an end", await token(secret, { expiresS: null })],
      ["another secret", await token(new TextEncoder().encode(`${SECRET}!`))],
      ["forged claims under a real signature", `${header}.${claims}.${signature}`],
      ["none", unsigned({ alg: "none" }, ADMIN)],
      ["none, with a signature", unsigned({ alg: "none" }, ADMIN, "AAAA")],
      ["another audience", await token(secret, { claims: { aud: "payroll" } })],
      ["another issuer", await token(secret, { claims: { iss: "https://evil.example" } })],
      ["HS256 signed with the public key", await token(new TextEncoder().encode(rsa.pem), { alg: "HS256" }), withKey],
      ["RS256 for a gateway with a secret", await token(rsa.privateKey, { alg: "RS256" })],
      ["an embedded key", unsigned({ alg: "RS256", jwk: rsa.jwk }, ADMIN, "AAAA"), withKey],
      [
        "a key to be fetched from elsewhere",
        unsigned({ alg: "RS256", jku: "http://127.0.0.1:1/" }, ADMIN, "AA"),
        withKey,
      ],
      ["no token", "x"],
      ["empty", ""],
    ];
    for (const [name, credential, gateway = { call, socket }] of bad) {
      const { status, text, headers } = await gateway.call("/api/v1/alerts", { credential });
      t.equal(status, 401, name);
      t.match(JSON.parse(text), { status: 401, code: "MR_UNAUTHORIZED" }, `${name}: a problem`);
      t.match(headers.get("content-type"), "application/problem+json");
      t.match(headers.get("www-authenticate"), /^Bearer/);
      await t.rejects(gateway.socket(credential), { message: "401" }, `${name}: WebSocket`);
    }
    t.equal((await call("/api/v1/alerts", { credential: good })).status, 200);
    const asHeader = await withKey.call("/api/v1/alerts", {
      credential: await token(rsa.privateKey, { alg: "RS256" }),
    });
    t.equal(asHeader.status, 200);
    const c = await socket(good);
    t.match(await ask(c, alerts), { op: "subscribed" });
    t.equal(
      (await call("/api/v1/query", { method: "POST", credential: good, body: '{"sql":"SELECT 1"}' })).status,
      403,
    );
    c.ws.terminate();
  });

  t.test(`${transport}: keys rotate under open connections; a token is refreshed without reconnecting`, async (t) => {
    const { state, close } = await issuer();
    t.teardown(close);
    const [first, second] = [await pair("ES256"), await pair("ES256")];
    state.keys = [{ ...first.jwk, kid: "1" }];
    let aheadMs = 0;
    const nowMs = () => Date.now() + aheadMs;
    const tokens = { jwksUrl: `${state.url}/jwks`, issuer: ISSUER, audience: AUDIENCE, keyCooldownMs: 0, nowMs };
    const { socket, call } = await startGateway(t, { transport, tokens });
    const old = await token(first.privateKey, { alg: "ES256", kid: "1" });
    const [c, control] = [await socket(old), await socket(old)];
    t.match(await ask(c, alerts), { op: "subscribed" });

    state.keys = [{ ...second.jwk, kid: "2" }];
    const fresh = (wishes: object) => token(second.privateKey, { alg: "ES256", kid: "2", ...wishes });
    const refresh = async (id: number, wishes: object) => ask(c, { op: "refresh", id, token: await fresh(wishes) });
    t.match(await refresh(2, { sub: "mallory" }), { op: "error", code: "unauthorized" }, "another user's token");
    t.match(await refresh(3, { expiresS: -60 }), { op: "error", code: "unauthorized" }, "an expired one");
    t.match(await refresh(4, { expiresS: 3_600 }), { op: "refreshed" }, "a fresh one, signed by the new key");
    aheadMs = 700_000;
    t.match(await control.closed, { code: 3005 }, "a connection ends with its token");
    t.match(await ask(c, { op: "ping", id: 5 }), { op: "pong" }, "the refreshed one outlives the first token");
    const forgotten = await token(first.privateKey, { alg: "ES256", kid: "1", sub: "bob", expiresS: 3_600 });
    await t.rejects(socket(forgotten), { message: "401" }, "the withdrawn key signs no more");
    state.status = 500;
    const unknown = await token(first.privateKey, { alg: "ES256", kid: "3", expiresS: 3_600 });
    t.equal(
      (await call("/api/v1/alerts", { credential: unknown })).status,
      503,
      "the issuer is away: not a wrong token",
    );
    c.ws.terminate();
  });

  t.test(`${transport}: channels by role, by subject and by token`, async (t) => {
    const channelRules = [
      { channel: "alerts.mine", role: "manager" as const },
      { channel: "alerts.github", role: "viewer" as const, subjects: ["user:ann"] },
    ];
    const { socket, call } = await startGateway(t, { transport, tokens: shared, channelRules });
    const table: [role: string, sub: string, channels: string[] | undefined, channel: string, allowed: boolean][] = [
      ["viewer", "bob", undefined, "alerts", true],
      ["operator", "bob", undefined, "alerts.mine", false],
      ["manager", "bob", undefined, "alerts.mine", true],
      ["viewer", "bob", undefined, "alerts.github", false],
      ["viewer", "ann", undefined, "alerts.github", true],
      ["admin", "bob", undefined, "alerts.github", true],
      ["admin", "bob", ["stats"], "alerts", false],
      ["admin", "bob", ["stats"], "stats", true],
    ];
    for (const [role, sub, channels, channel, allowed] of table) {
      const claims = { roles: [role], ...(channels ? { channels } : {}) };
      const c = await socket(await token(secret, { sub, claims }));
      const answer = await ask(c, { op: "subscribe", id: 1, channel });
      t.match(answer, allowed ? { op: "subscribed" } : { op: "error", code: "forbidden" }, `${role} ${sub} ${channel}`);
      c.ws.terminate();
    }
    const narrow = await token(secret, { claims: { roles: ["admin"], channels: ["stats"] } });
    t.equal((await call("/api/v1/alerts", { credential: narrow })).status, 403, "nor over HTTP");
    const sql = { method: "POST", body: '{"sql":"SELECT 1"}' };
    t.equal(
      (await call("/api/v1/query", { ...sql, credential: narrow })).status,
      403,
      "nor by SQL, which knows no channels",
    );
    const demoted = await socket(await token(secret, { claims: { roles: ["manager"] } }));
    t.match(await ask(demoted, { op: "subscribe", id: 1, channel: "alerts.mine" }), { op: "subscribed" });
    demoted.send({ op: "refresh", id: 2, token: await token(secret, { claims: { roles: ["viewer"] } }) });
    t.match(await demoted.closed, { code: 3507 }, "a refresh that takes a role away takes its channels too");
  });

  t.test(`${transport}: display tokens and API keys`, async (t) => {
    const registers = memoryRegisters();
    const make = (kind: "display" | "ingest", channels: string[] | null = null) =>
      createCredential(registers, { kind, name: `${kind}-1`, expiresAtMs: null, channels }, Date.now());
    const [wall, key] = [await make("display", ["alerts"]), await make("ingest")];
    const door = {
      method: "POST",
      path: "/api/v1/telemetry",
      access: "key",
      needs: "ingest",
      maxBodyBytes: 100,
      handle: async () => ({ status: 202 }),
    } as const;
    const { socket, call } = await startGateway(t, { transport, registers, routes: [door] });
    const post = (path: string, credential: string) => call(path, { method: "POST", credential, body: "{}" });
    t.equal((await post("/api/v1/telemetry", key)).status, 202, "a key writes readings");
    t.equal((await post("/api/v1/telemetry", wall)).status, 403, "a wall does not");
    for (const path of ["/api/v1/query", "/api/v1/commands"])
      for (const credential of [key, wall]) t.equal((await post(path, credential)).status, 403, path);
    t.equal((await call("/api/v1/alerts", { credential: key })).status, 403, "a key reads nothing");
    t.equal((await call("/api/v1/alerts", { credential: wall })).status, 200);
    const keyed = await socket(key);
    t.match(await ask(keyed, alerts), { code: "forbidden" }, "not by WebSocket either");
    keyed.ws.terminate();
    const c = await socket(wall);
    t.match(await ask(c, alerts), { op: "subscribed" });
    t.match(await ask(c, { op: "subscribe", id: 2, channel: "stats" }), { code: "forbidden" });

    await revokeCredential(registers, { kind: "display", which: "display-1" }, Date.now());
    t.match(await c.closed, { code: 3500 }, "revoked: its open connections end");
    await t.rejects(socket(wall), { message: "401" });
    t.equal((await call("/api/v1/alerts", { credential: wall })).status, 401);
    t.equal((await call("/api/v1/alerts", { credential: KEY })).status, 200, "the local key is not touched");
  });

  t.test(`${transport}: what is open on loopback is open to this machine`, async (t) => {
    const { gateway, call } = await startGateway(t, { transport });
    const get = (path: string, header: string) =>
      raw(gateway.port, `GET ${path} HTTP/1.1\r\n${header}\r\nConnection: close\r\n\r\n`);
    for (const path of ["/metrics", "/api/v1/stats", "/readyz", "/openapi.json"]) {
      t.match(await get(path, "Host: localhost"), /^HTTP\/1\.1 200/, path);
      t.match(await get(path, "Host: rebound.evil.example"), /^HTTP\/1\.1 401/, `${path}: a name led to loopback`);
      const proxied = "Host: localhost\r\nX-Forwarded-For: 203.0.113.7";
      t.match(await get(path, proxied), /^HTTP\/1\.1 401/, `${path}: handed on by a proxy`);
      t.equal((await call(path, { credential: KEY, headers: { "x-forwarded-for": "203.0.113.7" } })).status, 200);
    }
    t.match(await get("/livez", "Host: rebound.evil.example"), /^HTTP\/1\.1 200/);
  });

  t.test(`${transport}: pages of other sites`, async (t) => {
    const { socket } = await startGateway(t, { transport, allowedOrigins: ["https://wall.example"] });
    for (const origin of ["https://evil.example", "null", "http://wall.example", "https://wall.example.evil.example"])
      await t.rejects(socket(KEY, { origin }), { message: "403" }, origin);
    const c = await socket(KEY, { origin: "https://wall.example" });
    c.ws.terminate();
  });
}

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { type HttpRoute, MillraceError, type Stats } from "../../src/core/index.js";
import { createLogger } from "../../src/core/logger.js";
import { CHANNELS } from "../../src/pipelines/channels.js";
import { connectLog, streamSpecs } from "../../src/streams/index.js";
import { createCredential } from "../../src/ws/access/stored.js";
import { createGateway, type Gateway, type GatewayOptions } from "../../src/ws/index.js";
import { memoryLog } from "../support/memory-log.js";
import { memoryRegisters } from "../support/memory-registers.js";
import { startNats } from "../support/nats.js";
import { SECRET, token } from "./access/keys.js";
import { client, ready, TRANSPORTS } from "./support.js";

const KEY = "0123456789abcdef0123456789abcdef";
const logger = createLogger("silent");
const nobody = { received: 0, stored: 0, duplicates: 0, deadLettered: 0 };
const stats: Stats = {
  github: { ...nobody, received: 7 },
  telemetry: nobody,
  features: { stored: 0 },
  anomalies: { stored: 0 },
  alerts: { stored: 1 },
  plans: { stored: 0 },
  late: 0,
  replay: { done: false, sent: 0, total: 0, clock: null },
  uptimeS: 1,
};
const echo: HttpRoute = {
  method: "POST",
  path: "/hooks/github",
  access: "own",
  maxBodyBytes: 1_000,
  handle: async (request) => ({ status: 202, body: request.body }),
};

type Extra = Partial<GatewayOptions>;
type Scope = { teardown(work: () => unknown): void };

async function start(t: Scope, extra: Extra = {}): Promise<Gateway> {
  const gateway = await createGateway({
    channels: CHANNELS,
    log: memoryLog(),
    routes: [echo],
    host: "127.0.0.1",
    port: 0,
    localKey: KEY,
    logger,
    stats: () => stats,
    readiness: () => [],
    query: async (sql) => ({ columns: ["sql", "n"], rows: [[sql, 1]], truncated: false, elapsedMs: 0.5 }),
    ...extra,
  });
  t.teardown(() => gateway.close());
  return gateway;
}

const bearer = { authorization: `Bearer ${KEY}` };

for (const transport of TRANSPORTS) {
  t.test(`${transport}: the API`, async (t) => {
    let reasons: string[] = [];
    const answers: Record<string, () => never> = {
      INSERT: () => {
        throw new MillraceError("MR_QUERY_REFUSED", "only SELECT is offered here");
      },
      SELEC: () => {
        throw new MillraceError("MR_REQUEST_INVALID", "syntax error at SELEC");
      },
      CRASH: () => {
        throw new Error("password=hunter2");
      },
    };
    const rows = [
      [1, 'say "hi"', null],
      [2, "a,b\nc", [1, 2]],
    ];
    const gateway = await start(t, {
      transport,
      readiness: () => reasons,
      query: async (sql) => answers[sql]?.() ?? { columns: ["n", "text", "x"], rows, truncated: true, elapsedMs: 1 },
      collect: async () => [
        {
          name: "millrace_events_total",
          help: "Events",
          type: "counter",
          samples: [{ labels: { stream: 'a"b' }, value: 3 }, { value: 4 }],
        },
      ],
    });
    t.equal(gateway.transport, transport);
    const ask = async (path: string, init: RequestInit = {}) => {
      const response = await fetch(gateway.url + path, init);
      const text = await response.text();
      return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) };
    };
    const query = (body: string, type = "application/json") =>
      ask("/api/v1/query", { method: "POST", body, headers: { ...bearer, "content-type": type } });

    t.match(await ask("/healthz"), { status: 200, text: '{"status":"alive"}' });
    t.match(await ask("/readyz"), { status: 200, text: '{"ready":true,"reasons":[],"waits":[]}' });
    reasons = ["clickhouse: starting"];
    t.match(await ask("/readyz"), {
      status: 503,
      text: '{"ready":false,"reasons":["clickhouse: starting"],"waits":[]}',
    });
    t.equal((await ask("/healthz")).status, 200, "alive all the same");
    t.same((await ask("/api/v1/stats")).json(), stats);
    t.match(await ask("/hooks/github", { method: "POST", body: "raw" }), { status: 202, text: "raw" }, "a door");
    t.equal((await ask("/hooks/github", { method: "POST", body: "x".repeat(1_001) })).status, 413);

    t.same((await query('{"sql":"SELECT"}')).json(), {
      columns: ["n", "text", "x"],
      rows,
      truncated: true,
      elapsedMs: 1,
    });
    t.equal((await query("SELECT", "text/plain; charset=utf-8")).status, 200);
    const csv = await query('{"sql":"SELECT","format":"csv"}');
    t.equal(csv.text, 'n,text,x\r\n1,"say ""hi""",\r\n2,"a,b\nc","[1,2]"\r\n');
    t.equal(csv.headers.get("millrace-truncated"), "true");
    const refused: [name: string, body: string, type: string, status: number, code: string | null, detail: RegExp][] = [
      ["a write", '{"sql":"INSERT"}', "application/json", 403, "MR_QUERY_REFUSED", /only SELECT/],
      ["a write as plain text", "INSERT", "text/plain", 403, "MR_QUERY_REFUSED", /only SELECT/],
      ["a mistake", '{"sql":"SELEC"}', "application/json", 400, "MR_REQUEST_INVALID", /syntax/],
      ["no JSON", "SELECT 1", "application/json", 400, "MR_REQUEST_INVALID", /text\/plain/],
      ["null", "null", "application/json", 400, "MR_REQUEST_INVALID", /must be {"sql"/],
      ["no sql", '{"query":"SELECT 1"}', "application/json", 400, "MR_REQUEST_INVALID", /sql must be/],
      ["empty", " \n", "text/plain", 400, "MR_REQUEST_INVALID", /empty/],
      ["unknown format", '{"sql":"SELECT","format":"xml"}', "application/json", 400, "MR_REQUEST_INVALID", /format/],
      ["a failure of ours", '{"sql":"CRASH"}', "application/json", 500, null, /^((?!hunter2).)*$/],
      ["too long", `{"sql":"${"x".repeat(65_536)}"}`, "application/json", 413, "MR_TOO_LARGE", /65536/],
    ];
    for (const [name, body, type, status, code, detail] of refused) {
      const answer = await query(body, type);
      t.equal(answer.status, status, name);
      t.match(answer.json(), { status, code, detail }, `${name}: problem`);
    }
    t.equal((await ask("/api/v1/query", { method: "POST", body: "SELECT" })).status, 401, "without the key");

    const c = await client(`${gateway.url.replace("http", "ws")}/ws?key=${KEY}`);
    c.send({ op: "subscribe", id: 1, channel: "stats" });
    t.match(await c.next(), { op: "subscribed", history: false });
    t.same((await c.next()).data, stats);
    const { text, headers } = await ask("/metrics");
    t.match(headers.get("content-type"), /^text\/plain; version=0\.0\.4/);
    for (const line of [
      /^millrace_ws_connections 1$/m,
      /^millrace_ws_connections_total 1$/m,
      /^millrace_ws_subscriptions\{channel="stats"\} 1$/m,
      /^millrace_ws_frames_total\{channel="stats"\} 1$/m,
      /^millrace_http_requests_total\{route="\/api\/v1\/query",status="403"\} 2$/m,
      /^millrace_process_rss_bytes \d{7,}$/m,
      /^millrace_event_loop_lag_seconds\{quantile="0.99"\} [\d.e-]+$/m,
      /^# TYPE millrace_events_total counter$/m,
      /^millrace_events_total\{stream="a\\"b"\} 3$/m,
      /^millrace_events_total 4$/m,
    ]) {
      t.match(text, line);
    }
    t.equal(await (await fetch(`${gateway.url}/metrics`, { method: "HEAD" })).text(), "");
    c.ws.close();
    await c.closed;
  });

  t.test(`${transport}: the page`, async (t) => {
    const staticDir = await mkdtemp(join(tmpdir(), "millrace-page-"));
    t.teardown(() => rm(staticDir, { recursive: true }));
    await writeFile(join(staticDir, "index.html"), "<title>Millrace</title>");
    const gateway = await start(t, { transport, staticDir });
    const response = await fetch(`${gateway.url}/?key=${KEY}`);
    t.equal(await response.text(), "<title>Millrace</title>");
    t.match(response.headers.get("content-security-policy"), /^default-src 'self'.*frame-ancestors 'none'/);
    t.equal(response.headers.get("x-content-type-options"), "nosniff");
    t.equal(response.headers.get("cache-control"), "no-cache");
    await t.rejects(start(t, { transport, staticDir: join(staticDir, "missing") }), { code: "MR_OPTION_INVALID" });
    await t.rejects(start(t, { transport, localKey: "short" }), { code: "MR_OPTION_INVALID" });
  });

  t.test(`${transport}: beyond loopback everything but health, the page's files and doors takes a token`, async (t) => {
    const staticDir = await mkdtemp(join(tmpdir(), "millrace-page-"));
    t.teardown(() => rm(staticDir, { recursive: true }));
    await writeFile(join(staticDir, "index.html"), "page");
    const beyond = { transport, staticDir, host: "0.0.0.0" };
    await t.rejects(start(t, beyond), {
      code: "MR_OPTION_INVALID",
      message: /0\.0\.0\.0.*MILLRACE_JWT_SECRET.*key create/,
    });
    const gateway = await start(t, { ...beyond, tokens: { secret: SECRET } });
    const outside = Object.values(networkInterfaces())
      .flat()
      .find((one) => one?.family === "IPv4" && !one.internal)?.address;
    const local = `http://127.0.0.1:${gateway.port}`;
    const base = outside === undefined ? local : `http://${outside}:${gateway.port}`;
    const viewer = { authorization: `Bearer ${await token(new TextEncoder().encode(SECRET))}` };
    for (const path of ["/readyz", "/metrics", "/api/v1/stats"]) {
      t.equal((await fetch(base + path)).status, 401, path);
      t.equal((await fetch(base + path, { headers: viewer })).status, 200, `${path} with a token`);
      t.equal(
        (await fetch(local + path, { headers: bearer })).status,
        200,
        `${path} with the local key, on this machine`,
      );
      if (outside) t.equal((await fetch(base + path, { headers: bearer })).status, 401, `${path}: not from elsewhere`);
    }
    for (const path of ["/healthz", "/livez", "/"]) t.equal((await fetch(base + path)).status, 200, path);
    t.equal((await fetch(`${base}/hooks/github`, { method: "POST" })).status, 202, "a door checks by itself");

    const registers = memoryRegisters();
    await createCredential(registers, { kind: "display", name: "w", expiresAtMs: null, channels: null }, Date.now());
    await t.resolves(start(t, { ...beyond, registers }), "a display token is something beside the local key");
  });

  t.test(`${transport}: on a real log`, async (t) => {
    const nats = await startNats();
    t.teardown(() => nats.stop());
    const writer = await connectLog({ url: nats.url, name: "test-writer", timeoutMs: 1_000 });
    const reader = await connectLog({ url: nats.url, name: "test-gateway" });
    t.teardown(() => Promise.all([writer.close(), reader.close()]));
    for (const spec of streamSpecs(2)) {
      if (spec.name === "alerts" || spec.name === "plans") await writer.log.ensureStream(spec);
    }
    const { incarnation } = await writer.log.info("alerts");
    let at = 0;
    let n = 0;
    /** As a task does it: outputs and the marker, in one batch. */
    const batch = async (count: number) => {
      const messages = Array.from({ length: count }, () => ({
        subject: `alerts.${n % 2}.mine`,
        data: Buffer.from(JSON.stringify({ id: `x/y/0/${n}/0`, n: ++n })),
      }));
      const marker = { sequence: n, index: 0 };
      at = (await writer.log.writeBatch({ stream: "alerts", task: "mine%2F0", messages, marker, expectedAt: at }))
        .storedAt;
    };
    await batch(3);
    const gateway = await start(t, { transport, log: reader.log });
    const url = `${gateway.url.replace("http", "ws")}/ws?key=${KEY}`;
    const live = await client(url);
    const subscribed = await ready(live, { op: "subscribe", id: 1, channel: "alerts" });
    t.same(
      subscribed,
      { op: "subscribed", id: 1, channel: "alerts", epoch: incarnation, offset: 4 },
      "epoch and offset are the log's",
    );
    await batch(2);
    t.match(await live.next(), { op: "event", channel: "alerts", offset: 5, prev: 4, data: { n: 4 } });
    t.match(await live.next(), { op: "event", offset: 6, prev: 5, data: { n: 5 } });

    const back = await client(url);
    back.send({ op: "subscribe", id: 2, channel: "alerts", since: 2, epoch: incarnation });
    t.match(await back.next(), { op: "subscribed", offset: 2, recovered: true });
    await batch(2);
    t.same(
      await offsets(back, 5),
      [
        [3, 2, 3],
        [5, 3, 4],
        [6, 5, 5],
        [8, 6, 6],
        [9, 8, 7],
      ],
      "the past, then live, chained",
    );
    t.same(await offsets(live, 2), [
      [8, 6, 6],
      [9, 8, 7],
    ]);

    await t.test("the log goes away and comes back: nothing is missed", { timeout: 60_000 }, async (t) => {
      await nats.kill();
      await nats.start();
      const written = async (): Promise<void> =>
        batch(1).catch(async () => {
          n--;
          await new Promise((resolve) => setTimeout(resolve, 100));
          at = (await writer.log.readMarker("alerts", "mine%2F0").catch(() => undefined))?.storedAt ?? at;
          await written();
        });
      await written();
      const [got] = await offsets(live, 1);
      t.equal(got?.[1], 9, "chained to what was seen before");
      back.send({ op: "ping", id: 5 });
      t.match(await back.until(({ op }) => op === "pong"), { id: 5 });
    });
    for (const c of [live, back]) c.ws.close();
    await Promise.all([live.closed, back.closed]);
  });

  t.test(
    `${transport}: a client that stops reading costs a bounded amount, and the rest go on`,
    { timeout: 60_000 },
    async (t) => {
      const log = memoryLog();
      await log.ensureStream({ name: "alerts", subjects: ["alerts.>"], maxBytes: 1 });
      await log.ensureStream({ name: "plans", subjects: ["plans.>"], maxBytes: 1 });
      const gateway = await start(t, { transport, log, limits: { maxBufferedBytes: 200_000 } });
      const url = `${gateway.url.replace("http", "ws")}/ws?key=${KEY}`;
      const [slow, good] = [await client(url), await client(url)];
      for (const c of [slow, good]) await ready(c, { op: "subscribe", id: 1, channel: "alerts" });
      slow.ws.pause();
      const body = Buffer.from(JSON.stringify({ text: "x".repeat(20_000) }));
      let sent = 0;
      while (!(await gateway.metrics()).includes('millrace_ws_closed_total{reason="slow"} 1') && sent < 5_000) {
        for (let i = 0; i < 20; i++, sent++) await log.publish({ subject: "alerts.0.mine", data: body });
        await good.until(({ offset }) => offset === sent);
      }
      t.ok(sent < 5_000, `closed after ${sent} frames of 20 kB`);
      slow.ws.resume();
      t.match(await slow.closed, { code: 3008, reason: /since/ });
      const last = Math.max(...slow.log.map((text) => JSON.parse(text).offset));
      const again = await client(url);
      again.send({ op: "subscribe", id: 1, channel: "alerts", since: last });
      t.match(await again.next(), { op: "subscribed", offset: last, recovered: true });
      await log.publish({ subject: "alerts.0.mine", data: body });
      let seen = last;
      while (seen < sent + 1) {
        const frame = await again.next();
        if (frame.prev !== seen) t.fail(`a gap at ${seen}`);
        seen = frame.offset as number;
      }
      t.equal(seen, sent + 1, "the rest came on the second connection");
    },
  );

  t.test(`${transport}: close in bounded time, with advice`, async (t) => {
    const gateway = await start(t, { transport });
    const url = `${gateway.url.replace("http", "ws")}/ws?key=${KEY}`;
    const [a, deaf] = [await client(url), await client(url)];
    deaf.ws.pause();
    const fromMs = performance.now();
    await gateway.close();
    const tookMs = performance.now() - fromMs;
    t.ok(tookMs < 20_000, `${tookMs} ms: 1.6 s on a quiet machine, and never as long as the deaf client likes`);
    t.match(await a.closed, { code: 1001, reason: /reconnect/ });
    await gateway.close();
    deaf.ws.terminate();
  });
}

async function offsets(c: Awaited<ReturnType<typeof client>>, count: number): Promise<unknown[][]> {
  const seen: unknown[][] = [];
  while (seen.length < count) {
    const frame = await c.next();
    if (frame.op === "event") seen.push([frame.offset, frame.prev, (frame.data as { n: number }).n]);
  }
  return seen;
}

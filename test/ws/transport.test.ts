import { once } from "node:events";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { type HttpRoute, jsonReply, MillraceError } from "../../src/core/index.js";
import { createLogger } from "../../src/core/logger.js";
import { isOriginAllowed, keyCheck } from "../../src/ws/auth.js";
import { createHttpApp, unauthorized } from "../../src/ws/http-app.js";
import { problem } from "../../src/ws/problem.js";
import { loadStatic } from "../../src/ws/static.js";
import { createServer, type Server, type WsEndpoint, type WsSocket } from "../../src/ws/transport.js";
import { client, raw, TRANSPORTS } from "./support.js";

const KEY = "a-local-key";
const LIMIT = 100_000;
const logger = createLogger("silent");

const gate: { open?: () => void } = {};
const routes: HttpRoute[] = [
  route("GET", "/hello", async (request) => ({
    status: 200,
    type: "text/plain",
    headers: { "x-name": request.query.get("name") ?? "nobody" },
    body: "hello\n",
  })),
  route("POST", "/size", async (request) =>
    jsonReply(200, { size: request.body.length, first: request.body[0] ?? null }),
  ),
  route("POST", "/echo", async (request) => ({
    status: 200,
    type: request.header("content-type") ?? "",
    body: request.body,
  })),
  route("GET", "/late", async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return { status: 204 };
  }),
  route("GET", "/gate", async () => {
    await new Promise<void>((resolve) => (gate.open = resolve));
    return { status: 200, body: "opened" };
  }),
  route("GET", "/stuck", () => new Promise(() => {})),
  route("GET", "/throws", async () => {
    throw new Error("a secret detail");
  }),
  route("GET", "/full", async () => {
    throw new MillraceError("MR_LOG_FULL", "stream telemetry is full");
  }),
  route("GET", "/big", async () => ({ status: 200, body: Buffer.alloc(3 << 20, "b") })),
  { ...route("GET", "/mine", async () => ({ status: 200, body: "yours" })), access: "key" },
  { ...route("POST", "/keyed", async () => ({ status: 200 })), access: "key" },
];

function route(method: "GET" | "POST", path: string, handle: HttpRoute["handle"]): HttpRoute {
  return { method, path, access: "open", maxBodyBytes: method === "POST" ? LIMIT : 0, handle };
}

const sockets: { last?: WsSocket; closes: number[] } = { closes: [] };
const endpoint: WsEndpoint = {
  path: "/ws",
  maxMessageBytes: 1_000,
  maxBufferedBytes: 1 << 20,
  refuse(head) {
    if (!isOriginAllowed(head, ["https://wall.example"])) return problem(403, "origin");
    return keyCheck(KEY)(head) ? undefined : unauthorized();
  },
  open(socket) {
    sockets.last = socket;
    return {
      message(text) {
        socket.cork(() => {
          socket.send(Buffer.from(JSON.stringify({ length: text.length, text: text.slice(0, 20) })));
          socket.send(Buffer.from('{"second":true}'));
        });
      },
      drain() {},
      close: (code) => sockets.closes.push(code),
    };
  },
};

async function start(transport: "uws" | "node", directory: string, limits = {}): Promise<Server> {
  const app = createHttpApp({
    routes,
    files: await loadStatic(directory),
    wsPaths: ["/ws"],
    hasKey: keyCheck(KEY),
    loopback: true,
    handlerMs: 300,
    logger,
  });
  return createServer({ transport, host: "127.0.0.1", port: 0, app, endpoints: [endpoint], limits, logger });
}

async function page(t: { teardown(work: () => unknown): void }): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "millrace-page-"));
  t.teardown(() => rm(directory, { recursive: true }));
  await mkdir(join(directory, "assets"));
  await writeFile(join(directory, "index.html"), "<!doctype html><title>Millrace</title>");
  await writeFile(join(directory, "assets/main.js"), "export {};");
  await writeFile(join(directory, ".secret.txt"), "hidden");
  await symlink("/etc/hostname", join(directory, "link.txt"));
  return directory;
}

for (const transport of TRANSPORTS) {
  t.test(`${transport}: requests`, async (t) => {
    const server = await start(transport, await page(t));
    t.teardown(() => server.close(0));
    t.equal(server.transport, transport);
    const base = `http://127.0.0.1:${server.port}`;
    const post = (body: string, headers: Record<string, string> = {}) => ({ method: "POST", body, headers });
    const big = "x".repeat(LIMIT + 1);

    const table: {
      name: string;
      path: string;
      init?: RequestInit;
      status: number;
      body?: RegExp;
      headers?: Record<string, RegExp>;
    }[] = [
      {
        name: "a route",
        path: "/hello?name=J%20D",
        status: 200,
        body: /^hello\n$/,
        headers: { "x-name": /^J D$/, "content-type": /plain/ },
      },
      {
        name: "nosniff and no-store by default",
        path: "/hello",
        status: 200,
        headers: { "x-content-type-options": /nosniff/, "cache-control": /no-store/ },
      },
      {
        name: "HEAD",
        path: "/hello",
        init: { method: "HEAD" },
        status: 200,
        body: /^$/,
        headers: { "content-length": /^6$/ },
      },
      {
        name: "a body",
        path: "/echo",
        init: post("ünï", { "content-type": "text/x" }),
        status: 200,
        body: /^ünï$/,
        headers: { "content-type": /text\/x/ },
      },
      { name: "an empty body", path: "/size", init: { method: "POST" }, status: 200, body: /"size":0/ },
      { name: "a body at the limit", path: "/size", init: post("x".repeat(LIMIT)), status: 200, body: /"size":100000/ },
      { name: "an answer after an await, without content", path: "/late", status: 204, body: /^$/ },
      { name: "a large answer", path: "/big", status: 200, body: /^b{3145728}$/ },
      {
        name: "unknown path",
        path: "/nothing",
        status: 404,
        body: /"title":"There is nothing here".*no route for \/nothing/,
        headers: { "content-type": /problem\+json/ },
      },
      {
        name: "unknown method",
        path: "/hello",
        init: { method: "DELETE" },
        status: 405,
        body: /offered here: GET, HEAD/,
        headers: { allow: /GET, HEAD/ },
      },
      { name: "GET where POST is", path: "/size", status: 405, headers: { allow: /^POST$/ } },
      { name: "POST to a file", path: "/assets/main.js", init: post("x"), status: 405 },
      { name: "declared too long", path: "/size", init: post(big), status: 413, body: /MR_TOO_LARGE/ },
      {
        name: "a body where none is wanted",
        path: "/keyed",
        init: { ...post(big), headers: { authorization: `Bearer ${KEY}` } },
        status: 413,
      },
      {
        name: "no key",
        path: "/mine",
        status: 401,
        body: /MR_UNAUTHORIZED/,
        headers: { "www-authenticate": /^Bearer/ },
      },
      { name: "wrong key", path: "/mine?key=other", status: 401 },
      { name: "key in the query", path: `/mine?key=${KEY}`, status: 200, body: /yours/ },
      { name: "key in the header", path: "/mine", init: { headers: { authorization: `bearer ${KEY}` } }, status: 200 },
      {
        name: "a wrong header is not saved by the query",
        path: `/mine?key=${KEY}`,
        init: { headers: { authorization: "Bearer no" } },
        status: 401,
      },
      { name: "no key, and a body that is never read", path: "/keyed", init: post("x".repeat(50_000)), status: 401 },
      { name: "a handler that throws keeps its secret", path: "/throws", status: 500, body: /^((?!secret).)*$/ },
      {
        name: "an error of ours keeps its code",
        path: "/full",
        status: 503,
        body: /MR_LOG_FULL/,
        headers: { "retry-after": /1/ },
      },
      { name: "a handler that never answers", path: "/stuck", status: 503, body: /no answer within 300 ms/ },
      {
        name: "the page",
        path: "/",
        status: 200,
        body: /Millrace/,
        headers: {
          "content-type": /html/,
          "content-security-policy": /default-src 'self'/,
          "referrer-policy": /no-referrer/,
        },
      },
      { name: "the page, HEAD", path: "/", init: { method: "HEAD" }, status: 200, body: /^$/ },
      {
        name: "an asset",
        path: "/assets/main.js?v=1",
        status: 200,
        headers: { "content-type": /javascript/, etag: /"/, "cache-control": /no-cache/ },
      },
      { name: "a hidden file", path: "/.secret.txt", status: 404 },
      { name: "a link out", path: "/link.txt", status: 404 },
      { name: "an encoded way out", path: "/assets/%2e%2e%2f%2e%2e%2fetc/passwd", status: 404 },
      { name: "plain request to the WebSocket path", path: "/ws", status: 426, headers: { upgrade: /websocket/ } },
    ];
    for (const { name, path, init, status, body, headers } of table) {
      const response = await fetch(base + path, init);
      const text = await response.text();
      t.equal(response.status, status, name);
      if (body) t.match(text, body, `${name}: body`);
      for (const [header, value] of Object.entries(headers ?? {}))
        t.match(response.headers.get(header), value, `${name}: ${header}`);
      if (status >= 400 && init?.method !== "HEAD") {
        const told = JSON.parse(text);
        t.same(Object.keys(told), ["type", "title", "status", "detail", "code"], `${name}: a problem`);
        t.equal(told.status, status, `${name}: says its status`);
      }
    }
    const first = await fetch(`${base}/assets/main.js`);
    const again = await fetch(`${base}/assets/main.js`, {
      headers: { "if-none-match": first.headers.get("etag") ?? "" },
    });
    t.equal(again.status, 304, "an asset the client still has");

    for (const path of ["/../../etc/passwd", "/assets/../../../etc/passwd", "//etc/passwd", "/assets\\..\\x"]) {
      const answer = await raw(server.port, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      t.match(answer, /^HTTP\/1.1 404 /, `${path} leads nowhere`);
    }
    t.match(
      await raw(server.port, `GET /hello HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(30_000)}\r\n\r\n`),
      /^HTTP\/1.1 431 /,
      "header limit",
    );
    t.match(
      await raw(server.port, "POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 1e3\r\n\r\n", (a) =>
        a.includes("\r\n\r\n"),
      ),
      /^HTTP\/1.1 400 /,
      "a length that is no number",
    );
    t.equal((await fetch(`${base}/hello`)).status, 200, "still serving");
  });

  t.test(`${transport}: connections`, async (t) => {
    const server = await start(transport, await page(t));
    t.teardown(() => server.close(0));

    await t.test("keep-alive: two requests on one connection", async (t) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const ports: unknown[] = [];
      for (const path of ["/hello", "/nothing", "/late"]) {
        const request = httpRequest({ host: "127.0.0.1", port: server.port, path, agent }).end();
        const [response] = (await once(request, "response")) as [IncomingMessage];
        ports.push(response.socket.localPort);
        await once(response.resume(), "end");
      }
      agent.destroy();
      t.equal(new Set(ports).size, 1);
    });

    await t.test("chunked body over the limit: 413, then nothing more is read or kept", async (t) => {
      const total = 1 << 30;
      const chunk = Buffer.from(`10000\r\n${"x".repeat(65_536)}\r\n`);
      const before = process.memoryUsage.rss();
      let peak = before;
      let sent = 0;
      let answer = "";
      const socket = connect({ port: server.port, host: "127.0.0.1", allowHalfOpen: true });
      socket.on("data", (data) => (answer += data.toString()));
      socket.on("error", () => {});
      socket.write("POST /size HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
      const push = () => {
        while (sent < total && socket.writable) {
          sent += 65_536;
          peak = Math.max(peak, process.memoryUsage.rss());
          if (!socket.write(chunk)) return void socket.once("drain", push);
        }
      };
      push();
      await closeOf(socket);
      t.match(answer, /^HTTP\/1.1 413 /);
      t.match(answer, /MR_TOO_LARGE/);
      t.ok(sent < 64 << 20, `cut off after ${sent} of ${total} bytes`);
      t.ok(peak - before < 48 << 20, `RSS grew by ${peak - before}`);
    });

    await t.test("a declared length over the limit is refused before the body, also with Expect", async (t) => {
      for (const extra of ["", "Expect: 100-continue\r\n"]) {
        const answer = await raw(
          server.port,
          `POST /size HTTP/1.1\r\nHost: a\r\n${extra}Content-Length: 1073741824\r\n\r\n`,
        );
        t.match(answer.replace("HTTP/1.1 100 Continue\r\n\r\n", ""), /^HTTP\/1.1 413 /, extra || "plain");
      }
      const small = await raw(
        server.port,
        "POST /size HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
      );
      t.match(small, /100 Continue[\s\S]*200 OK/, "a small one is asked for");
    });

    await t.test("abort in the middle of a body, and while the answer is made", async (t) => {
      const half = connect(server.port, "127.0.0.1");
      half.write("POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf", () => half.destroy());
      await closeOf(half);
      resetGate();
      const waiting = connect(server.port, "127.0.0.1");
      waiting.write("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
      await poll(() => gate.open !== undefined);
      waiting.destroy();
      await closeOf(waiting);
      await poll(() => server.connections() === 0);
      gate.open?.();
      t.equal((await fetch(`http://127.0.0.1:${server.port}/hello`)).status, 200);
    });

    await t.test("the body budget of all connections together", async (t) => {
      const tight = await start(transport, await page(t), { maxBodiesBytes: 60_000 });
      t.teardown(() => tight.close(0));
      const holder = connect(tight.port, "127.0.0.1");
      holder.write(`POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n${"x".repeat(50_000)}`);
      const url = `http://127.0.0.1:${tight.port}/size`;
      await poll(async () => (await fetch(url, { method: "POST", body: "x".repeat(20_000) })).status === 503);
      holder.destroy();
      await poll(async () => (await fetch(url, { method: "POST", body: "x".repeat(20_000) })).status === 200);
      t.pass("refused while full, accepted after");
    });

    await t.test("more connections than allowed are closed", async (t) => {
      const tight = await start(transport, await page(t), { maxConnections: 2 });
      t.teardown(() => tight.close(0));
      const url = `ws://127.0.0.1:${tight.port}/ws?key=${KEY}`;
      const [a, b] = [await client(url), await client(url)];
      const third = connect(tight.port, "127.0.0.1");
      third.on("error", () => {});
      await closeOf(third);
      a.ws.close();
      await a.closed;
      await poll(() => tight.connections() === 1);
      const c = await client(url);
      t.equal(tight.connections(), 2);
      b.ws.terminate();
      c.ws.terminate();
    });

    await t.test("slow senders and silent WebSockets are cut off", { timeout: 60_000 }, async (t) => {
      const wsIdleS = transport === "node" ? 0.5 : 8; // the least uWS takes
      const strict = await start(transport, await page(t), { headMs: 1_000, requestMs: 1_500, wsIdleS });
      t.teardown(() => strict.close(0));
      const drip = async (start: string, drop: string) => {
        const socket = connect(strict.port, "127.0.0.1");
        socket.on("error", () => {});
        socket.write(start);
        const timer = setInterval(() => socket.write(drop), 200);
        const from = Date.now();
        await closeOf(socket.resume());
        clearInterval(timer);
        return Date.now() - from;
      };
      const url = `ws://127.0.0.1:${strict.port}/ws?key=${KEY}`;
      const [silent, healthy] = [await client(url, { autoPong: false }), await client(url)];
      const [head, body] = await Promise.all([
        drip("GET /hello HTTP/1.1\r\n", "X: y\r\n"),
        drip("POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", "x"),
      ]);
      t.ok(head < 20_000 && body < 20_000, `head after ${head} ms, body after ${body} ms`);
      t.equal((await silent.closed).code, 1006, "no pong, no connection");
      healthy.send("{}");
      t.match(await healthy.next(), { length: 2 }, "who answers pings stays");
      healthy.ws.terminate();
    });
  });

  t.test(`${transport}: WebSocket`, async (t) => {
    const server = await start(transport, await page(t));
    t.teardown(() => server.close(0));
    const url = `ws://127.0.0.1:${server.port}/ws`;

    const refused: { name: string; query: string; origin?: string; status: string }[] = [
      { name: "no key", query: "", status: "401" },
      { name: "wrong key", query: "?key=x", status: "401" },
      { name: "another site's page", query: `?key=${KEY}`, origin: "https://evil.example", status: "403" },
      { name: "another port of this host", query: `?key=${KEY}`, origin: "http://127.0.0.1:1", status: "403" },
      { name: "a sandboxed page", query: `?key=${KEY}`, origin: "null", status: "403" },
    ];
    for (const { name, query, origin, status } of refused) {
      await t.rejects(client(url + query, origin === undefined ? {} : { origin }), { message: status }, name);
    }
    for (const origin of [undefined, `http://127.0.0.1:${server.port}`, "https://wall.example"]) {
      const accepted = await client(`${url}?key=${KEY}`, origin === undefined ? {} : { origin });
      accepted.ws.terminate();
    }
    await t.rejects(
      client(`ws://127.0.0.1:${server.port}/hello?key=${KEY}`),
      { message: "200" },
      "a plain route stays plain",
    );
    await t.rejects(client(`ws://127.0.0.1:${server.port}/nothing`), { message: "404" }, "unknown path");

    await t.test("echo, two frames in one cork, ping", async (t) => {
      const c = await client(url, { headers: { authorization: `Bearer ${KEY}` } });
      c.send('"grüße"');
      t.same(await c.next(), { length: 7, text: '"grüße"' });
      t.same(await c.next(), { second: true });
      c.ws.ping("now");
      const [pong] = await once(c.ws, "pong");
      t.equal(pong.toString(), "now");
      c.ws.close(1000);
      t.equal((await c.closed).code, 1000);
    });

    const closing: { name: string; send: (ws: WebSocketLike) => void; codes: number[] }[] = [
      { name: "over the message limit", send: (ws) => ws.send("x".repeat(1_001)), codes: [1009] },
      {
        name: "over it in fragments",
        send: (ws) => [false, true].map((fin) => ws.send("x".repeat(600), { fin })),
        codes: [1009],
      },
      // uWS cuts what is over its own limit (four times ours) without a close frame.
      { name: "far over it", send: (ws) => ws.send("x".repeat(100_000)), codes: [1009, 1006] },
      { name: "binary", send: (ws) => ws.send(Buffer.from("{}")), codes: [1003] },
      {
        name: "not UTF-8",
        send: (ws) => ws.send(Buffer.from([0x22, 0xff, 0x22]), { binary: false }),
        codes: [1007, 1006],
      },
    ];
    for (const { name, send, codes } of closing) {
      const c = await client(`${url}?key=${KEY}`);
      send(c.ws as unknown as WebSocketLike);
      const { code } = await c.closed;
      t.ok(codes.includes(code), `${name}: ${code}`);
    }
    const c = await client(`${url}?key=${KEY}`);
    c.send("x".repeat(1_000));
    t.match(await c.next(), { length: 1_000 }, "at the limit");

    await t.test("closing twice, and using a closed socket", async (t) => {
      sockets.last?.close(3008, "slow");
      sockets.last?.close(3008, "slow");
      sockets.last?.send(Buffer.from("{}"));
      t.same(await c.closed, { code: 3008, reason: "slow" });
      sockets.last?.terminate();
      sockets.last?.cork(() => {});
      t.equal(sockets.last?.bufferedBytes(), 0);
    });

    await t.test(
      "a client that does not read: bytes are seen waiting, and the close frame still comes after them",
      async (t) => {
        const c = await client(`${url}?key=${KEY}`);
        c.ws.pause();
        const socket = sockets.last;
        const frame = Buffer.from(JSON.stringify("x".repeat(65_530)));
        let sent = 0;
        while (socket && socket.bufferedBytes() < 900_000 && sent < 2_000) {
          socket.send(frame);
          sent++;
          await new Promise((resolve) => setImmediate(resolve));
        }
        t.ok((socket?.bufferedBytes() ?? 0) >= 900_000, `${sent} frames until the buffer showed`);
        socket?.close(3008, "slow");
        c.ws.resume();
        t.same(await c.closed, { code: 3008, reason: "slow" });
        t.equal(c.log.length, sent, "nothing sent before is lost");
      },
    );
  });

  t.test(`${transport}: close`, async (t) => {
    const server = await start(transport, await page(t));
    resetGate();
    const answer = fetch(`http://127.0.0.1:${server.port}/gate`);
    await poll(() => gate.open !== undefined);
    const c = await client(`ws://127.0.0.1:${server.port}/ws?key=${KEY}`);
    const closed = server.close(5_000);
    await t.rejects(client(`ws://127.0.0.1:${server.port}/ws?key=${KEY}`), "no new connections meanwhile");
    gate.open?.();
    t.equal(await (await answer).text(), "opened", "a request in flight gets its answer");
    await closed;
    await c.closed;
    await server.close(0);
    await t.rejects(fetch(`http://127.0.0.1:${server.port}/hello`), "nobody listens any more");
    t.equal(server.connections(), 0);
  });

  t.test(`${transport}: a taken port`, async (t) => {
    const directory = await page(t);
    const server = await start(transport, directory);
    t.teardown(() => server.close(0));
    const app = createHttpApp({ routes: [], wsPaths: [], hasKey: () => false, loopback: true, handlerMs: 1, logger });
    for (const other of TRANSPORTS) {
      const second = createServer({
        transport: other,
        host: "127.0.0.1",
        port: server.port,
        app,
        endpoints: [],
        logger,
      });
      await t.rejects(second, { code: "MR_PORT_IN_USE" }, other);
    }
  });
}

t.test("auto takes uWebSockets.js where it loads", async (t) => {
  const loadUws = () => import("../../src/ws/transport-uws.js");
  const app = createHttpApp({ routes, wsPaths: [], hasKey: () => false, loopback: true, handlerMs: 1, logger });
  const options = { host: "127.0.0.1", port: 0, app, endpoints: [], logger, loadUws };
  const expected = await loadUws().then(
    () => "uws",
    () => "node",
  );
  const server = await createServer({ ...options, transport: "auto" });
  t.equal(server.transport, expected);
  await server.close(0);
});

t.test("no binary: one warning and the other transport, or an error when it was asked for by name", async (t) => {
  const warnings: unknown[] = [];
  const counting = Object.assign(createLogger("silent"), { warn: (...line: unknown[]) => warnings.push(line) });
  const app = createHttpApp({ routes, wsPaths: [], hasKey: () => false, loopback: true, handlerMs: 1, logger });
  const loadUws = () => Promise.reject(new Error("no binary"));
  const options = { host: "127.0.0.1", port: 0, app, endpoints: [], logger: counting, loadUws };
  const server = await createServer({ ...options, transport: "auto" });
  t.equal(server.transport, "node");
  t.type((await import("../../src/ws/transport-node.js")).createNodeServer, "function");
  t.equal(warnings.length, 1);
  await server.close(0);
  await t.rejects(createServer({ ...options, transport: "uws" }), { code: "MR_BINARY_MISSING" });
});

function resetGate(): void {
  delete gate.open;
}

/** `once(socket, "close")` would reject on the reset that comes first. */
function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.on("error", () => {}).on("close", () => resolve()));
}

interface WebSocketLike {
  send(data: unknown, options?: object): void;
}

async function poll(test: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (await test()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`never true: ${test}`);
}

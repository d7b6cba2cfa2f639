import { once } from "node:events";
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import t from "tap";
import { createLogger } from "../../src/core/logger.js";
import { createAccess } from "../../src/ws/access/access.js";
import { createHttpApp } from "../../src/ws/http-app.js";
import { createServer } from "../../src/ws/transport.js";
import { freePort } from "../support/ports.js";
import { gate, KEY, LIMIT, logger, page, poll, resetGate, routes, start } from "./conformance.js";
import { client, raw, TRANSPORTS } from "./support.js";

const noAccess = createAccess({ localKey: KEY, audit: { record() {} } });

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
      { name: "a handler that never answers", path: "/stuck", status: 503, body: /no answer within 2000 ms/ },
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

    await t.test("slow senders and silent WebSockets are cut off", { timeout: 120_000 }, async (t) => {
      const wsIdleS = transport === "node" ? 4 : 8; // the least uWS takes
      const strict = await start(transport, await page(t), { headMs: 1_000, requestMs: 1_500, wsIdleS });
      t.teardown(() => strict.close(0));
      const drip = async (start: string, drop: string) => {
        const socket = connect(strict.port, "127.0.0.1");
        socket.on("error", () => {});
        socket.write(start);
        const timer = setInterval(() => socket.write(drop), 200);
        await closeOf(socket.resume());
        clearInterval(timer);
      };
      const url = `ws://127.0.0.1:${strict.port}/ws?key=${KEY}`;
      const [silent, healthy] = [await client(url, { autoPong: false }), await client(url)];
      await Promise.all([
        drip("GET /hello HTTP/1.1\r\n", "X: y\r\n"),
        drip("POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", "x"),
      ]);
      t.pass("a head and a body that drip in are cut off, however steadily they drip");
      t.equal((await silent.closed).code, 1006, "no pong, no connection");
      healthy.send("{}");
      t.match(await healthy.next(), { length: 2 }, "who answers pings stays");
      healthy.ws.terminate();
    });
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

  t.test(`${transport}: a port of one's own, free again at once although clients were connected`, async (t) => {
    const app = createHttpApp({ routes, wsPaths: [], access: noAccess, loopback: true, handlerMs: 1_000, logger });
    const options = { host: "127.0.0.1", app, endpoints: [], logger };
    const port = await freePort(); // a fixed port behaves otherwise than 0: uSockets sets address reuse only for the former
    const first = await createServer({ ...options, transport, port });
    for (const other of TRANSPORTS) {
      await t.rejects(createServer({ ...options, transport: other, port }), { code: "MR_PORT_IN_USE" }, other);
    }
    await (await fetch(`http://127.0.0.1:${port}/hello`)).text();
    await first.close(0); // we close first: the connection stays in TIME_WAIT on our side
    const second = await createServer({ ...options, transport, port });
    t.equal(second.port, port);
    await second.close(0);
  });
}

t.test("auto takes uWebSockets.js where it loads", async (t) => {
  const loadUws = () => import("../../src/ws/transport-uws.js");
  const app = createHttpApp({ routes, wsPaths: [], access: noAccess, loopback: true, handlerMs: 1, logger });
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
  const app = createHttpApp({ routes, wsPaths: [], access: noAccess, loopback: true, handlerMs: 1, logger });
  const loadUws = () => Promise.reject(new Error("no binary"));
  const options = { host: "127.0.0.1", port: 0, app, endpoints: [], logger: counting, loadUws };
  const server = await createServer({ ...options, transport: "auto" });
  t.equal(server.transport, "node");
  t.type((await import("../../src/ws/transport-node.js")).createNodeServer, "function");
  t.equal(warnings.length, 1);
  await server.close(0);
  await t.rejects(createServer({ ...options, transport: "uws" }), { code: "MR_BINARY_MISSING" });
});

/** `once(socket, "close")` would reject on the reset that comes first. */
function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.on("error", () => {}).on("close", () => resolve()));
}

// What somebody can do to us without being let in, or with a right to be there, on both transports: floods, bombs, paths, bytes.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateRawSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import t from "tap";
import type { HttpRoute } from "../../src/core/index.js";
import type { AuditEntry } from "../../src/ws/index.js";
import { readAll } from "../support/log.js";
import type { MemoryLog } from "../support/memory-log.js";
import { ask, KEY, startGateway } from "./access/gateway.js";
import { SECRET, token } from "./access/keys.js";
import { raw, TRANSPORTS } from "./support.js";

const secret = new TextEncoder().encode(SECRET);
const SEED = 20261120;
const MIB = 1 << 20;
const body: HttpRoute = {
  method: "POST",
  path: "/api/v1/telemetry",
  access: "key",
  needs: "ingest",
  maxBodyBytes: MIB,
  handle: async (request) => ({ status: 202, body: String(request.body.length) }),
};
const upgrade = (key: string, more = "") =>
  `GET /ws?key=${key} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${more}\r\n`;

for (const transport of TRANSPORTS) {
  t.test(`${transport}: rate limits by identity, by address, for guessing, and of connections`, async (t) => {
    const limits = {
      requestsPerSecond: 2,
      failuresAtOnce: 3,
      connectionsPerIdentity: 2,
      connectionsPerAddress: 3,
      limitLoopback: true,
    };
    const { call, socket, log } = await startGateway(t, { transport, tokens: { secret: SECRET }, limits });
    /** All at once: one after the other a slow machine could take so long that the bucket fills again. */
    const statuses = async (count: number, credential?: string) => {
      const init = credential === undefined ? {} : { credential };
      const answers = await Promise.all(Array.from({ length: count }, () => call("/api/v1/alerts", init)));
      return answers.map(({ status }) => status);
    };
    const [ann, bob] = [await token(secret, { sub: "ann" }), await token(secret, { sub: "bob" })];
    const mine = await statuses(60, ann);
    t.ok(mine.filter((status) => status === 200).length >= 10, "the burst");
    t.ok(mine.includes(429), "then no more");
    t.equal((await call("/api/v1/alerts", { credential: bob })).status, 200, "somebody else is not slowed down");
    const over = await call("/api/v1/alerts", { credential: ann });
    if (over.status === 429) {
      t.match(JSON.parse(over.text), { status: 429, title: /Too many/ });
      t.ok(over.headers.get("retry-after"));
    }
    t.ok((await statuses(60)).includes(429), "without a credential the address counts");

    const guesses = await statuses(30, "mrk_000000000000_guess");
    t.ok(guesses.filter((status) => status === 401).length >= 3);
    t.ok(guesses.includes(429), "guessing ends in not being listened to");
    const forged = await token(new TextEncoder().encode(`${SECRET}x`));
    t.ok([401, 429].includes((await call("/api/v1/alerts", { credential: forged })).status));
    t.equal((await call("/api/v1/alerts", { credential: KEY })).status, 200, "a good key counts all the while");

    const open = [await socket(bob), await socket(bob)];
    await t.rejects(socket(bob), { message: "429" }, "two connections each");
    open.push(
      await socket(
        await token(secret, { sub: "cy" }).then(async (text) => {
          while ((await call("/api/v1/alerts", { credential: text })).status === 429) await pause(100);
          return text;
        }),
      ),
    );
    await t.rejects(socket(KEY), { message: "429" }, "three an address");
    open[0]?.ws.close();
    await open[0]?.closed;
    const again = await until(() => socket(bob));
    t.ok(again, "who leaves makes room");
    for (const { ws } of [...open, again]) ws.terminate();
    for (const result of ["rate", "connections", "bad-credential", "no-credential"] as const) {
      while (!(await auditEntries(log)).some((entry) => entry.result === result)) await pause(50);
      t.pass(`${result} is in the audit stream`);
    }
  });

  t.test(`${transport}: bombs`, async (t) => {
    const { gateway, call, socket } = await startGateway(t, { transport, routes: [body] });
    const bomb = gzipSync(Buffer.alloc(100 * MIB));
    const before = process.memoryUsage.rss();
    const post = (bytes: Uint8Array, encoding: string) =>
      call("/api/v1/telemetry", {
        method: "POST",
        credential: KEY,
        body: new Blob([new Uint8Array(bytes)]),
        headers: { "content-encoding": encoding },
      });
    const bombs = await Promise.all(Array.from({ length: 8 }, () => post(bomb, "gzip")));
    t.same(new Set(bombs.map(({ status }) => status)), new Set([413]), "a gzip body that grows without end");
    t.match(await post(gzipSync(Buffer.alloc(MIB)), "gzip"), { status: 202, text: String(MIB) }, "an honest one");
    t.match(
      await post(gzipSync(gzipSync(Buffer.alloc(10))), "gzip, gzip"),
      { status: 415 },
      "twice packed is not offered",
    );
    t.match(await post(Buffer.from("no"), "gzip"), { status: 400 });
    t.match(await post(bomb, "deflate"), { status: 415 });

    const c = await socket(KEY, { perMessageDeflate: true });
    t.equal(c.ws.extensions, "", "permessage-deflate is not negotiated");
    c.ws.terminate();
    const deflated = deflateRawSync(Buffer.alloc(60_000, "{"));
    const head = Buffer.from([0xc1, 0x80 | 126, deflated.length >> 8, deflated.length & 255, 0, 0, 0, 0]); // RSV1: compressed
    const answer = await new Promise<string>((resolve) => {
      let text = "";
      const wire = connect(gateway.port, "127.0.0.1", () =>
        wire.write(upgrade(KEY, "Sec-WebSocket-Extensions: permessage-deflate\r\n")),
      );
      wire.on("data", (chunk) => {
        if (text === "") wire.write(Buffer.concat([head, deflated]));
        text += chunk.toString("latin1");
      });
      wire.on("error", () => {}).on("close", () => resolve(text));
    });
    t.match(answer, /^HTTP\/1\.1 101/);
    t.notMatch(answer, /sec-websocket-extensions/i);
    t.pass("a compressed frame ends the connection and is not inflated");
    t.ok(process.memoryUsage.rss() - before < 128 * MIB, "memory as for honest bodies");
  });

  t.test(`${transport}: oversized messages and bodies`, async (t) => {
    const { gateway, call, socket } = await startGateway(t, { transport, routes: [body] });
    const big = await socket(KEY);
    big.ws.send("x".repeat((64 << 10) + 1));
    t.ok([1009, 1006].includes((await big.closed).code), "a message over the limit ends its connection");
    const many = await socket(KEY);
    const bytes = Buffer.alloc(1_000, "x");
    for (let i = 0; i < 400 && many.ws.readyState === many.ws.OPEN; i++)
      many.ws.send(bytes, { fin: false, binary: false });
    t.ok([1009, 1006].includes((await many.closed).code), "in pieces too");
    const huge = { method: "POST", credential: KEY, body: "x".repeat(MIB + 1) };
    t.equal((await call("/api/v1/telemetry", huge)).status, 413);
    const claims = `POST /api/v1/telemetry?key=${KEY} HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n`;
    t.match(await raw(gateway.port, claims), /^HTTP\/1\.1 413/, "refused by its length alone");
    const chunk = `${(256 << 10).toString(16)}\r\n${"x".repeat(256 << 10)}\r\n`;
    const chunked = `POST /api/v1/telemetry?key=${KEY} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(5)}`;
    t.match(await raw(gateway.port, chunked), /^HTTP\/1\.1 413|^$/, "and without one, while it streams in");
    const header = `GET /livez HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(64 << 10)}\r\n\r\n`;
    t.match(await raw(gateway.port, header), /^HTTP\/1\.1 431|^$/, "a head without end");
    t.equal((await call("/livez")).status, 200);
  });

  t.test(`${transport}: no path leads out of the page's folder`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "millrace-page-"));
    t.teardown(() => rm(folder, { recursive: true }));
    await mkdir(join(folder, "page"));
    await writeFile(join(folder, "page", "index.html"), "the page");
    await writeFile(join(folder, "secret.txt"), "top secret");
    await writeFile(join(folder, "page", ".env"), "top secret");
    const { gateway } = await startGateway(t, { transport, staticDir: join(folder, "page") });
    const names = ["secret.txt", "page/.env", ".env", "etc/passwd"];
    const ups = [
      "../",
      "..%2f",
      "%2e%2e/",
      "%2e%2e%2f",
      "..%252f",
      "%252e%252e%252f",
      "..\\",
      "..%5c",
      "..%c0%af",
      "....//",
    ];
    const paths = names.flatMap((name) => [
      `/${name}`,
      `//${name}`,
      `/./${name}`,
      `/%00${name}`,
      `/index.html/../${name}`,
      ...ups.flatMap((up) => [`/${up}${name}`, `/${up.repeat(6)}${name}`, `/index.html${up}${name}`]),
    ]);
    paths.push(
      `file://${folder}/secret.txt`,
      `http://a/../secret.txt`,
      "/index.html%00.txt",
      "/INDEX.HTML",
      "/page/../index.html/",
    );
    for (const path of paths) {
      const answer = await raw(gateway.port, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      if (/top secret|root:/.test(answer) || !/^HTTP\/1\.1 (?:400|404|505)|^$/.test(answer))
        t.fail(`${path}: ${answer.slice(0, 100)}`);
    }
    t.pass(`${paths.length} paths`);
    t.match(await raw(gateway.port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), /the page$/);
  });

  t.test(`${transport}: whoever is in may send what they like`, { timeout: 60_000 }, async (t) => {
    const { socket, call } = await startGateway(t, { transport, limits: { burst: 1e6, perSecond: 1e6 } });
    t.comment(`seed ${SEED}`);
    const word = fc.constantFrom("subscribe", "unsubscribe", "refresh", "presence", "ping", "hello");
    const almost = fc.record(
      {
        op: fc.oneof(word, fc.jsonValue()),
        id: fc.oneof(fc.nat(), fc.jsonValue()),
        channel: fc.oneof(fc.constantFrom("alerts", "stats", "__proto__", "alerts.>", "*"), fc.string()),
        since: fc.oneof(fc.nat(), fc.jsonValue()),
        filter: fc.oneof(fc.constant({ eq: ["key", "x"] }), fc.jsonValue()),
        token: fc.oneof(fc.constant("a.b.c"), fc.string()),
        delivery: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    const frame = fc.oneof(
      almost.map((value) => JSON.stringify(value)),
      fc.json(),
      fc.string(),
      fc.constant("[".repeat(30_000)),
    );
    const property = fc.asyncProperty(fc.array(frame, { maxLength: 40 }), async (frames) => {
      const c = await socket(KEY);
      for (const text of frames) c.send(text);
      const alive = await ask(c, { op: "ping", id: 987_654 }).catch(() => undefined);
      if (alive?.["op"] !== "pong") throw new Error(`no pong but ${JSON.stringify(alive)}`);
      for (const text of c.log) if (typeof JSON.parse(text).op !== "string") throw new Error(text);
      c.ws.terminate();
    });
    await t.resolves(fc.assert(property, { seed: SEED, numRuns: 40 }));
    t.equal((await call("/livez")).status, 200);
  });
}

async function auditEntries(log: MemoryLog): Promise<AuditEntry[]> {
  const lines = (await readAll(log, "audit", "audit.gateway")).flatMap(({ data }) =>
    Buffer.from(data).toString().split("\n"),
  );
  return lines.map((line) => JSON.parse(line) as AuditEntry);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function until<T>(work: () => Promise<T>): Promise<T> {
  for (let i = 0; i < 100; i++) {
    try {
      return await work();
    } catch {
      await pause(50);
    }
  }
  return work();
}

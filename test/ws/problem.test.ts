// Whatever goes wrong before and around a handler is an RFC 9457 answer with one shape, on both transports.
import { connect } from "node:net";
import t from "tap";
import { MillraceError } from "../../src/core/index.js";
import { problemOf } from "../../src/ws/problem.js";
import { problemSchema } from "../../src/ws/rest/schemas.js";
import { KEY, startGateway } from "./access/gateway.js";
import { TRANSPORTS } from "./support.js";

const HOST = "Host: a\r\n";
const CLOSE = "Connection: close\r\n";
const ADMIN = `Authorization: Bearer ${KEY}\r\n`;
const UPGRADE = `${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n`;
const NONCE = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const V13 = "Sec-WebSocket-Version: 13\r\n";

/** What is sent, and the status of the answer. Where uWebSockets.js answers by itself its status differs at most. */
interface Case {
  readonly name: string;
  readonly text: string;
  readonly status: number;
  /** Its parser answers this before we see anything: the status is right, the text its own. 0: it waits for more. */
  readonly uwsOwn?: number;
  readonly uws?: number;
}

const request = (line: string, headers = HOST, body = "") => `${line} HTTP/1.1\r\n${headers}${CLOSE}\r\n${body}`;
const sql = (headers: string, body = "") => request("POST /api/v1/query", HOST + ADMIN + headers, body);
const open = (headers: string, path = `/ws?key=${KEY}`) => `GET ${path} HTTP/1.1\r\n${UPGRADE}${headers}\r\n`;
const CASES: readonly Case[] = [
  { name: "not HTTP", text: "hello\r\n\r\n", status: 400, uwsOwn: 0 },
  { name: "a request line without a target", text: "GET  HTTP/1.1\r\n\r\n", status: 400, uwsOwn: 505 },
  { name: "HTTP/2 in the clear", text: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 400, uwsOwn: 505 },
  { name: "another version", text: `GET / HTTP/2.0\r\n${HOST}\r\n`, status: 505, uwsOwn: 505 },
  { name: "a header that is none", text: request("GET /livez", `${HOST}Bad Header: x\r\n`), status: 400, uwsOwn: 0 },
  { name: "no Host", text: request("GET /livez", ""), status: 400, uwsOwn: 400 },
  { name: "a target that is no path", text: request("GET livez"), status: 400, uwsOwn: 505 },
  { name: "a whole address", text: request("GET http://a/livez"), status: 400, uwsOwn: 505 },
  { name: "CONNECT", text: request("CONNECT a:1"), status: 405, uwsOwn: 505 },
  {
    name: "a head too large",
    text: request("GET /livez", `${HOST}X: ${"x".repeat(64 << 10)}\r\n`),
    status: 431,
    uwsOwn: 431,
  },
  { name: "an address too long", text: request(`GET /${"x".repeat(64 << 10)}`), status: 431, uwsOwn: 431 },
  { name: "a length that is no number", text: sql("Content-Length: abc\r\n"), status: 400, uwsOwn: 400 },
  { name: "a negative length", text: sql("Content-Length: -1\r\n"), status: 400, uwsOwn: 400 },
  {
    name: "two lengths",
    text: sql("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    status: 400,
    uwsOwn: 400,
  },
  {
    name: "a chunk without a length",
    text: sql("Transfer-Encoding: chunked\r\n", "zz\r\n\r\n"),
    status: 400,
    uwsOwn: 400,
  },
  { name: "an expectation", text: request("POST /api/v1/query", `${HOST}Expect: magic\r\n`), status: 417, uws: 401 },
  { name: "no route", text: request("GET /nope"), status: 404 },
  { name: "no such file", text: request("GET /%zz"), status: 404 },
  { name: "no such method", text: request("DELETE /livez"), status: 405 },
  { name: "TRACE", text: request("TRACE /livez"), status: 405 },
  { name: "no credential", text: request("GET /api/v1/alerts"), status: 401 },
  { name: "a wrong one", text: request("GET /api/v1/alerts", `${HOST}Authorization: Bearer x\r\n`), status: 401 },
  { name: "a body too large", text: sql("Content-Length: 999999999\r\n"), status: 413 },
  {
    name: "a body too large, in chunks",
    text: sql("Transfer-Encoding: chunked\r\n", `4000\r\n${"x".repeat(0x4000)}\r\n`.repeat(6)),
    status: 413,
  },
  { name: "an encoding not offered", text: sql("Content-Encoding: br\r\nContent-Length: 2\r\n", "{}"), status: 415 },
  { name: "a body that is not JSON", text: sql("Content-Length: 2\r\n", "no"), status: 400 },
  { name: "a cursor of nobody", text: request("GET /api/v1/alerts?cursor=x", HOST + ADMIN), status: 400 },
  { name: "the WebSocket without upgrade", text: request("GET /ws"), status: 426 },
  { name: "the WebSocket by POST", text: request("POST /ws", `${HOST}Content-Length: 0\r\n`), status: 426 },
  { name: "WebSocket: no credential", text: open(NONCE + V13, "/ws"), status: 401 },
  { name: "WebSocket: another page", text: open(`${NONCE}${V13}Origin: https://evil.example\r\n`), status: 403 },
  { name: "WebSocket: another path", text: open(NONCE + V13, "/nope"), status: 404 },
  { name: "WebSocket: another version", text: open(`${NONCE}Sec-WebSocket-Version: 12\r\n`), status: 426 },
  { name: "WebSocket: no version", text: open(NONCE), status: 426 },
  { name: "WebSocket: no key", text: open(V13), status: 400, uws: 426 },
  { name: "WebSocket: a key that is none", text: open(`Sec-WebSocket-Key: x\r\n${V13}`), status: 400, uws: 426 },
  { name: "SSE: no credential", text: request("GET /sse?channel=alerts"), status: 401 },
  { name: "SSE: no channel", text: request(`GET /sse?key=${KEY}`), status: 400 },
  { name: "SSE: no such channel", text: request(`GET /sse?channel=nope&key=${KEY}`), status: 404 },
  { name: "SSE: by POST", text: request(`POST /sse?key=${KEY}`, `${HOST}Content-Length: 0\r\n`), status: 405 },
];

for (const transport of TRANSPORTS) {
  t.test(`${transport}: ${CASES.length} requests that fail, one shape of answer`, { timeout: 120_000 }, async (t) => {
    const { gateway } = await startGateway(t, { transport });
    for (const { name, text, ...expected } of CASES) {
      const own = transport === "uws" ? expected.uwsOwn : undefined;
      const status = own ?? (transport === "uws" ? expected.uws : undefined) ?? expected.status;
      if (status === 0) continue; // nothing comes until it loses patience: test/ws/transport.test.ts
      const { head, body } = await answerOf(gateway.port, text);
      t.match(head, new RegExp(`^HTTP/1\\.1 ${status} `), name);
      if (own !== undefined) continue;
      t.match(head, /^content-type: ?application\/problem\+json\r$/im, name);
      t.match(head, /^cache-control: no-store\r$/im, name);
      const said = problemSchema.safeParse(JSON.parse(body));
      t.ok(said.success && head.includes(` ${said.data.status} `), `${name}: ${said.data?.detail}`);
    }
    t.match(await answerOf(gateway.port, open(NONCE)), { head: /^sec-websocket-version: ?13\r$/im });
    t.equal((await fetch(`${gateway.url}/livez`)).status, 200);
  });
}

t.test("what is thrown shows its code and message only where a caller may know them", async (t) => {
  const shown = (error: unknown) => JSON.parse(String(problemOf(error).body));
  t.match(shown(new MillraceError("MR_LOG_FULL", "the stream is full")), { status: 503, code: "MR_LOG_FULL" });
  t.match(problemOf(new MillraceError("MR_LOG_FULL", "full")).headers, { "retry-after": "1" });
  t.match(shown(new MillraceError("MR_REQUEST_INVALID", "limit: 0")), { status: 400, detail: "limit: 0" });
  for (const secret of [new Error("s3cret"), new MillraceError("MR_OPTION_INVALID", "s3cret")]) {
    t.match(shown(secret), { status: 500, code: null });
    t.notMatch(String(problemOf(secret).body), /s3cret/);
  }
});

/** Sends `text` and resolves with the first answer, once its body is whole or the server has closed. */
function answerOf(port: number, text: string): Promise<{ head: string; body: string }> {
  return new Promise((resolve) => {
    let answer = "";
    const parts = () => {
      const end = answer.indexOf("\r\n\r\n");
      return { head: answer.slice(0, end + 2), body: answer.slice(end + 4) };
    };
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
      const { head, body } = parts();
      const length = /^content-length: ?(\d+)\r$/im.exec(head)?.[1];
      if (length !== undefined && body.length >= Number(length)) socket.destroy();
    });
    socket.on("error", () => {}).on("close", () => resolve(parts()));
  });
}

import { connect } from "node:net";
import fc from "fast-check";
import t from "tap";
import { createLogger } from "../../src/core/logger.js";
import { CHANNELS } from "../../src/pipelines/channels.js";
import { createGateway } from "../../src/ws/index.js";
import { memoryLog } from "../support/memory-log.js";
import { client, TRANSPORTS } from "./support.js";

const KEY = "0123456789abcdef0123456789abcdef";

/** Pieces of real requests between bytes of no meaning, so that every stage of the parsers is reached. */
const piece = fc.oneof(
  fc.constantFrom(
    "GET / HTTP/1.1\r\n",
    "POST /api/v1/query HTTP/1.1\r\n",
    `GET /ws?key=${KEY} HTTP/1.1\r\n`,
    "Host: a\r\n",
    `Authorization: Bearer ${KEY}\r\n`,
    "Content-Length: 10\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Expect: 100-continue\r\n",
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n",
    "\r\n",
    '{"sql":"SELECT 1"}',
    "5\r\nhello\r\n0\r\n\r\n",
    "\x81\x82\x00\x00\x00\x00{}",
    "\x89\x80\x00\x00\x00\x00",
    "\x88\x80\x00\x00\x00\x00",
    "\xff\xff\xff\xff\xff",
  ),
  fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
);

for (const transport of TRANSPORTS) {
  t.test(`${transport}: survives any bytes, cut off anywhere`, { timeout: 60_000 }, async (t) => {
    const gateway = await createGateway({
      channels: CHANNELS,
      transport,
      log: memoryLog(),
      routes: [],
      host: "127.0.0.1",
      port: 0,
      localKey: KEY,
      logger: createLogger("silent"),
      stats: () => ({}) as never,
      readiness: () => [],
      query: async () => ({ columns: [], rows: [], truncated: false, elapsedMs: 0 }),
    });
    t.teardown(() => gateway.close());
    const attack = (pieces: readonly string[], cut: "end" | "destroy") =>
      new Promise<void>((resolve) => {
        const socket = connect(gateway.port, "127.0.0.1", () => {
          for (const text of pieces) socket.write(text, "latin1");
          setImmediate(() => (cut === "end" ? socket.end() : socket.destroy()));
        });
        socket.setTimeout(200, () => socket.destroy());
        socket.on("error", () => {}).on("close", () => resolve());
        socket.resume();
      });
    const property = fc.asyncProperty(
      fc.array(
        fc.tuple(
          fc.array(piece, { maxLength: 8 }),
          fc.constantFrom("end", "destroy") as fc.Arbitrary<"end" | "destroy">,
        ),
        {
          minLength: 20,
          maxLength: 40,
        },
      ),
      async (attacks) => {
        await Promise.all(attacks.map(([pieces, cut]) => attack(pieces, cut)));
        const { status } = await fetch(`${gateway.url}/healthz`);
        if (status !== 200) throw new Error(`healthz answers ${status}`);
      },
    );
    await t.resolves(fc.assert(property, { numRuns: 30, seed: 20_261_120 }));

    const clients = await Promise.all(
      Array.from({ length: 50 }, () => client(`ws://127.0.0.1:${gateway.port}/ws?key=${KEY}`)),
    );
    for (const [i, { ws }] of clients.entries()) {
      ws.send('{"op":"subscribe","id":1,"channel":"stats"}');
      if (i % 3 === 0) ws.terminate();
      else if (i % 3 === 1) ws.close();
    }
    await Promise.all(clients.filter((_, i) => i % 3 !== 2).map(({ closed }) => closed));
    const counted = async () =>
      / (\d+)\n/.exec((await gateway.metrics()).split("\nmillrace_ws_connections")[1] ?? "")?.[1];
    while ((await counted()) !== "16") await new Promise((resolve) => setTimeout(resolve, 10));
    t.pass("closed ones are counted out");
  });
}

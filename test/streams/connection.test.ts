import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import t from "tap";
import { connectLog } from "../../src/streams/index.js";
import { startNats } from "../support/nats.js";

/** Speaks just enough of the protocol to be connected to. */
async function serverThatSays(info: object) {
  const server = createServer((socket) => {
    socket.write(
      `INFO ${JSON.stringify({ server_id: "x", headers: true, max_payload: 1_048_576, proto: 1, ...info })}\r\n`,
    );
    socket.on("error", () => undefined);
    socket.on("data", (data) => data.includes("PING") && socket.write("PONG\r\n"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `nats://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, stop: () => server.close() };
}

t.test("an older server is refused by name of the feature and its version", async (t) => {
  const server = await serverThatSays({ version: "2.10.27", jetstream: true });
  t.teardown(server.stop);
  await t.rejects(connectLog({ url: server.url, name: "test" }), {
    code: "MR_SERVER_TOO_OLD",
    message: /^server too old: feature atomic batch publishing missing: .* is 2\.10\.27, it takes 2\.14 or newer/,
  });
});

t.test("a server without jetstream is refused", async (t) => {
  const server = await serverThatSays({ version: "2.15.1" });
  t.teardown(server.stop);
  await t.rejects(connectLog({ url: server.url, name: "test" }), {
    code: "MR_LOG_UNAVAILABLE",
    message: /start it with -js/,
  });
});

t.test("nothing there", async (t) => {
  const server = await serverThatSays({});
  server.stop();
  await t.rejects(connectLog({ url: server.url, name: "test" }), { code: "MR_LOG_UNAVAILABLE" });
  await t.rejects(connectLog({ servers: [], name: "test" }), { code: "MR_OPTION_INVALID" });
});

t.test("says what it is connected to, sees an outage, comes back, closes twice", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const connection = await connectLog({ servers: [server.url], name: "test", timeoutMs: 300 });
  t.match(connection.serverVersion, /^2\.\d+\.\d+$/);
  t.equal(connection.maxPayloadBytes, 8 * 1024 * 1024);
  t.ok(connection.connected());
  await server.kill();
  await t.rejects(connection.log.info("x"), { code: "MR_LOG_UNAVAILABLE" });
  t.notOk(connection.connected());
  await server.start();
  const spec = { name: "x", subjects: ["x.>"], maxBytes: 1_000_000 };
  for (let tries = 0; ; tries++) {
    const info = await connection.log
      .ensureStream(spec)
      .catch((error: unknown) => (tries > 50 ? Promise.reject(error) : undefined));
    if (info !== undefined) break;
  }
  t.ok(connection.connected());
  await connection.close();
  await connection.close();
  t.notOk(connection.connected());
  await t.rejects(connection.log.info("x"), { code: "MR_LOG_UNAVAILABLE" });
});

t.test("closing does not wait for a server that has stopped answering", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const connection = await connectLog({ url: server.url, name: "test" });
  process.kill(server.pid(), "SIGSTOP");
  t.teardown(() => process.kill(server.pid(), "SIGCONT"));
  const startMs = performance.now();
  await connection.close();
  t.ok(performance.now() - startMs < 4_000);
  t.notOk(connection.connected());
});

import type { AddressInfo } from "node:net";
import { DeliverPolicy, jetstream } from "@nats-io/jetstream";
import { connect } from "nats";
import { createLogger } from "../../src/core/logger.js";
import { CHANNELS } from "../../src/pipelines/channels.js";
import { connectLog } from "../../src/streams/index.js";
import { createGateway } from "../../src/ws/index.js";
import { type Broadcaster, KEY } from "./servers.js";

/** The gateway on a real log. */
export async function millraceOnLog(url: string, wantedPort: number): Promise<Broadcaster> {
  const { log } = await connectLog({ url, name: "bench-gateway" });
  const gateway = await createGateway({
    log,
    channels: CHANNELS.filter(({ name }) => name.startsWith("alerts")),
    transport: "uws",
    routes: [],
    host: "127.0.0.1",
    port: wantedPort,
    limits: { maxConnections: 30_000 },
    localKey: KEY,
    logger: createLogger("warn"),
    stats: () => ({}) as never,
    readiness: () => [],
    query: async () => ({ columns: [], rows: [], truncated: false, elapsedMs: 0 }),
  });
  return { port: gateway.port, broadcast() {} };
}

/** The least that can be between a log and `ws`: what is consumed is sent to everybody as it is. */
export async function relayOnLog(url: string): Promise<Broadcaster> {
  const { WebSocketServer } = await import("ws");
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
  await new Promise((resolve) => server.once("listening", resolve));
  const connection = await connect({ servers: url });
  // From here on, as the gateway: the rounds before have left their texts in the log.
  const consumer = await jetstream(connection).consumers.get("alerts", { deliver_policy: DeliverPolicy.New });
  await consumer.consume({
    callback(message) {
      const text = message.string();
      for (const client of server.clients) client.send(text);
    },
  });
  return { port: (server.address() as AddressInfo).port, broadcast() {} };
}

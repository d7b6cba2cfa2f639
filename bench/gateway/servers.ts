import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createLogger } from "../../src/core/logger.js";
import { CHANNELS } from "../../src/pipelines/channels.js";
import { createGateway } from "../../src/ws/index.js";
import { queueLog } from "./queue-log.js";

/** A server under test: hands every text it is given to all who are connected. */
export interface Broadcaster {
  readonly port: number;
  broadcast(text: string): void;
}

export const KEY = "0123456789abcdef0123456789abcdef";

/** The gateway as it is: key, filter, history and offsets, fed by a log. */
export async function millrace(transport: "uws" | "node"): Promise<Broadcaster> {
  const { log, append } = queueLog();
  const gateway = await createGateway({
    log,
    channels: CHANNELS,
    transport,
    routes: [],
    host: "127.0.0.1",
    port: 0,
    localKey: KEY,
    logger: createLogger("warn"),
    limits: { maxConnections: 30_000 },
    stats: () => ({}) as never,
    readiness: () => [],
    query: async () => ({ columns: [], rows: [], truncated: false, elapsedMs: 0 }),
  });
  return { port: gateway.port, broadcast: (text) => append("alerts.0.mine", text) };
}

/** `ws` as its documentation shows a broadcast: `send` to each client. */
export async function plainWs(): Promise<Broadcaster> {
  const { WebSocketServer } = await import("ws");
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false, backlog: 4_096 });
  await new Promise((resolve) => server.once("listening", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    broadcast(text) {
      for (const client of server.clients) client.send(text);
    },
  };
}

export async function socketIo(): Promise<Broadcaster> {
  const { Server } = await import("socket.io");
  const http = createServer();
  const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false });
  await new Promise<void>((resolve) => http.listen({ port: 0, host: "127.0.0.1", backlog: 4_096 }, resolve));
  return {
    port: (http.address() as AddressInfo).port,
    broadcast: (text) => io.emit("event", JSON.parse(text)),
  };
}

/** uWebSockets.js with nothing around it. */
export async function bareUws(): Promise<Broadcaster> {
  const { App, us_socket_local_port } = await import("uWebSockets.js");
  const app = App();
  app.ws("/*", { idleTimeout: 120, maxBackpressure: 64 << 20, open: (ws) => void ws.subscribe("all") });
  const port = await new Promise<number>((resolve) =>
    app.listen("127.0.0.1", 0, (socket) => resolve(socket ? us_socket_local_port(socket) : 0)),
  );
  return { port, broadcast: (text) => void app.publish("all", text, false) };
}

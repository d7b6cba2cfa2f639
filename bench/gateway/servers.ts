import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { WebSocket } from "ws";
import { createLogger } from "../../src/core/logger.js";
import { CHANNELS } from "../../src/pipelines/channels.js";
import { createGateway } from "../../src/ws/index.js";
import { queueLog } from "./queue-log.js";

/** A server under test: hands every text it is given, as the bytes a log or a socket gives, to all who are connected or to one group. */
export interface Broadcaster {
  readonly port: number;
  broadcast(text: Buffer, group?: number): void;
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
  return {
    port: gateway.port,
    broadcast: (text, group) => append(group === undefined ? "alerts.0.mine" : `features.0.bench.g${group}`, text),
  };
}

/** `ws` as its documentation shows a broadcast: `send` to each client. */
export async function plainWs(): Promise<Broadcaster> {
  const { WebSocketServer } = await import("ws");
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false, backlog: 4_096 });
  const groups = new Map<string, Set<WebSocket>>();
  server.on("connection", (client, { url = "/" }) => {
    const members = groups.get(url) ?? new Set();
    groups.set(url, members.add(client));
    client.on("close", () => members.delete(client));
  });
  await new Promise((resolve) => server.once("listening", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    broadcast(text, group) {
      for (const client of group === undefined ? server.clients : (groups.get(`/${group}`) ?? []))
        client.send(text, { binary: false });
    },
  };
}

export async function socketIo(): Promise<Broadcaster> {
  const { Server } = await import("socket.io");
  const http = createServer();
  const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false });
  io.on("connection", (socket) => void socket.join(String(socket.handshake.query["group"])));
  await new Promise<void>((resolve) => http.listen({ port: 0, host: "127.0.0.1", backlog: 4_096 }, resolve));
  return {
    port: (http.address() as AddressInfo).port,
    broadcast: (text, group) =>
      (group === undefined ? io : io.to(String(group))).emit("event", JSON.parse(text.toString())),
  };
}

/** uWebSockets.js with nothing around it. */
export async function bareUws(): Promise<Broadcaster> {
  const { App, us_socket_local_port } = await import("uWebSockets.js");
  const app = App();
  app.ws<{ url: string }>("/*", {
    idleTimeout: 120,
    maxBackpressure: 64 << 20,
    upgrade(res, req, context) {
      const key = req.getHeader("sec-websocket-key");
      res.upgrade({ url: req.getUrl() }, key, req.getHeader("sec-websocket-protocol"), "", context);
    },
    open: (ws) => void ws.subscribe(ws.getUserData().url),
  });
  const port = await new Promise<number>((resolve) =>
    app.listen("127.0.0.1", 0, (socket) => resolve(socket ? us_socket_local_port(socket) : 0)),
  );
  return { port, broadcast: (text, group) => void app.publish(`/${group ?? ""}`, text, false) };
}

import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { type HttpRoute, isMillraceError } from "../../src/core/index.js";

/** Serves routes on a free port, as the gateway does, without its limits and checks. */
export async function hostRoutes(routes: readonly HttpRoute[]) {
  const server = createServer(async (message, answer) => {
    const url = new URL(message.url ?? "/", "http://localhost");
    const route = routes.find(({ path, method }) => path === url.pathname && method === message.method);
    if (route === undefined) return void answer.writeHead(404).end();
    try {
      const reply = await route.handle({
        method: message.method ?? "",
        path: url.pathname,
        query: url.searchParams,
        header: (name) => [message.headers[name]].flat()[0],
        body: await bodyOf(message),
        remoteAddress: "127.0.0.1",
        caller: { subject: "local", role: "admin" },
      });
      answer.writeHead(reply.status, { ...reply.headers }).end(reply.body);
    } catch (error) {
      const unauthorized = isMillraceError(error, "MR_UNAUTHORIZED");
      answer.writeHead(unauthorized ? 401 : 503).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function bodyOf(message: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

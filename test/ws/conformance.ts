import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type HttpRoute, jsonReply, MillraceError } from "../../src/core/index.js";
import { createLogger } from "../../src/core/logger.js";
import { createAccess } from "../../src/ws/access/access.js";
import { isOriginAllowed } from "../../src/ws/auth.js";
import { createHttpApp } from "../../src/ws/http-app.js";
import { problem, refusalReply } from "../../src/ws/problem.js";
import { loadStatic } from "../../src/ws/static.js";
import { createServer, type Server, type WsEndpoint, type WsListener, type WsSocket } from "../../src/ws/transport.js";

/** What both transports are asked to serve in the conformance tests. */

export const KEY = "a-local-key";
export const LIMIT = 100_000;
/** Long enough for a slow machine to reach a gate before it is answered for. */
export const HANDLER_MS = 2_000;
export const logger = createLogger("silent");

export const gate: { open?: () => void } = {};
export const routes: HttpRoute[] = [
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

export const sockets: { last?: WsSocket; closes: number[] } = { closes: [] };
const access = createAccess({ localKey: KEY, audit: { record() {} } });
const endpoint: WsEndpoint = {
  path: "/ws",
  protocols: [
    { name: "text.v1", binary: false },
    { name: "bytes.v1", binary: true },
  ],
  maxMessageBytes: 1_000,
  maxBufferedBytes: 1 << 20,
  async admit(head) {
    if (head.query.has("later")) await new Promise((resolve) => setTimeout(resolve, 20));
    if (!isOriginAllowed(head, ["https://wall.example"])) return { kind: "refuse", reply: problem(403, "origin") };
    const verdict = await access.identify(head);
    if (verdict.kind === "refused") return { kind: "refuse", reply: refusalReply(verdict) };
    return { kind: "accept", open: echoing };
  },
};

function echoing(socket: WsSocket): WsListener {
  sockets.last = socket;
  return {
    message(data) {
      const text = typeof data === "string" ? data : `bytes ${data.byteLength}`;
      socket.cork(() => {
        socket.send(Buffer.from(JSON.stringify({ length: text.length, text: text.slice(0, 20) })));
        socket.send(Buffer.from('{"second":true}'));
      });
    },
    drain() {},
    close: (code) => sockets.closes.push(code),
  };
}

export async function start(transport: "uws" | "node", directory: string, limits = {}): Promise<Server> {
  const app = createHttpApp({
    routes,
    files: await loadStatic(directory),
    wsPaths: ["/ws"],
    access,
    loopback: true,
    handlerMs: HANDLER_MS,
    logger,
  });
  return createServer({ transport, host: "127.0.0.1", port: 0, app, endpoints: [endpoint], limits, logger });
}

export async function page(t: { teardown(work: () => unknown): void }): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "millrace-page-"));
  t.teardown(() => rm(directory, { recursive: true }));
  await mkdir(join(directory, "assets"));
  await writeFile(join(directory, "index.html"), "<!doctype html><title>Millrace</title>");
  await writeFile(join(directory, "assets/main.js"), "export {};");
  await writeFile(join(directory, ".secret.txt"), "hidden");
  await symlink("/etc/hostname", join(directory, "link.txt"));
  return directory;
}

export function resetGate(): void {
  delete gate.open;
}

export async function poll(test: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 3_000; i++) {
    if (await test()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`never true: ${test}`);
}

/**
 * A ClickHouse server for tests: ClickHouse's HTTP protocol, as far as @clickhouse/client speaks it to us, before the embedded
 * engine. So the client's own transport is exercised against the real engine, where no server can be installed.
 *
 * A program: `node http-front.js <directory> <port> [user:password]`. Prints `listening <port>`. Every request has a session
 * of its own, so settings hold for one request, as on a server. `POST /_front/fail?inserts=n&how=refuse|away|hang|drop` makes the
 * next inserts fail: refused by the database, answered 503 by a proxy before it, not answered at all, or stored and never answered.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Session } from "chdb";

const [, , directory = "", port = "0", credentials] = process.argv;
/** Parameters of the request that are not settings of the query. */
const NOT_SETTINGS = new Set([
  "query",
  "database",
  "query_id",
  "session_id",
  "role",
  "default_format",
  "wait_end_of_query",
  "enable_http_compression",
]);

const keeper = new Session(directory); // holds the engine open between requests
let failures = 0;
let how = "refuse";

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function fail(response: ServerResponse, status: number, message: string): void {
  const code = /Code: (\d+)\./.exec(message)?.[1] ?? "0";
  response.writeHead(status, { "content-type": "text/plain", "x-clickhouse-exception-code": code }).end(message);
}

function settings(query: URLSearchParams): string {
  const pairs = [...query].filter(([name]) => !NOT_SETTINGS.has(name) && !name.startsWith("http_"));
  if (pairs.length === 0) return "";
  return `SET ${pairs.map(([name, value]) => `${name} = '${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`).join(", ")}; `;
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "/", "http://front");
  if (url.pathname === "/ping") return void response.end("Ok.\n");
  if (url.pathname === "/_front/fail") {
    failures = Number(url.searchParams.get("inserts"));
    how = url.searchParams.get("how") ?? "refuse";
    return void response.end("ok");
  }
  const body = await bodyOf(request);
  if (credentials !== undefined) {
    const expected = `Basic ${Buffer.from(credentials).toString("base64")}`;
    if (request.headers.authorization !== expected) {
      return fail(response, 403, "Code: 516. DB::Exception: default: Authentication failed. (AUTHENTICATION_FAILED)");
    }
  }
  const inUrl = url.searchParams.get("query");
  const sql = inUrl === null ? body : Buffer.concat([Buffer.from(`${inUrl}\n`), body]);
  const isInsert = /^\s*INSERT/i.test(inUrl ?? "") && !/^\s*INSERT INTO FUNCTION/i.test(inUrl ?? "");
  const failing = isInsert && failures > 0;
  if (failing) failures -= 1;
  if (failing && how === "refuse")
    return fail(response, 500, "Code: 252. DB::Exception: Too many parts. (TOO_MANY_PARTS)");
  if (failing && how === "away") return void response.writeHead(503).end("no upstream");
  if (failing && how === "hang") return; // until the client hangs up, or we end
  const session = new Session(directory);
  try {
    const database = url.searchParams.get("database");
    if (database) await session.queryAsync(`USE ${database}`);
    const prefix = settings(url.searchParams);
    const result = await session.queryAsync(prefix + sql.toString("utf8"), {
      format: url.searchParams.get("default_format") ?? "TabSeparated",
    });
    if (failing) return void request.socket.destroy();
    response.writeHead(200, { "content-type": "text/plain" }).end(Buffer.from(result.bytes()));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    fail(response, /UNKNOWN_(?:TABLE|DATABASE)/.test(message) ? 404 : 500, message);
  } finally {
    session.close();
  }
}

const server = createServer((request, response) => {
  handle(request, response).catch((error) => fail(response, 500, String(error)));
});
server.listen(Number(port), "127.0.0.1");
await once(server, "listening");
const address = server.address();
console.log(`listening ${typeof address === "object" ? address?.port : port}`);
process.on("disconnect", () => process.kill(process.pid, "SIGKILL")); // the test is gone
process.on("SIGTERM", () => {
  server.closeAllConnections();
  server.close();
  keeper.close();
  process.disconnect?.();
});

import t from "tap";
import { apiRoutes } from "../../src/ws/api.js";
import { memoryLog } from "../support/memory-log.js";

t.test("what is open, what takes the key, and how much a body may hold", async (t) => {
  const routes = apiRoutes({
    readiness: () => [],
    stats: () => ({}) as never,
    query: () => Promise.reject(new Error("not asked")),
    metrics: async () => "",
    log: memoryLog(),
    mayRead: () => true,
  });
  const table = routes.map(({ method, path, access, needs, maxBodyBytes }) => [
    method,
    path,
    needs ?? access,
    maxBodyBytes,
  ]);
  t.same(table, [
    ["GET", "/healthz", "open", 0],
    ["GET", "/livez", "open", 0],
    ["GET", "/readyz", "open", 0],
    ["GET", "/metrics", "open", 0],
    ["GET", "/api/v1/stats", "open", 0],
    ["POST", "/api/v1/query", "query", 65_536],
    ["GET", "/api/v1/alerts", "read", 0],
    ["POST", "/api/v1/commands", "command", 32_768],
    ["GET", "/openapi.json", "open", 0],
    ["GET", "/api", "open", 0],
  ]);
});

import t from "tap";
import { apiRoutes } from "../../src/ws/api.js";

t.test("what is open, what takes the key, and how much a body may hold", async (t) => {
  const routes = apiRoutes({
    readiness: () => [],
    stats: () => ({}) as never,
    query: () => Promise.reject(new Error("not asked")),
    metrics: async () => "",
  });
  const table = routes.map(({ method, path, access, maxBodyBytes }) => [method, path, access, maxBodyBytes]);
  t.same(table, [
    ["GET", "/healthz", "open", 0],
    ["GET", "/readyz", "open", 0],
    ["GET", "/metrics", "open", 0],
    ["GET", "/api/v1/stats", "open", 0],
    ["POST", "/api/v1/query", "key", 65_536],
  ]);
});

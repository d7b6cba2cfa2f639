import { readFileSync } from "node:fs";
import { join } from "node:path";
import { validate } from "@readme/openapi-parser";
import t from "tap";
import { packageRoot } from "../../../src/core/index.js";
import { githubDoor, telemetryDoor } from "../../../src/streams/index.js";
import { apiRoutes } from "../../../src/ws/api.js";
import { OPERATIONS, openApiDocument } from "../../../src/ws/rest/openapi.js";
import { apiPage } from "../../../src/ws/rest/page.js";
import { memoryLog } from "../../support/memory-log.js";
import { startGateway } from "../access/gateway.js";
import { SECRET } from "../access/keys.js";
import { TRANSPORTS } from "../support.js";

const log = memoryLog();
const mounted = [
  ...apiRoutes({
    readiness: () => [],
    stats: () => ({}) as never,
    query: () => Promise.reject(new Error("not asked")),
    metrics: async () => "",
    log,
    mayRead: () => true,
  }),
  githubDoor({ log, secrets: ["x"], localKey: "x", maxPayloadBytes: 1 }),
  telemetryDoor({ log, localKey: "x" }),
  { method: "GET", path: "/sse", access: "key", needs: "read" } as const, // a stream, mounted by the transport
];

t.test("the description is valid OpenAPI 3.1", async (t) => {
  const document = openApiDocument();
  t.equal(document.openapi, "3.1.0");
  const result = await validate(JSON.parse(JSON.stringify(document)));
  t.match(result, { valid: true });
  const broken = JSON.parse(JSON.stringify(document)) as { info: { version?: string } };
  delete broken.info.version;
  t.match(await validate(broken as never), { valid: false }, "the validator would see a fault");
  const operations = Object.values(document.paths ?? {}).flatMap((item) => Object.values(item as object));
  t.equal(new Set(operations.map(({ operationId }) => operationId)).size, operations.length, "operation ids differ");
});

t.test("what is described is what is mounted, with the same access", async (t) => {
  const described = OPERATIONS.map(({ method, path, access }) => `${method.toUpperCase()} ${path} ${access}`).sort();
  const real = mounted.map(({ method, path, access, needs }) => {
    if (access === "own") return `${method} ${path} signed`;
    const isOpen = path === "/healthz" || path === "/livez";
    return `${method} ${path} ${access === "key" ? needs : isOpen ? "open" : (needs ?? "status")}`;
  });
  t.same(described, real.sort());
});

t.test("the table of docs/protocol.md is the same list", async (t) => {
  const page = readFileSync(join(packageRoot(), "docs/protocol.md"), "utf8");
  const rows = [...page.matchAll(/^\| (`(?:GET|POST) .*?) \| (\w+) \| .+ \|$/gm)];
  const shown = rows.flatMap(([, operations = "", needs]) =>
    [...operations.matchAll(/`(\w+ \S+)`/g)].map(([, operation]) => `${operation} ${needs}`),
  );
  t.same(
    shown.sort(),
    OPERATIONS.map(({ method, path, access }) => `${method.toUpperCase()} ${path} ${access}`).sort(),
  );
  const parameters = Object.keys(OPERATIONS.find(({ path }) => path === "/api/v1/alerts")?.query?.shape ?? {});
  const search = page.match(/`\?(domain=[^`]+)`/)?.[1] ?? "";
  t.same(
    search.split("&").map((part) => part.replace("=", "")),
    parameters,
  );
});

for (const transport of TRANSPORTS) {
  t.test(`${transport}: every operation takes the credential it says, and answers as described`, async (t) => {
    const doors = [
      githubDoor({ log, secrets: ["x"], localKey: "x", maxPayloadBytes: 1_000 }),
      telemetryDoor({ log, localKey: "x" }),
    ];
    const near = await startGateway(t, { transport, routes: doors });
    const far = await startGateway(t, { transport, routes: doors, host: "0.0.0.0", tokens: { secret: SECRET } });
    for (const { method, path, access, answers } of OPERATIONS) {
      const init = { method: method.toUpperCase(), ...(method === "post" ? { body: "{}" } : {}) };
      const local = await near.call(path, init);
      const remote = await far.call(path, init);
      const isOpen = access === "open";
      t.equal(remote.status === 401, !isOpen, `${path} from elsewhere: ${remote.status}`);
      t.equal(local.status === 401, !isOpen && access !== "status", `${path} on this machine: ${local.status}`);
      if (local.status === 401) continue;
      const [, type = ""] = answers[local.status] ?? [];
      t.ok(local.headers.get("content-type")?.startsWith(type) && type !== "", `${path}: ${type}`);
    }
    t.same(JSON.parse((await near.call("/openapi.json")).text), JSON.parse(JSON.stringify(openApiDocument())));
  });
}

t.test("the page shows every operation and schema, and loads nothing", async (t) => {
  const { body = "", headers = {} } = apiPage(openApiDocument());
  const html = String(body);
  for (const { method, path } of OPERATIONS) t.ok(html.includes(`${method.toUpperCase()} ${path}</code>`), path);
  for (const name of Object.keys(openApiDocument().components?.schemas ?? {}))
    t.ok(html.includes(`id="${name}"`), name);
  t.notMatch(html, /<script|src=|https?:\/\/(?!.*json-schema)/, "no script, nothing from elsewhere");
  t.match(headers["content-security-policy"], /default-src 'none'; style-src 'sha256-/);
  const markup = apiPage({
    info: { title: "<b>", description: "`<i>`" },
    paths: { "/<x>": { get: { responses: {} } } },
  });
  t.notMatch(String(markup.body), /<b>|<i>|<x>/, "text is never markup");
});

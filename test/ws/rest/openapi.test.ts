import { validate } from "@readme/openapi-parser";
import t from "tap";
import { githubDoor, telemetryDoor } from "../../../src/streams/index.js";
import { apiRoutes } from "../../../src/ws/api.js";
import { OPERATIONS, openApiDocument } from "../../../src/ws/rest/openapi.js";
import { apiPage } from "../../../src/ws/rest/page.js";
import { memoryLog } from "../../support/memory-log.js";

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

import { z } from "zod";
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiResponsesObject } from "zod-openapi";
import type { HttpReply, HttpRoute, Permission } from "../../core/index.js";
import {
  alertPage,
  alertSearch,
  aliveSchema,
  commandReply,
  commandRequest,
  idempotencyKey,
  problemSchema,
  queryAnswer,
  queryRequest,
  readySchema,
  statsSchema,
} from "./schemas.js";

/** Every operation of the port, as /openapi.json and /api show it. A test holds this list and the mounted routes equal. */
interface Operation {
  readonly method: "get" | "post";
  readonly path: string;
  readonly summary: string;
  /** `open`: no credential; `signed`: a signature over the body. Beyond loopback `status` takes a credential. */
  readonly access: Permission | "open" | "signed";
  readonly about?: string;
  readonly query?: z.ZodObject;
  readonly headers?: z.ZodObject;
  readonly body?: Readonly<Record<string, z.ZodType>>;
  /** Content type and schema of the answer, by status. */
  readonly answers: Readonly<Record<number, readonly [about: string, type: string, schema: z.ZodType]>>;
  /** Statuses of problems. */
  readonly problems?: readonly number[];
}

const JSON_TYPE = "application/json";
const PROBLEMS: Readonly<Record<number, string>> = {
  400: "the request cannot be understood",
  401: "no credential, or one that does not count",
  403: "the role may not",
  404: "there is no such channel",
  413: "the body is too large",
  415: "the body's encoding is not offered",
  422: "the idempotency key stands for another command",
  429: "too many requests; see Retry-After",
  503: "not available right now; see Retry-After",
};
const accepted = z.object({ accepted: z.number().int(), rejected: z.number().int() });
const text = z.string();

export const OPERATIONS: readonly Operation[] = [
  {
    method: "get",
    path: "/api/v1/alerts",
    summary: "Search alerts",
    access: "read",
    about: "The newest revision of each alert, newest first. Pass `next` as `cursor` for the page after.",
    query: alertSearch,
    answers: { 200: ["a page", JSON_TYPE, alertPage] },
    problems: [400, 503],
  },
  {
    method: "post",
    path: "/api/v1/commands",
    summary: "Give a command",
    access: "command",
    about: "Stored in the log and carried out from there. With Idempotency-Key it can be sent again without harm.",
    headers: z.object({ "idempotency-key": idempotencyKey.optional() }),
    body: { [JSON_TYPE]: commandRequest },
    answers: { 202: ["the log has it", JSON_TYPE, commandReply] },
    problems: [400, 413, 422, 503],
  },
  {
    method: "post",
    path: "/api/v1/query",
    summary: "Run read-only SQL",
    access: "query",
    about: "One SELECT, within limits of rows, time and memory. docs/tables.md describes the tables.",
    body: { [JSON_TYPE]: queryRequest, "text/plain": text.meta({ description: "SQL as it stands" }) },
    answers: { 200: ["rows; CSV when the format says so", JSON_TYPE, queryAnswer] },
    problems: [400, 413, 503],
  },
  {
    method: "get",
    path: "/api/v1/stats",
    summary: "Counters",
    access: "status",
    answers: { 200: ["everything received, stored and set aside", JSON_TYPE, statsSchema] },
  },
  {
    method: "post",
    path: "/api/v1/telemetry",
    summary: "Send readings",
    access: "ingest",
    about:
      "One reading, an array, or NDJSON; gzip is taken. Those rejected are kept as dead letters with their reason.",
    body: { [JSON_TYPE]: z.unknown(), "application/x-ndjson": text },
    answers: { 202: ["the log has all of them", JSON_TYPE, accepted] },
    problems: [413, 415, 503],
  },
  {
    method: "post",
    path: "/hooks/github",
    summary: "Take a GitHub delivery",
    access: "signed",
    headers: z.object({ "x-hub-signature-256": z.string(), "x-github-event": z.string() }),
    body: { [JSON_TYPE]: z.unknown() },
    answers: { 202: ["the log has it", JSON_TYPE, z.object({ accepted: z.literal(1) })] },
    problems: [401, 413, 503],
  },
  {
    method: "get",
    path: "/sse",
    summary: "One channel as server-sent events",
    access: "read",
    about: "For clients without WebSocket; docs/protocol.md says what comes. `Last-Event-ID` is where it stopped.",
    query: z.object({
      channel: z.string(),
      since: z.string().optional().meta({ description: "`<epoch>:<offset>`" }),
      filter: z.string().optional().meta({ description: "JSON, as in a subscribe frame" }),
      delivery: z.enum(["lossless", "latest", "sample"]).optional(),
      everyMs: z.number().int().optional(),
      flushMs: z.number().int().optional(),
    }),
    headers: z.object({ "last-event-id": z.string().optional() }),
    answers: { 200: ["events until either side ends it", "text/event-stream", text] },
    problems: [400, 404],
  },
  {
    method: "get",
    path: "/healthz",
    summary: "Alive? (the older name of /livez)",
    access: "open",
    answers: { 200: ["the process lives", JSON_TYPE, aliveSchema] },
  },
  {
    method: "get",
    path: "/livez",
    summary: "Alive?",
    access: "open",
    answers: { 200: ["the process lives", JSON_TYPE, aliveSchema] },
  },
  {
    method: "get",
    path: "/readyz",
    summary: "Ready?",
    access: "status",
    answers: { 200: ["ready", JSON_TYPE, readySchema], 503: ["not ready, with reasons", JSON_TYPE, readySchema] },
  },
  {
    method: "get",
    path: "/metrics",
    summary: "Metrics for Prometheus",
    access: "status",
    answers: { 200: ["text exposition format", "text/plain", text] },
  },
  {
    method: "get",
    path: "/openapi.json",
    summary: "This description",
    access: "status",
    answers: { 200: ["OpenAPI 3.1", JSON_TYPE, z.record(z.string(), z.unknown())] },
  },
  {
    method: "get",
    path: "/api",
    summary: "This description, to read",
    access: "status",
    answers: { 200: ["a page", "text/html", text] },
  },
];

/** OpenAPI 3.1 of `OPERATIONS`. */
export function openApiDocument(): ReturnType<typeof createDocument> {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const operation of OPERATIONS) {
    const item = paths[operation.path] ?? {};
    paths[operation.path] = { ...item, [operation.method]: describe(operation) };
  }
  return createDocument({
    openapi: "3.1.0",
    info: {
      title: "Millrace",
      version: "1.0.0",
      description:
        "Errors are application/problem+json (RFC 9457). HEAD works wherever GET does. Live data: docs/protocol.md.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    paths,
    components: {
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", description: "a JWT, a display token, an API key, or the local key" },
        query: { type: "apiKey", in: "query", name: "key", description: "the same, where headers cannot be set" },
      },
    },
  });
}

function describe(operation: Operation): ZodOpenApiOperationObject {
  const { method, path, summary, access, about, query, headers, body, answers } = operation;
  const isOpen = access === "open" || access === "signed";
  const needs = isOpen ? "" : `Needs the permission \`${access}\`.`;
  const onLoopback = access === "status" ? " Open on loopback." : "";
  const params = { ...(query ? { query } : {}), ...(headers ? { header: headers } : {}) };
  return {
    operationId: `${method}${path.replace(/\W+(\w)/g, (_, letter: string) => letter.toUpperCase()).replace(/\W/g, "")}`,
    summary,
    description: [about, `${needs}${onLoopback}`].filter(Boolean).join(" "),
    security: isOpen ? [] : [{ bearer: [] }, { query: [] }, ...(access === "status" ? [{}] : [])],
    ...(query || headers ? { requestParams: params } : {}),
    ...(body ? { requestBody: { required: true, content: contentOf(body) } } : {}),
    responses: responsesOf(operation, answers),
  };
}

function responsesOf({ access, problems = [] }: Operation, answers: Operation["answers"]): ZodOpenApiResponsesObject {
  const responses: Record<string, ZodOpenApiResponsesObject[`${1 | 2 | 3 | 4 | 5}${string}`]> = {};
  for (const [status, [description, type, schema]] of Object.entries(answers))
    responses[status] = { description, content: { [type]: { schema } } };
  const refusals = access === "open" ? [] : access === "signed" ? [429] : [401, 403, 429];
  for (const status of new Set([...problems, ...refusals]))
    responses[status] ??= {
      description: PROBLEMS[status] ?? "",
      content: { "application/problem+json": { schema: problemSchema } },
    };
  return responses as ZodOpenApiResponsesObject;
}

function contentOf(body: Readonly<Record<string, z.ZodType>>) {
  return Object.fromEntries(Object.entries(body).map(([type, schema]) => [type, { schema }]));
}

/** `GET /openapi.json` and `GET /api`. Both are made once. */
export function describingRoutes(
  page: (document: ReturnType<typeof openApiDocument>) => HttpReply,
): readonly HttpRoute[] {
  let document: ReturnType<typeof openApiDocument> | undefined;
  const made = () => {
    document ??= openApiDocument();
    return document;
  };
  const route = (path: string, reply: () => HttpReply): HttpRoute => ({
    method: "GET",
    path,
    access: "open",
    maxBodyBytes: 0,
    handle: async () => reply(),
  });
  return [
    route("/openapi.json", () => ({ status: 200, type: JSON_TYPE, body: JSON.stringify(made()) })),
    route("/api", () => page(made())),
  ];
}

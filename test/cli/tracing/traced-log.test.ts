// Traces from a door through the log to whoever reads it, sent to a collector over HTTP.
import t from "tap";
import { openTracing } from "../../../src/cli/tracing/tracing.js";
import type { HttpRoute, Log, LogMessage } from "../../../src/core/index.js";
import { httpRequest } from "../../support/http.js";
import { memoryLog } from "../../support/memory-log.js";
import { lineage, startCollector } from "./collector.js";

const SECRET = "s3cret-of-a-reading";
const TRACEPARENT = /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/;
type Scope = { teardown(work: () => unknown): void };

async function traced(t: Scope, more: Record<string, string>) {
  const collector = await startCollector();
  t.teardown(() => collector.close());
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_HEADERS: "x-team=rock", ...more };
  Object.assign(process.env, env); // the exporter reads its own
  const tracing = await openTracing(env);
  for (const name of Object.keys(env)) delete process.env[name];
  const log = memoryLog(() => "inc");
  for (const name of ["telemetry", "features"]) await log.ensureStream({ name, subjects: [`${name}.>`], maxBytes: 1 });
  return { collector, tracing, log };
}

function door(log: Log): HttpRoute {
  return {
    method: "POST",
    path: "/api/v1/telemetry",
    access: "key",
    maxBodyBytes: 1_000,
    async handle({ body }) {
      await log.publish({ subject: "telemetry.0.pump", data: body, headers: { "Millrace-Door": "http" } });
      return { status: 202 };
    },
  };
}

async function next(log: Log, stream: string): Promise<{ messages: readonly LogMessage[]; done: () => Promise<void> }> {
  const reader = await log.read({ stream, subjects: [`${stream}.>`], fromSequence: 1 });
  return { messages: await reader.next(100), done: () => reader.close() };
}

const output = (sequence: number) =>
  Buffer.from(`{"id":"inc/mine/0/${sequence}/1","kind":"feature","secret":"${SECRET}"}`);
const batch = (sequence: number) => ({
  stream: "features",
  task: "mine/0",
  messages: [
    { subject: "features.0.mine", data: output(sequence) },
    { subject: "features._at.x", data: Buffer.from('{"kind":"mark"}') },
  ],
  marker: { sequence, index: 1 },
  expectedAt: 0,
});

t.test("one trace from the door to the frame", async (t) => {
  const { collector, tracing, log } = await traced(t, { OTEL_TRACES_SAMPLER_ARG: "1", OTEL_SERVICE_NAME: "plant" });
  const route = tracing.route(door(tracing.log(log, { verb: "receive" })));
  const outer = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const body = Buffer.from(JSON.stringify({ secret: SECRET }));
  const headers = { traceparent: outer, authorization: `Bearer ${SECRET}` };
  t.match(await route.handle(httpRequest("/api/v1/telemetry", body, headers)), { status: 202 });

  const sourceOf = (task: string) => (task === "mine/0" ? "telemetry" : undefined);
  const process_ = tracing.log(log, { verb: "process", sourceOf });
  const input = await next(process_, "telemetry");
  t.match(input.messages[0]?.header("traceparent"), TRACEPARENT);
  t.equal(input.messages[0]?.header("Millrace-Door"), "http", "beside what was there");
  await process_.writeBatch(batch(1));
  await input.done();
  for (const verb of ["store", "deliver"]) {
    const { messages, done } = await next(tracing.log(log, { verb }), "features");
    t.same(messages.map(({ data }) => Buffer.from(data)).slice(0, 1), [output(1)], "the bytes are the same");
    t.notOk(messages[1]?.header("traceparent"), "marks carry nothing");
    await done();
  }
  await tracing.close();

  const { spans, bodies } = collector;
  t.same(new Set(spans.map(({ traceId }) => traceId)), new Set(["0af7651916cd43dd8448eb211c80319c"]), "the caller's");
  const path = ["POST /api/v1/telemetry", "publish", "process telemetry", "write features"];
  for (const verb of ["store", "deliver"]) {
    const span = spans.find(({ name }) => name === `${verb} features`);
    t.same(span && lineage(spans, span), [...path, `${verb} features`]);
  }
  t.equal(spans.length, 6);
  t.match(spans[0], { service: "plant" });
  t.match(
    spans.find(({ parentSpanId }) => parentSpanId === "b7ad6b7169203331"),
    {
      attributes: { "http.route": "/api/v1/telemetry", "http.response.status_code": 202 },
    },
  );
  t.match(bodies[0], /^\/v1\/traces\n.*"x-team":"rock"/);
  for (const text of bodies) t.notOk(text.includes(SECRET), "no data, no credential");
});

t.test("the share of traces is kept, and the rest carries nothing", async (t) => {
  const { collector, tracing, log } = await traced(t, { OTEL_TRACES_SAMPLER_ARG: "0.25" });
  const route = tracing.route(door(tracing.log(log, { verb: "receive" })));
  const sent = 2_000;
  for (let i = 0; i < sent; i++) await route.handle(httpRequest("/api/v1/telemetry", Buffer.from("{}")));
  const marked = (await readAll(log, sent)).filter((message) => message.header("traceparent") !== undefined).length;
  await tracing.close();
  // Six standard deviations of a binomial of 2,000 at a quarter.
  t.ok(Math.abs(marked - sent / 4) < 6 * Math.sqrt(sent * 0.25 * 0.75), `${marked} of ${sent}`);
  const named = (wanted: string) => collector.spans.filter(({ name }) => name === wanted).length;
  t.same([named("publish"), named("POST /api/v1/telemetry")], [marked, marked]);
});

t.test("what fails is marked, not described; nothing outside of requests begins a trace", async (t) => {
  const { collector, tracing, log } = await traced(t, { OTEL_TRACES_SAMPLER_ARG: "1" });
  const own = tracing.log(log, { verb: "notify" });
  await own.publish({ subject: "features.0.x", data: Buffer.from("{}") });
  await own.writeBatch(batch(1));
  await tracing.log(log, { verb: "receive", roots: true }).publish({ subject: "telemetry.0.x", data: output(1) });
  const away: Log = { ...log, publish: () => Promise.reject(new Error(SECRET)) };
  const route = tracing.route(door(tracing.log(away, { verb: "receive" })));
  await t.rejects(route.handle(httpRequest("/api/v1/telemetry", Buffer.from("{}"))), { message: SECRET });
  const { messages, done } = await next(own, "features");
  for (const message of messages) t.equal(message.header("traceparent"), undefined);
  await done();
  await tracing.close();
  t.same(collector.spans.map(({ name, failed }) => `${name} ${failed}`).sort(), [
    "POST /api/v1/telemetry true",
    "publish false",
    "publish true",
  ]);
  for (const text of collector.bodies) t.notOk(text.includes(SECRET));
});

t.test("off unless there is an endpoint; a wrong share is refused", async (t) => {
  const log = memoryLog();
  const route = door(log);
  for (const env of [{}, { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1", OTEL_SDK_DISABLED: "true" }]) {
    const tracing = await openTracing(env);
    t.equal(tracing.log(log, { verb: "process" }), log, "the log itself");
    t.equal(tracing.route(route), route);
    await tracing.close();
  }
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1", OTEL_TRACES_SAMPLER_ARG: "often" };
  await t.rejects(openTracing(env), { code: "MR_OPTION_INVALID", message: /often/ });
});

async function readAll(log: Log, count: number): Promise<LogMessage[]> {
  const reader = await log.read({ stream: "telemetry", subjects: ["telemetry.>"], fromSequence: 1 });
  const all: LogMessage[] = [];
  while (all.length < count) all.push(...(await reader.next(500)));
  await reader.close();
  return all;
}

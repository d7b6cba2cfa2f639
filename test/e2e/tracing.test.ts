// Traces of a whole instance: a request with a reading, through a task into the database, as a collector sees it.
import { rm } from "node:fs/promises";
import t from "tap";
import { lineage, startCollector } from "../cli/tracing/collector.js";
import { startMillrace, temporaryDir, waitFor } from "../support/millrace.js";

t.test("from the door to the database, over three threads", { timeout: 120_000 }, async (t) => {
  const collector = await startCollector();
  t.teardown(() => collector.close());
  Object.assign(process.env, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_TRACES_SAMPLER_ARG: "1" });
  const dataDir = temporaryDir("tracing");
  const millrace = await startMillrace(dataDir, ["--no-replay"]);
  t.teardown(async () => {
    await millrace.stop();
    await rm(dataDir, { recursive: true, force: true });
  });
  const { url } = millrace.instance;
  const post = async (ts: number) => {
    const reading = { site: "north", equipment: "pump-1", group: "g", ts, values: { pressure: 3.5 } };
    const headers = { authorization: `Bearer ${millrace.key}` };
    const { status } = await fetch(`${url}/api/v1/telemetry`, {
      method: "POST",
      headers,
      body: JSON.stringify(reading),
    });
    t.equal(status, 202);
  };
  for (let i = 0; i < 5; i++) await post(Date.now());
  const found = await waitFor(60_000, async () => {
    const span = collector.spans.find((one) => one.name === "store accepted");
    const path = span === undefined ? [] : lineage(collector.spans, span);
    return path.length === 5 ? path : undefined; // each thread sends its own, so parents may come after
  });
  t.same(found, ["POST /api/v1/telemetry", "publish", "process telemetry", "write accepted", "store accepted"]);
  t.same(new Set(collector.spans.map(({ service }) => service)), new Set(["millrace"]));
  for (const body of collector.bodies)
    for (const secret of [millrace.key, "pump-1", "pressure"]) t.notOk(body.includes(secret), "no credential, no data");
});

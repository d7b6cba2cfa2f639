import fc from "fast-check";
import t from "tap";
import type { Alert, Caller, HttpRequest } from "../../../src/core/index.js";
import { createLogger } from "../../../src/core/logger.js";
import {
  connectClickhouse,
  createClickhouseSink,
  createQueryRunner,
  createSinkTask,
} from "../../../src/sinks/index.js";
import { alertsRoute } from "../../../src/ws/rest/alerts.js";
import { alertPage, DOMAINS } from "../../../src/ws/rest/schemas.js";
import { memoryLog } from "../../support/memory-log.js";
import { memoryRegisters } from "../../support/memory-registers.js";

type Stored = Alert & { readonly id: string };

const SEED = 20261120;
const START_MS = Date.UTC(2026, 10, 20);
const NASTY = ["'", "\\", "') OR 1=1 --", "%", "_", "é🚚", "\n", "\0", "Ünder", "unhex('41')"];
const viewer: Caller = { subject: "user:v", role: "viewer" };

function alert(n: number, more: Partial<Stored> = {}): Stored {
  const at = (ms: number) => new Date(START_MS + ms).toISOString();
  return {
    id: `inc/p/0/${n}/0`,
    schema: "millrace.alert/1",
    fingerprint: `f${n % 40}`,
    revision: 1 + Math.floor(n / 40),
    state: n % 3 === 0 ? "resolved" : "firing",
    rule: "mine.fuel",
    pipeline: "mine.telemetry",
    severity: (["info", "warning", "critical"] as const)[(n % 40) % 3] ?? "info",
    domain: DOMAINS[(n % 40) % 4] ?? "mine",
    key: `truck-${n % 40}`,
    labels: { site: "minez" },
    title: `Fuel ${NASTY[n % NASTY.length]} high`,
    ts: at(Math.floor(n / 3) * 1_000), // several at one time
    window: { start: at(0), end: at(60_000) },
    detector: n % 2 ? "lof" : null,
    score: n % 2 ? 2.5 : null,
    value: n,
    expected: n % 2 ? { low: 1, high: 2 } : null,
    evidence: [{ stream: "telemetry", sequence: n + 1, index: 0 }],
    ...more,
  };
}

t.test("search over a real ClickHouse", { timeout: 120_000 }, async (t) => {
  const log = memoryLog();
  await log.ensureStream({ name: "alerts", subjects: ["alerts.>"], maxBytes: 1 });
  const all = Array.from({ length: 100 }, (_, n) => alert(n));
  for (const one of all)
    await log.publish({ subject: `alerts.0.${one.domain}`, data: Buffer.from(JSON.stringify(one)) });
  const clickhouse = await connectClickhouse({ path: t.testdir({}) });
  const sink = createClickhouseSink(clickhouse);
  await sink.open();
  const stop = new AbortController();
  const onPoison = async () => t.bailout("a row was refused");
  const task = createSinkTask({
    log,
    registers: memoryRegisters(),
    sink,
    stream: "alerts",
    onPoison,
    logger: createLogger("silent"),
  });
  const running = task.run(stop.signal);
  while (task.stored("alerts") < all.length) await new Promise((resolve) => setTimeout(resolve, 20));
  stop.abort();
  await running;
  t.teardown(() => clickhouse.close());
  const run = createQueryRunner(clickhouse);
  const query = async (sql: string) => {
    const { columns, ...rest } = await run(sql);
    return { columns: columns.map(({ name }) => name), ...rest };
  };
  let mayRead = (_caller: Caller, channel: string): boolean => channel === "alerts";
  const route = alertsRoute(query, (caller, channel) => mayRead(caller, channel));
  const ask = async (parameters: Record<string, string>, caller = viewer) => {
    const reply = await route.handle({ query: new URLSearchParams(parameters), caller } as HttpRequest);
    return { status: reply.status, body: JSON.parse(String(reply.body)) as { alerts: Stored[]; next: string | null } };
  };
  /** What the answer must be, by plain code. */
  const model = (wanted: (one: Stored) => boolean) => {
    const newest = new Map<string, Stored>();
    for (const one of all)
      if (one.revision >= (newest.get(one.fingerprint)?.revision ?? 0)) newest.set(one.fingerprint, one);
    const order = (a: Stored, b: Stored) =>
      Date.parse(b.ts) - Date.parse(a.ts) ||
      (a.fingerprint < b.fingerprint ? 1 : a.fingerprint > b.fingerprint ? -1 : 0);
    return [...newest.values()].filter(wanted).sort(order);
  };

  const { body } = await ask({});
  t.strictSame(
    body.alerts,
    model(() => true),
    "all of them, as they were sent, the newest revision of each",
  );
  t.equal(body.next, null);
  t.same(alertPage.safeParse(body).error?.issues ?? [], [], "as /openapi.json says");

  t.comment(`seed ${SEED}`);
  const wish = fc.record(
    {
      domain: fc.constantFrom(...DOMAINS),
      severity: fc.constantFrom("info", "warning", "critical"),
      state: fc.constantFrom("firing", "resolved"),
      from: fc.integer({ min: 0, max: 35 }).map((s) => new Date(START_MS + s * 1_000).toISOString()),
      to: fc.integer({ min: 0, max: 35 }).map((s) => String(START_MS + s * 1_000)),
      q: fc.oneof(
        fc.constantFrom(...NASTY, "TRUCK-1", "fuel"),
        fc.string({ minLength: 1, maxLength: 8, unit: "binary" }),
      ),
    },
    { requiredKeys: [] },
  );
  const property = fc.asyncProperty(wish, fc.integer({ min: 1, max: 12 }), async (wanted, limit) => {
    const { domain, severity, state, from, to, q } = wanted;
    const expected = model(
      (one) =>
        (!domain || one.domain === domain) &&
        (!severity || one.severity === severity) &&
        (!state || one.state === state) &&
        (!from || Date.parse(one.ts) >= Date.parse(from)) &&
        (!to || Date.parse(one.ts) < Number(to)) &&
        (!q || [one.title, one.key, one.rule].some((text) => text.toLowerCase().includes(q.toLowerCase()))),
    );
    const found: Stored[] = [];
    for (let cursor: string | null = ""; cursor !== null; ) {
      const { body: page } = await ask({ ...wanted, limit: String(limit), ...(cursor ? { cursor } : {}) });
      found.push(...page.alerts);
      cursor = page.next;
    }
    const names = (alerts: readonly Stored[]) => alerts.map(({ id }) => id).join(" ");
    if (names(found) !== names(expected)) throw new Error(`${names(found)} instead of ${names(expected)}`);
  });
  await t.resolves(fc.assert(property, { seed: SEED, numRuns: 40 }), "filters and pages, whatever the text");

  const refused: [name: string, parameters: Record<string, string>, detail: RegExp][] = [
    ["unknown parameter", { limt: "1" }, /limt/],
    ["domain", { domain: "moon" }, /domain/],
    ["time", { from: "yesterday" }, /from/],
    ["limit", { limit: "501" }, /limit/],
    ["cursor", { cursor: "x" }, /cursor/],
    ["cursor of another shape", { cursor: Buffer.from('["1 OR 1=1","x"]').toString("base64url") }, /cursor/],
  ];
  for (const [name, parameters, message] of refused)
    await t.rejects(ask(parameters), { code: "MR_REQUEST_INVALID", message }, name);
  t.equal((await ask({ key: "secret", limit: "1" })).status, 200, "the key may stand in the address");

  mayRead = (_caller, channel) => channel === "alerts.github";
  t.same(
    new Set((await ask({})).body.alerts.map(({ domain }) => domain)),
    new Set(["github"]),
    "only what one may read",
  );
  t.equal((await ask({ domain: "mine" })).status, 403);
  mayRead = () => false;
  t.equal((await ask({})).status, 403);
});

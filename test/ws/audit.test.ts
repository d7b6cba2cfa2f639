import t from "tap";
import { createLogger } from "../../src/core/logger.js";
import { type AuditEntry, createAuditTrail } from "../../src/ws/audit.js";
import { readAll } from "../support/log.js";
import { memoryLog } from "../support/memory-log.js";

const logger = createLogger("silent");

async function setup() {
  const log = memoryLog();
  await log.ensureStream({ name: "audit", subjects: ["audit.>"], maxBytes: 1 });
  const counts: Record<string, number> = {};
  const metrics = {
    audited(result: string) {
      counts[result] = (counts[result] ?? 0) + 1;
    },
  };
  let nowMs = 1_000;
  const trail = createAuditTrail({ log, logger, metrics, nowMs: () => nowMs++ });
  const messages = async () =>
    (await readAll(log, "audit", "audit.gateway")).map(({ data }) => Buffer.from(data).toString());
  const entries = async () =>
    (await messages()).flatMap((text) => text.split("\n").map((line) => JSON.parse(line) as AuditEntry));
  return { log, trail, counts, messages, entries };
}

const alice = { subject: "user:alice", address: "203.0.113.7" };

t.test("equal entries become one with a count; others stand alone", async (t) => {
  const { trail, entries, messages, counts } = await setup();
  for (let i = 0; i < 3; i++) trail.record(alice, "GET /api/v1/stats", "ok");
  trail.record(alice, "GET /api/v1/stats", "permission");
  trail.record({ ...alice, address: "203.0.113.8" }, "GET /api/v1/stats", "ok");
  await trail.close();
  t.equal((await messages()).length, 1, "one message");
  const entry = { kind: "audit", who: "user:alice", address: "203.0.113.7", what: "GET /api/v1/stats" };
  t.same(await entries(), [
    { ...entry, tsMs: 1_000, untilMs: 1_002, result: "ok", count: 3 },
    { ...entry, tsMs: 1_003, untilMs: 1_003, result: "permission", count: 1 },
    { ...entry, address: "203.0.113.8", tsMs: 1_004, untilMs: 1_004, result: "ok", count: 1 },
  ]);
  t.same(counts, { ok: 4, permission: 1 });
});

t.test("a flood costs a bounded message, and every entry of it is counted", async (t) => {
  const { trail, entries, messages } = await setup();
  for (let i = 0; i < 20_000; i++)
    trail.record({ subject: "unknown", address: `2001:db8::${i}` }, "connect", "bad-credential");
  trail.record(alice, "connect", "ok");
  await trail.close();
  const all = await entries();
  t.equal(all.length, 1_002);
  t.equal(
    all.reduce((sum, { count }) => sum + count, 0),
    20_001,
  );
  t.match(all.at(-2), { who: "many", address: "", result: "bad-credential", count: 19_000 });
  t.match(all.at(-1), { who: "many", result: "ok", count: 1 });
  t.ok(((await messages())[0]?.length ?? 0) < 256 * 1024);
});

t.test(
  "written by itself, twice a second at most; what the log does not take waits",
  { timeout: 60_000 },
  async (t) => {
    const { log, trail, entries, messages } = await setup();
    const publish = log.publish;
    let isDown = true;
    let tries = 0;
    log.publish = async (message) => {
      tries++;
      if (isDown) throw new Error("away");
      return publish(message);
    };
    trail.record(alice, "connect", "ok");
    while (tries === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    trail.record(alice, "connect", "ok");
    isDown = false;
    while ((await messages()).length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    t.match(await entries(), [{ who: "user:alice", tsMs: 1_000, count: 2 }]);
    await trail.close();
    t.equal((await messages()).length, 1, "nothing twice");
  },
);

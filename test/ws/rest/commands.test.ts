import t from "tap";
import type { Caller, HttpRequest } from "../../../src/core/index.js";
import { connectLog, streamSpecs } from "../../../src/streams/index.js";
import { commandsRoute } from "../../../src/ws/rest/commands.js";
import { commandReply } from "../../../src/ws/rest/schemas.js";
import { httpRequest } from "../../support/http.js";
import { readAll } from "../../support/log.js";
import { startNats } from "../../support/nats.js";

const operator: Caller = { subject: "user:olga", role: "operator" };
const manager: Caller = { subject: "user:max", role: "manager" };
const ack = { command: "ack", target: "f1", args: { shift: 2 }, reason: "seen" };

t.test("commands on a real log", async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const connection = await connectLog({ url: nats.url, name: "test", timeoutMs: 1_000 });
  t.teardown(() => connection.close());
  const { log } = connection;
  for (const spec of streamSpecs(1, 50_000_000)) if (spec.name === "commands") await log.ensureStream(spec);
  const route = commandsRoute(log, () => Date.UTC(2026, 10, 20));
  const send = async (body: unknown, { key, caller = operator }: { key?: string; caller?: Caller } = {}) => {
    const bytes = Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
    const request: HttpRequest = {
      ...httpRequest("/api/v1/commands", bytes, key === undefined ? {} : { "idempotency-key": key }),
      caller,
    };
    const reply = await route.handle(request);
    return { status: reply.status, body: JSON.parse(String(reply.body)) as Record<string, unknown> };
  };
  const stored = async () => (await readAll(log, "commands", "commands.>")).length;

  const first = await send(ack, { key: "k1" });
  t.equal(first.status, 202);
  t.ok(commandReply.safeParse(first.body).success, "as /openapi.json says");
  t.match(first.body, { command: "ack", target: "f1", ts: "2026-11-20T00:00:00.000Z", repeated: false });
  const [message] = await readAll(log, "commands", "commands.>");
  t.equal(message?.subject, `commands.${first.body["id"]}`);
  t.same(JSON.parse(Buffer.from(message?.data ?? "").toString()), {
    schema: "millrace.command/1",
    id: first.body["id"],
    ...ack,
    by: "user:olga",
    role: "operator",
    ts: "2026-11-20T00:00:00.000Z",
  });

  t.same((await send(ack, { key: "k1" })).body, { ...first.body, repeated: true }, "again: answered as the first was");
  t.same((await send({ reason: "seen", args: { shift: 2 }, target: "f1", command: "ack" }, { key: "k1" })).status, 202);
  t.equal(await stored(), 1, "and stored once");
  t.equal((await send({ ...ack, target: "f2" }, { key: "k1" })).status, 422, "another command under the same key");
  t.equal((await send(ack, { key: "k1", caller: manager })).status, 202, "keys of different people do not meet");
  t.equal(await stored(), 2);
  await send(ack);
  await send(ack);
  t.equal(await stored(), 4, "without a key each is a command of its own");

  const same = await Promise.all(Array.from({ length: 8 }, () => send(ack, { key: "at-once" })));
  t.equal(same.filter(({ body }) => body["repeated"] === false).length, 1, "eight at once: one is stored");
  t.equal(new Set(same.map(({ body }) => body["id"])).size, 1);
  t.equal(await stored(), 5);

  t.equal((await send({ ...ack, command: "suppress" })).status, 403, "not for operators");
  t.equal((await send({ ...ack, command: "suppress" }, { caller: manager })).status, 202);
  t.equal((await send(ack, { caller: { subject: "key:p", role: undefined } })).status, 403, "not for API keys");
  const wrong: [body: unknown, key: string | undefined, message: RegExp][] = [
    ["no", undefined, /not JSON/],
    [{ ...ack, command: "explode" }, undefined, /command/],
    [{ ...ack, target: "" }, undefined, /target/],
    [{ ...ack, args: { deep: {} } }, undefined, /args/],
    [{ ...ack, extra: 1 }, undefined, /extra/],
    [{ ...ack, args: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`a${i}`, i])) }, undefined, /at most 32/],
    [ack, "two words", /printable/],
    [ack, "x".repeat(201), /printable/],
  ];
  for (const [body, key, message] of wrong)
    await t.rejects(send(body, key === undefined ? {} : { key }), { code: "MR_REQUEST_INVALID", message });
  await nats.kill();
  await t.rejects(send(ack, { key: "later" }), { code: "MR_LOG_UNAVAILABLE" });
});

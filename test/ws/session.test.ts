import t from "tap";
import type { Identity } from "../../src/ws/access/identity.js";
import { poll } from "./conformance.js";
import { ALARMS, assertChain, numbers, settle, setup } from "./rig.js";

const GREETED = "millrace.v1";
const user = (subject: string, expiresAtMs = Number.POSITIVE_INFINITY): Identity => ({
  subject,
  role: "operator",
  expiresAtMs,
  limited: true,
});

t.test("who names the protocol is greeted, and hears how far it is", async (t) => {
  const gateway = await setup({ heartbeatMs: 60 });
  const plain = gateway.connect();
  const greeted = gateway.connect(GREETED, user("user:ana"));
  t.match(greeted.frames, [
    { op: "hello", protocol: GREETED, client: /^[0-9a-f]{16}$/, user: "user:ana", heartbeatMs: 60 },
  ]);
  t.notOk("expiresInMs" in (greeted.frames[0] ?? {}));
  const mortal = gateway.connect(GREETED, user("user:bo", Date.now() + 60_000));
  t.match(mortal.frames[0], { expiresInMs: Number });
  for (const client of [plain, greeted])
    client.say({ op: "subscribe", id: 1, channel: "alerts", filter: { eq: ["n", 1] } });
  await gateway.alert(1);
  await gateway.alert(2);
  await poll(() => greeted.frames.some(({ op, at }) => op === "heartbeat" && (at as { alerts?: number }).alerts === 2));
  t.notOk(plain.frames.some(({ op }) => op === "heartbeat" || op === "hello"));
  t.same(numbers(greeted), [1]);
  const beat = greeted.frames.findLast(({ op }) => op === "heartbeat");
  const again = gateway.connect();
  again.say({
    op: "subscribe",
    id: 1,
    channel: "alerts",
    since: { epoch: "epoch-1", offset: (beat as { at: { alerts: number } }).at.alerts },
  });
  await settle();
  t.match(again.frames, [{ recovered: true, offset: 2 }], "a heartbeat's offset is good as since");
  await gateway.close();
});

t.test("a token that ends, ends the connection; a fresh one keeps it", async (t) => {
  let nowMs = 1_000;
  const gateway = await setup({ heartbeatMs: 20 }, undefined, [], () => nowMs);
  const ending = gateway.connect(GREETED, user("user:ana", 2_000));
  t.match(ending.frames[0], { expiresInMs: 1_000 });
  nowMs = 2_000;
  await poll(() => ending.ends.length > 0);
  t.match(ending.ends, [{ code: 3005, reason: /fresh/ }]);
  const answers = ({ frames }: typeof ending) => frames.filter(({ op }) => op === "error" || op === "refreshed");
  const wrong = gateway.connect(GREETED, user("user:ana"));
  wrong.say({ op: "refresh", id: 3, token: "not-one" });
  await settle();
  t.match(answers(wrong), [{ op: "error", id: 3, code: "unauthorized" }]);
  const local = gateway.connect(GREETED, { ...user("local", 3_000), role: "admin" });
  local.say({ op: "refresh", id: 4, token: "a-local-key" });
  await settle();
  t.match(answers(local), [{ op: "refreshed", id: 4 }]);
  const control = gateway.connect(GREETED, user("user:bo", 3_000));
  nowMs = 4_000;
  await poll(() => control.ends.length > 0);
  t.same(local.ends, [], "it has no end now");
  await gateway.close();
});

t.test("a client says what has arrived; one that did and no longer does is told to come back", async (t) => {
  const gateway = await setup({ heartbeatMs: 20 });
  const [reporting, silent] = [gateway.connect(GREETED), gateway.connect(GREETED)];
  const beats = ({ frames }: typeof silent) => frames.filter(({ op }) => op === "heartbeat").length;
  for (const client of [reporting, silent]) client.say({ op: "subscribe", id: 1, channel: "alerts" });
  for (let n = 1; n <= 8; n++) await gateway.alert(n);
  await settle();
  reporting.say({ op: "seen", at: { alerts: 3, features: 9, ["__proto__"]: 1 } });
  const behind = async () => /unseen_offsets_sum\{channel="alerts"\} (\d+)/.exec(await gateway.metrics.text())?.[1];
  t.equal(await behind(), "5", "events 4 to 8 are on their way");
  reporting.say({ op: "seen", at: { alerts: 9 } });
  const before = beats(reporting);
  t.equal(await behind(), "5", "more than was sent is nothing behind");
  reporting.say({ op: "seen", at: { alerts: -1 } });
  t.match(reporting.frames.at(-1), { op: "error", code: "bad_request" });
  await poll(() => reporting.ends.length > 0);
  t.match(reporting.ends, [{ code: 3008 }]);
  t.equal(beats(reporting) - before, 3, "three heartbeats went unanswered");
  await poll(() => beats(silent) > 5);
  t.same(silent.ends, [], "who never said anything is not expected to");
  await gateway.close();
});

t.test("MessagePack: the same frames", async (t) => {
  const gateway = await setup({}, undefined, [ALARMS]);
  await settle();
  const packed = gateway.connect("millrace.v1.msgpack");
  const text = gateway.connect(GREETED);
  for (const client of [packed, text]) {
    client.say({ op: "subscribe", id: 1, channel: "alerts", filter: { range: ["n", { gte: 1.5 }] } });
    client.say({ op: "subscribe", id: 2, channel: "alarms" });
  }
  for (let n = 1; n <= 3; n++) await gateway.alert(n, { key: `k${n}`, ü: null, deep: { list: [1, "a", true] } });
  await settle();
  for (const client of [packed, text]) client.say({ op: "ping", id: 9 });
  const but = (frames: readonly Record<string, unknown>[]) => frames.slice(1);
  t.same(but(packed.frames), but(text.frames));
  t.match(packed.frames[0], { op: "hello", protocol: "millrace.v1.msgpack" });
  packed.listener.message(Buffer.from([0xc1]));
  t.match(packed.frames.at(-1), { op: "error", id: null, code: "bad_request" });
  packed.listener.message(Buffer.from([0x81, 0xa9, ...Buffer.from("__proto__"), 0x80]));
  t.match(packed.frames.at(-1), { op: "error", id: null, code: "bad_request" });
  await gateway.close();
});

t.test("a state channel: what is, then what changes; after a gap all of it again", async (t) => {
  const gateway = await setup(
    {},
    async (log) => {
      for (const [n, key, state] of [
        [1, "a", "firing"],
        [2, "b", "firing"],
        [3, "a", "resolved"],
        [4, "c", "firing"],
      ] as const)
        await log.publish({ subject: "alerts.0.mine", data: Buffer.from(JSON.stringify({ n, key, state })) });
      await log.publish({ subject: "alerts._at.task", data: Buffer.from("{}") });
    },
    [ALARMS],
  );
  await poll(async () => {
    const probe = gateway.connect();
    probe.say({ op: "subscribe", id: 1, channel: "alarms" });
    return probe.frames[0]?.op === "subscribed";
  });
  const keys = (frame: Record<string, unknown> | undefined) =>
    ((frame?.data ?? []) as { key: string }[]).map(({ key }) => key);
  const a = gateway.connect();
  a.say({ op: "subscribe", id: 1, channel: "alarms" });
  t.match(a.frames, [
    { op: "subscribed", offset: 4, state: true },
    { op: "state", offset: 4, last: true },
  ]);
  t.same(keys(a.frames[1]), ["b", "c"]);
  await gateway.alert(5, { key: "b", state: "resolved" });
  await settle();
  t.match(a.frames.at(-1), { op: "event", offset: 6, prev: 4 });
  const filtered = gateway.connect();
  filtered.say({ op: "subscribe", id: 1, channel: "alarms", filter: { eq: ["key", "nobody"] } });
  t.match(filtered.frames.at(-1), { op: "state", data: [], last: true });
  const back = gateway.connect();
  back.say({ op: "subscribe", id: 1, channel: "alarms", since: { epoch: "epoch-1", offset: 3 } });
  await settle();
  t.same(
    back.frames.map(({ op }) => op),
    ["subscribed", "event", "event"],
    "recovered: no state",
  );
  t.match(back.frames[0], { recovered: true, offset: 3 });
  const lost = gateway.connect();
  lost.say({ op: "subscribe", id: 1, channel: "alarms", since: { epoch: "other", offset: 3 } });
  t.match(lost.frames, [
    { recovered: false, offset: 6, state: true },
    { op: "state", last: true },
  ]);
  t.same(keys(lost.frames[1]), ["c"]);
  for (let n = 0; n < 100; n++) await gateway.alert(100 + n, { key: `big-${n}`, text: "x".repeat(1_000) });
  await settle();
  const big = gateway.connect();
  big.say({ op: "subscribe", id: 1, channel: "alarms" });
  const states = big.frames.slice(1);
  t.ok(states.length > 3, `${states.length} frames`);
  t.same(
    states.map(({ last }) => last),
    [...states.slice(1).map(() => false), true],
  );
  t.equal(states.flatMap(keys).length, 101);
  for (const client of [a, back]) assertChain(client);
  await gateway.close();
});

t.test("presence: who is there, who comes and goes", async (t) => {
  const gateway = await setup({}, undefined, [ALARMS]);
  await settle();
  const [ana, bo] = [gateway.connect(GREETED, user("user:ana")), gateway.connect(GREETED, user("user:bo"))];
  ana.say({ op: "subscribe", id: 1, channel: "alarms", presence: true });
  bo.say({ op: "subscribe", id: 1, channel: "alarms" });
  bo.say({ op: "presence", id: 2, channel: "alarms" });
  t.match(bo.frames.at(-1), { op: "presence", id: 2, here: [{ user: "user:ana" }, { user: "user:bo", since: /Z$/ }] });
  bo.say({ op: "unsubscribe", id: 3, channel: "alarms" });
  const client = bo.frames[0]?.client;
  t.match(ana.frames.slice(-2), [
    { op: "join", channel: "alarms", user: "user:bo", client },
    { op: "leave", channel: "alarms", user: "user:bo", client },
  ]);
  bo.say({ op: "presence", id: 4, channel: "alerts" });
  t.match(bo.frames.at(-1), { op: "error", id: 4, code: "not_offered" });
  bo.say({ op: "subscribe", id: 5, channel: "alerts", presence: true });
  t.match(bo.frames.at(-1), { op: "error", id: 5, code: "not_offered" });
  bo.say({ op: "subscribe", id: 6, channel: "alarms" });
  const before = ana.frames.length;
  bo.listener.close(1006);
  t.match(ana.frames.slice(before), [{ op: "leave", user: "user:bo" }], "a lost connection leaves too");
  await gateway.close();
});

t.test("a gateway that stops says so, then closes one after the other", async (t) => {
  const gateway = await setup({ drainMs: 200 });
  const clients = Array.from({ length: 10 }, () => gateway.connect(GREETED));
  const closing = gateway.hub.close(500);
  t.ok(clients.every(({ frames }) => frames.at(-1)?.op === "drain"));
  t.match(clients[0]?.frames.at(-1), { withinMs: 200 });
  t.equal(clients.filter(({ ends }) => ends.length > 0).length, 1, "not all at once");
  await poll(() => clients.filter(({ ends }) => ends.length > 0).length >= 5);
  t.ok(
    clients.some(({ ends }) => ends.length === 0),
    "half of them are still served",
  );
  await closing;
  t.ok(clients.every(({ ends }) => ends[0]?.code === 1001));
  await gateway.close();
});

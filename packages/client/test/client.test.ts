import t from "tap";
import { connect, type Status, type Update } from "../src/node.js";
import { type Scripted, scripted } from "./scripted.js";

const SOON = { firstMs: 1, lastMs: 5 };
const event = (offset: number, prev: number, data: unknown = offset) => ({
  op: "event",
  channel: "alerts",
  offset,
  prev,
  data,
});

t.setTimeout(60_000);

t.test("a client", async (t) => {
  let gateway: Scripted;
  t.beforeEach(async () => {
    gateway = await scripted();
  });
  t.afterEach(() => gateway.close());

  t.test("reads events in order, with the token in the address", async (t) => {
    const client = connect(gateway.url, { token: "t&1" });
    const alerts = client.subscribe<number>("alerts", { filter: { eq: ["severity", "critical"] } });
    const visit = await gateway.visit();
    t.equal(visit.path, "/ws?token=t%261");
    visit.hello();
    const asked = await visit.subscribed({ epoch: "e", offset: 3 });
    t.match(asked, { channel: "alerts", filter: { eq: ["severity", "critical"] } });
    t.notHas(asked, { since: {} });
    visit.say(event(5, 3), event(6, 5));
    t.same(await take(alerts, 2), [
      { kind: "event", data: 5, offset: 5 },
      { kind: "event", data: 6, offset: 6 },
    ]);
    t.equal(client.status.kind, "open");
    client.close();
    t.equal(client.status.kind, "ended");
  });

  t.test("comes back after a lost line with its place, and says nothing twice", async (t) => {
    const seen: Update<number>[] = [];
    const states: Status[] = [];
    const client = connect(gateway.url, { backoff: SOON, onStatus: (status) => states.push(status) });
    const alerts = client.subscribe<number>("alerts", {}, (update) => seen.push(update));
    const first = await gateway.visit();
    first.hello();
    await first.subscribed({ epoch: "e", offset: 3 });
    first.say(event(5, 3), { op: "heartbeat", at: { alerts: 9, unknown: 1 } });
    await until(() => alerts.position?.offset === 9);
    t.same(await first.next(), { op: "seen", at: { alerts: 9, unknown: 1 } }, "what has arrived is said");
    first.cut();
    const second = await gateway.visit();
    second.hello();
    const asked = await second.subscribed({ epoch: "e", offset: 9, recovered: true });
    t.same(asked.since, { epoch: "e", offset: 9 });
    second.say(event(11, 9));
    await until(() => seen.length === 2);
    t.same(seen, [
      { kind: "event", data: 5, offset: 5 },
      { kind: "event", data: 11, offset: 11 },
    ]);
    t.same(
      states.map(({ kind }) => kind),
      ["connecting", "open", "waiting", "connecting", "open"],
    );
    client.close();
  });

  t.test("says a gap when the past is gone, and goes on", async (t) => {
    const client = connect(gateway.url);
    const alerts = client.subscribe<number>("alerts", { since: { epoch: "old", offset: 7 } });
    const visit = await gateway.visit();
    visit.hello();
    const asked = await visit.subscribed({ epoch: "new", offset: 40, recovered: false });
    t.same(asked.since, { epoch: "old", offset: 7 });
    visit.say(event(41, 40));
    t.same(await take(alerts, 2), [
      { kind: "gap", since: { epoch: "old", offset: 7 }, position: { epoch: "new", offset: 40 } },
      { kind: "event", data: 41, offset: 41 },
    ]);
    t.same(alerts.position, { epoch: "new", offset: 41 });
    client.close();
  });

  t.test("asks again for what is missing in between", async (t) => {
    const client = connect(gateway.url);
    const alerts = client.subscribe<number>("alerts");
    const visit = await gateway.visit();
    visit.hello();
    await visit.subscribed({ epoch: "e", offset: 0 });
    visit.say(event(1, 0), event(3, 2), event(4, 3)); // 2 was lost on the way
    t.match(await visit.next(), { op: "unsubscribe", channel: "alerts" });
    const again = await visit.subscribed({ epoch: "e", offset: 1, recovered: true });
    t.same(again.since, { epoch: "e", offset: 1 });
    visit.say(event(2, 1), event(3, 2), event(4, 3));
    t.same(await offsets(alerts, 4), [1, 2, 3, 4]);
    client.close();
  });

  t.test("a reader that falls behind pauses the channel and reads the rest from the log", async (t) => {
    const client = connect(gateway.url);
    const alerts = client.subscribe<number>("alerts", { buffer: 4 });
    const visit = await gateway.visit();
    visit.hello();
    await visit.subscribed({ epoch: "e", offset: 0 });
    for (let n = 1; n <= 9; n++) visit.say(event(n, n - 1));
    t.match(await visit.next(), { op: "unsubscribe" });
    t.same(await offsets(alerts, 1), [1]);
    t.same(alerts.position, { epoch: "e", offset: 1 }, "the place of the reader, not of the queue");
    t.same(await offsets(alerts, 2), [2, 3], "half the buffer is free");
    const again = await visit.subscribed({ epoch: "e", offset: 5, recovered: true });
    t.same(again.since, { epoch: "e", offset: 5 });
    for (let n = 6; n <= 9; n++) visit.say(event(n, n - 1));
    t.same(await offsets(alerts, 6), [4, 5, 6, 7, 8, 9]);
    client.close();
  });

  t.test("without history the oldest go, and are counted", async (t) => {
    const client = connect(gateway.url);
    const stats = client.subscribe<number>("stats", { buffer: 2 });
    const alerts = client.subscribe<number>("alerts");
    const visit = await gateway.visit();
    visit.hello();
    await visit.subscribed({ epoch: "e", offset: 0, history: false });
    await visit.subscribed({ epoch: "e", offset: 0 });
    for (let n = 1; n <= 5; n++) visit.say({ ...event(n, n - 1), channel: "stats" });
    visit.say({ op: "dropped", channel: "stats", count: 7, reason: "conflated" });
    visit.say(event(1, 0));
    await take(alerts, 1); // what was said before it has been heard
    const all = await take(stats, 3);
    t.same(all[0], { kind: "dropped", count: 4, reason: "unread" });
    t.same(all.slice(1), [
      { kind: "event", data: 5, offset: 5 },
      { kind: "dropped", count: 7, reason: "conflated" },
    ]);
    visit.cut();
    const second = await gateway.visit();
    second.hello();
    t.notHas(await second.subscribed({ epoch: "other", offset: 0, history: false }), { since: {} });
    client.close();
  });

  t.test("a state comes whole, in one update; broken off, it is asked for again", async (t) => {
    const client = connect(gateway.url, { backoff: SOON });
    const alarms = client.subscribe<string>("alarms");
    const first = await gateway.visit();
    first.hello();
    await first.subscribed({ epoch: "e", offset: 8, state: true });
    first.say({ op: "state", channel: "alarms", offset: 8, data: ["a"], last: false });
    first.cut();
    const second = await gateway.visit();
    second.hello();
    t.notHas(await second.subscribed({ epoch: "e", offset: 9, state: true }), { since: {} });
    second.say(
      { op: "state", channel: "alarms", offset: 9, data: ["a"], last: false },
      { op: "state", channel: "alarms", offset: 9, data: ["b"], last: true },
      { op: "event", channel: "alarms", offset: 10, prev: 9, data: "c" },
      { op: "join", channel: "alarms", client: "c2", user: "bo", since: "2026-11-20T06:00:07.000Z" },
      { op: "leave", channel: "alarms", client: "c2", user: "bo" },
    );
    t.same(await take(alarms, 4), [
      { kind: "state", data: ["a", "b"], offset: 9 },
      { kind: "event", data: "c", offset: 10 },
      { kind: "join", client: "c2", user: "bo", since: "2026-11-20T06:00:07.000Z" },
      { kind: "leave", client: "c2", user: "bo" },
    ]);
    client.close();
  });

  t.test("sends a fresh token before the old one ends, without a new connection", async (t) => {
    let made = 0;
    const client = connect(gateway.url, { token: async () => `t${++made}` });
    const visit = await gateway.visit();
    t.equal(visit.path, "/ws?token=t1");
    visit.hello({ expiresInMs: 20 });
    const refresh = await visit.next();
    t.match(refresh, { op: "refresh", token: "t2" });
    visit.say({ op: "refreshed", id: refresh["id"], expiresInMs: 20 });
    t.match(await visit.next(), { op: "refresh", token: "t3" });
    visit.close(3005);
    client.close();
  });

  t.test("a token that cannot be had is asked for again", async (t) => {
    let asked = 0;
    const states: Status[] = [];
    const client = connect(gateway.url, {
      backoff: SOON,
      onStatus: (status) => states.push(status),
      token: () => {
        if (++asked < 3) throw new Error("the issuer is down");
        return "t";
      },
    });
    await gateway.visit();
    t.equal(asked, 3);
    t.match(states[1], { kind: "waiting", reason: "no token: the issuer is down" });
    client.close();
  });

  t.test("a final close code ends it, with the reason; so does a refused subscription, alone", async (t) => {
    const client = connect(gateway.url, { backoff: SOON });
    const alerts = client.subscribe("alerts");
    const secret = client.subscribe("secret");
    const visit = await gateway.visit();
    visit.hello();
    await visit.subscribed({ epoch: "e", offset: 0 });
    const { id } = (await visit.next()) as { id: number };
    visit.say({ op: "error", id, code: "forbidden", message: "a viewer may not read secret" });
    await t.rejects(take(secret, 1), { code: "forbidden", message: "a viewer may not read secret" });
    visit.say(event(1, 0));
    t.same(await offsets(alerts, 1), [1]);
    visit.close(3507);
    await t.rejects(take(alerts, 1), { code: "closed" });
    t.match(client.status, { kind: "ended", error: { closeCode: 3507 } });
    await t.rejects(take(client.subscribe("alerts"), 1), { code: "closed" });
  });

  t.test("a channel that is not up yet is asked for again", async (t) => {
    const client = connect(gateway.url);
    const alerts = client.subscribe<number>("alerts");
    const visit = await gateway.visit();
    visit.hello();
    const { id } = (await visit.next()) as { id: number };
    visit.say({ op: "error", id, code: "unavailable", message: "the log cannot be reached" });
    await visit.subscribed({ epoch: "e", offset: 0 });
    visit.say(event(1, 0));
    t.same(await offsets(alerts, 1), [1]);
    client.close();
  });

  t.test("a line that falls silent is given up", async (t) => {
    const states: Status[] = [];
    const client = connect(gateway.url, { backoff: SOON, onStatus: (status) => states.push(status) });
    const first = await gateway.visit();
    first.hello({ heartbeatMs: 10 });
    const second = await gateway.visit();
    second.hello();
    t.match(
      states.find(({ kind }) => kind === "waiting"),
      { closeCode: 1006, reason: "silent for 20 ms" },
    );
    client.close();
  });

  t.test("presence, and one subscription a channel", async (t) => {
    const client = connect(gateway.url);
    await t.rejects(client.presence("alarms"), { code: "unavailable" });
    const visit = await gateway.visit();
    visit.hello();
    await until(() => client.status.kind === "open");
    const here = client.presence("alarms");
    const asked = await visit.next();
    t.match(asked, { op: "presence", channel: "alarms" });
    const bo = { client: "c2", user: "bo", since: "2026-11-20T06:00:07.000Z" };
    visit.say({ op: "presence", id: asked["id"], channel: "alarms", here: [bo] });
    t.same(await here, [bo]);
    const refused = client.presence("stats");
    visit.say({ op: "error", id: (await visit.next())["id"], code: "not_offered", message: "stats has no presence" });
    await t.rejects(refused, { code: "not_offered" });
    const lost = client.presence("alarms");
    await visit.next();
    visit.close(1001);
    await t.rejects(lost, { code: "unavailable", message: "connection lost" });

    const alerts = client.subscribe("alerts");
    t.throws(() => client.subscribe("alerts"), { code: "already_subscribed" });
    alerts.close();
    t.same(await take(alerts, 1), [], "closed: the loop ends");
    client.subscribe("alerts");
    client.close();
    await t.rejects(take(client.subscribe("plans"), 1), { code: "ended" });
  });

  t.test("leaving the loop unsubscribes", async (t) => {
    const client = connect(gateway.url);
    const alerts = client.subscribe<number>("alerts");
    const visit = await gateway.visit();
    visit.hello();
    await visit.subscribed({ epoch: "e", offset: 0 });
    visit.say(event(1, 0));
    for await (const update of alerts) {
      t.match(update, { data: 1 });
      break;
    }
    t.match(await visit.next(), { op: "unsubscribe", channel: "alerts" });
    client.close();
  });
});

/** The next `count` updates, fewer when the subscription ends before. Does not close it, as leaving a loop would. */
async function take<T>(subscription: AsyncIterable<Update<T>>, count: number): Promise<Update<T>[]> {
  const updates: Update<T>[] = [];
  const iterator = subscription[Symbol.asyncIterator]();
  while (updates.length < count) {
    const { done, value } = await iterator.next();
    if (done) break;
    updates.push(value);
  }
  return updates;
}

async function offsets<T>(subscription: AsyncIterable<Update<T>>, count: number): Promise<number[]> {
  return (await take(subscription, count)).map((update) => ("offset" in update ? update.offset : -1));
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1));
}

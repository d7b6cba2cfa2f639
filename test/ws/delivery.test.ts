import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import t from "tap";
import { compileFilter } from "../../src/ws/channels/filter.js";
import type { Filter } from "../../src/ws/protocol.js";
import { poll } from "./conformance.js";
import { assertChain, type FakeClient, FEATURES, numbers, settle, setup } from "./rig.js";

const told = (client: FakeClient) =>
  client.frames.filter(({ op }) => op === "dropped").reduce((sum, { count }) => sum + (count as number), 0);

t.test("filters: only what matches, chained, and equal filters asked once", async (t) => {
  const gateway = await setup();
  const filter: Filter = { and: [{ eq: ["kind", "a"] }, { not: { range: ["n", { gt: 5 }] } }] };
  const clients = [filter, { ...filter }, undefined].map((one) => {
    const client = gateway.connect();
    client.say({ op: "subscribe", id: 1, channel: "alerts", ...(one && { filter: one }) });
    return client;
  });
  for (let n = 1; n <= 8; n++) await gateway.alert(n, { kind: n % 2 === 0 ? "a" : "b" });
  await settle();
  t.same(clients.map(numbers), [
    [2, 4],
    [2, 4],
    [1, 2, 3, 4, 5, 6, 7, 8],
  ]);
  for (const client of clients) assertChain(client);
  const again = gateway.connect();
  again.say({ op: "subscribe", id: 1, channel: "alerts", since: { epoch: "epoch-1", offset: 2 }, filter });
  await settle();
  t.same(numbers(again), [4], "the past too");
  const tests = Array.from({ length: 33 }, () => ({ eq: ["a", 1] }));
  const odd = gateway.connect();
  odd.say({
    op: "subscribe",
    id: 1,
    channel: "alerts",
    filter: { or: [{ or: tests.slice(16) }, { and: tests.slice(0, 16) }] },
  });
  t.match(odd.frames, [{ op: "error", code: "bad_request" }]);
  await gateway.close();
});

t.test("names with a parameter: alerts.<domain>, and its replay", async (t) => {
  const gateway = await setup();
  const [all, github, mine] = ["alerts", "alerts.github", "alerts.mine"].map((channel) => {
    const client = gateway.connect();
    client.say({ op: "subscribe", id: 1, channel });
    return client;
  });
  await gateway.alert(1);
  await gateway.log.publish({ subject: "alerts.1.github", data: Buffer.from('{"n":2}') });
  await gateway.alert(3);
  await settle();
  t.same(
    [all, github, mine].map((client) => client && numbers(client)),
    [[1, 2, 3], [2], [1, 3]],
  );
  t.match(mine?.frames.at(-1), { op: "event", channel: "alerts.mine", offset: 3, prev: 1 });
  const back = gateway.connect();
  back.say({ op: "subscribe", id: 1, channel: "alerts.github", since: { epoch: "epoch-1", offset: 0 } });
  await settle();
  t.same(numbers(back), [2]);
  for (const channel of ["alerts.", "alerts.a.b", "alerts.*", "alerts.>", "features", "features.a.b.c"]) {
    back.say({ op: "subscribe", id: 2, channel });
    t.match(back.frames.at(-1), { op: "error", code: "unknown_channel" }, channel);
  }
  await gateway.close();
});

t.test("a stream read on demand: nobody there, nobody reads; its past comes from the log", async (t) => {
  const gateway = await setup({}, undefined, [FEATURES]);
  const feature = (key: string, n: number) =>
    gateway.log.publish({ subject: `features.0.mine.${key}`, data: Buffer.from(JSON.stringify({ n })) });
  t.equal(gateway.log.openReaders, 1, "alerts only");
  await feature("a", 1);
  await feature("b", 2);
  const a = gateway.connect();
  a.say({
    op: "subscribe",
    id: 1,
    channel: "features.mine.a",
    since: { epoch: "epoch-2", offset: 0 },
    delivery: "lossless",
  });
  await settle();
  await feature("a", 3);
  await feature("b", 4);
  await settle();
  t.same(numbers(a), [1, 3]);
  t.match(a.frames[0], { op: "subscribed", recovered: true, delivery: "lossless", flushMs: 0 });
  const b = gateway.connect();
  b.say({ op: "subscribe", id: 1, channel: "features.mine", since: { epoch: "epoch-2", offset: 0 } });
  await poll(() => numbers(b).length === 2);
  t.same(numbers(b), [3, 4], "latest: of each key the newest");
  assertChain(b);
  await gateway.close();
  t.equal(gateway.log.openReaders, 0);
});

t.test("latest: the newest of each key, at most so often, and what was left out is told", async (t) => {
  const gateway = await setup({}, undefined, [FEATURES]);
  const a = gateway.connect();
  a.say({ op: "subscribe", id: 1, channel: "features.mine", delivery: "latest", everyMs: 240 });
  await settle();
  t.match(a.frames[0], { delivery: "latest", everyMs: 250 }, "rounded up");
  const sent = 200;
  for (let n = 1; n <= sent; n++) {
    await gateway.log.publish({ subject: `features.0.mine.k${n % 3}`, data: Buffer.from(JSON.stringify({ n })) });
    if (n % 40 === 0) await sleep(10);
  }
  await poll(() => numbers(a).includes(sent));
  await poll(() => told(a) + numbers(a).length === sent);
  assertChain(a);
  t.ok(numbers(a).length < sent / 4, `${numbers(a).length} of ${sent} were sent`);
  t.same(numbers(a).slice(-3), [sent - 2, sent - 1, sent], "the newest of each key in the end");
  t.ok(a.frames.filter(({ op }) => op === "dropped").every(({ reason }) => reason === "conflated"));
  await gateway.close();
});

t.test("sample: the newest of all", async (t) => {
  const gateway = await setup();
  const a = gateway.connect();
  a.say({ op: "subscribe", id: 1, channel: "alerts", delivery: "sample", everyMs: 25 });
  const fromMs = performance.now();
  for (let n = 1; n <= 50; n++) {
    await gateway.alert(n, { key: `k${n}` });
    if (n % 10 === 0) await sleep(5);
  }
  await poll(() => numbers(a).at(-1) === 50 && told(a) + numbers(a).length === 50);
  const windows = Math.ceil((performance.now() - fromMs) / 25) + 1;
  t.ok(numbers(a).length <= windows, `${numbers(a)} in ${windows} windows`);
  assertChain(a);
  await gateway.close();
});

t.test("latest, read too slowly: bounded, the others go on, and it is told", async (t) => {
  const gateway = await setup({ maxBufferedBytes: 20_000 });
  const clients = [gateway.connect(), gateway.connect()] as const;
  const [slow, good] = clients;
  for (const client of clients)
    client.say({ op: "subscribe", id: 1, channel: "alerts", delivery: "latest", everyMs: 1 });
  slow.stalled = true;
  const sent = 400;
  for (let n = 1; n <= sent; n++) {
    await gateway.alert(n, { text: "x".repeat(500) });
    await settle();
    if (n % 10 === 0) await sleep(2);
  }
  await poll(() => numbers(good).at(-1) === sent);
  t.same(slow.ends, [], "not disconnected");
  t.ok(slow.waiting < 20_000, `${slow.waiting} bytes waiting`);
  slow.waiting = 0;
  slow.stalled = false;
  slow.listener.drain();
  await poll(() => numbers(slow).at(-1) === sent);
  await poll(() => clients.every((client) => told(client) + numbers(client).length === sent));
  assertChain(slow);
  const counted = [...(await gateway.metrics.text()).matchAll(/^millrace_ws_dropped_events_total\{.*?\} (\d+)$/gm)];
  t.equal(
    counted.reduce((sum, [, count]) => sum + Number(count), 0),
    told(slow) + told(good),
    "and counted",
  );
  t.ok(slow.frames.some(({ op, reason }) => op === "dropped" && reason === "slow"));
  await gateway.alert(sent + 1);
  await poll(() => clients.every((client) => numbers(client).at(-1) === sent + 1));
  await gateway.close();
});

t.test("lossless in a flush window: later, all of it, in one go", async (t) => {
  const gateway = await setup();
  const a = gateway.connect();
  a.say({ op: "subscribe", id: 1, channel: "alerts", flushMs: 50 });
  const b = gateway.connect();
  b.say({ op: "subscribe", id: 1, channel: "alerts" });
  // The window may end between two of our steps, so look until one holds all of a round.
  let n = 0;
  for (let isLater = false; !isLater; ) {
    const first = n;
    while (n < first + 5) await gateway.alert(++n);
    await settle();
    isLater = numbers(a).length === first && numbers(b).length === n;
    await poll(() => numbers(a).length === n);
  }
  t.same(numbers(a), numbers(b));
  const late = gateway.connect();
  late.say({ op: "subscribe", id: 1, channel: "alerts", flushMs: 50 });
  for (const more of [1, 2]) {
    await gateway.alert(n + more);
    await poll(() => numbers(a).length === n + more && numbers(late).length === more);
    for (const client of [a, late]) assertChain(client);
  }
  await gateway.close();
});

t.test("whatever class, filter and moment of joining: sent and told together are all that matched", async (t) => {
  const want = fc.record({
    delivery: fc.constantFrom("lossless", "latest", "sample"),
    everyMs: fc.constantFrom(1, 5),
    filter: fc.option(fc.constant<Filter>({ eq: ["odd", true] }), { nil: undefined }),
    joinsAt: fc.nat(20),
    since: fc.boolean(),
  });
  const property = fc.asyncProperty(
    fc.array(want, { minLength: 1, maxLength: 10 }),
    fc.array(fc.nat(3)),
    async (wants, pauses) => {
      const gateway = await setup();
      const clients: FakeClient[] = [];
      for (let n = 1; n <= 20; n++) {
        for (const { joinsAt, delivery, everyMs, filter, since } of wants) {
          if (joinsAt !== n) continue;
          const client = gateway.connect();
          const past = since ? { since: { epoch: "epoch-1", offset: 0 } } : {};
          const timing = delivery === "lossless" ? { flushMs: everyMs } : { everyMs };
          client.say({
            op: "subscribe",
            id: 1,
            channel: "alerts",
            delivery,
            ...timing,
            ...(filter && { filter }),
            ...past,
          });
          clients.push(client);
        }
        await gateway.alert(n, { odd: n % 2 === 1, key: `k${n % 2}` });
        if (pauses[n] !== undefined) await sleep(pauses[n]);
      }
      await settle();
      // Give every window time to end, then compare.
      const ordered = Array.from({ length: 20 }, (_, i) => wants.filter(({ joinsAt }) => joinsAt === i + 1)).flat();
      const expected = clients.map((client, i) => {
        const from = (client.frames[0] as { offset: number }).offset;
        const matches = compileFilter(ordered[i]?.filter ?? { not: { eq: ["n", 0] } })?.matches ?? (() => false);
        return Array.from({ length: 20 }, (_, k) => k + 1).filter((n) => n > from && matches({ n, odd: n % 2 === 1 }))
          .length;
      });
      await poll(() => clients.every((client, i) => numbers(client).length + told(client) === expected[i]));
      for (const client of clients) assertChain(client);
      await gateway.close();
    },
  );
  await t.resolves(fc.assert(property, { numRuns: 6, seed: 20_261_120 }));
});

import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import t from "tap";
import type { MemoryLog } from "../support/memory-log.js";
import { assertChain, numbers, settle, setup } from "./rig.js";

t.test("live: from the end on, chained, markers left out", async (t) => {
  const gateway = await setup({}, async (log) => {
    await log.publish({ subject: "alerts.0.mine", data: Buffer.from('{"n":0}') });
    await log.publish({ subject: "alerts._at.task", data: Buffer.from("{}") });
  });
  const a = gateway.connect();
  a.say({ op: "subscribe", id: 1, channel: "alerts" });
  t.same(a.frames, [{ op: "subscribed", id: 1, channel: "alerts", epoch: "epoch-1", offset: 2 }]);
  await gateway.alert(1);
  await gateway.mark();
  await gateway.alert(2);
  await settle();
  const b = gateway.connect();
  b.say({ op: "subscribe", id: 9, channel: "alerts" });
  await gateway.alert(3);
  await settle();
  t.same(a.frames.slice(1), [
    { op: "event", channel: "alerts", offset: 3, prev: 2, data: { n: 1 } },
    { op: "event", channel: "alerts", offset: 5, prev: 3, data: { n: 2 } },
    { op: "event", channel: "alerts", offset: 6, prev: 5, data: { n: 3 } },
  ]);
  t.same(b.frames, [
    { op: "subscribed", id: 9, channel: "alerts", epoch: "epoch-1", offset: 5 },
    { op: "event", channel: "alerts", offset: 6, prev: 5, data: { n: 3 } },
  ]);
  a.say({ op: "unsubscribe", id: 2, channel: "alerts" });
  t.same(a.frames.at(-1), { op: "unsubscribed", id: 2, channel: "alerts" });
  await gateway.alert(4);
  await settle();
  t.equal(a.frames.length, 5, "nothing after unsubscribed");
  t.equal(b.frames.length, 3);
  await gateway.close();
  t.equal(gateway.log.openReaders, 0);
});

t.test("a record that is not JSON is skipped and counted", async (t) => {
  const gateway = await setup();
  const a = gateway.connect();
  a.say({ op: "subscribe", id: 1, channel: "alerts" });
  await gateway.log.publish({ subject: "alerts.0.mine", data: Buffer.from('{"n":') });
  await gateway.log.publish({ subject: "alerts.0.mine", data: Buffer.from([0x22, 0xff, 0x22]) });
  await gateway.alert(1);
  await settle();
  t.same(a.frames.slice(1), [{ op: "event", channel: "alerts", offset: 3, prev: 0, data: { n: 1 } }]);
  t.match(await gateway.metrics.text(), /millrace_ws_skipped_records_total\{channel="alerts"\} 2/);
  await gateway.close();
});

t.test("since: recovered or not", async (t) => {
  const table: { name: string; want: object; recovered: boolean; offset: number; got: number[] }[] = [
    { name: "from the beginning", want: { since: 0 }, recovered: false, offset: 8, got: [9] },
    { name: "just after the cut", want: { since: 2 }, recovered: true, offset: 2, got: [3, 4, 5, 6, 7, 8, 9] },
    { name: "one before it", want: { since: 1 }, recovered: false, offset: 8, got: [9] },
    {
      name: "in between, same epoch",
      want: { since: 5, epoch: "epoch-1" },
      recovered: true,
      offset: 5,
      got: [6, 7, 8, 9],
    },
    { name: "at the end", want: { since: 8 }, recovered: true, offset: 8, got: [9] },
    { name: "beyond the end", want: { since: 9 }, recovered: false, offset: 8, got: [9] },
    { name: "of another epoch", want: { since: 5, epoch: "other" }, recovered: false, offset: 8, got: [9] },
  ];
  for (const { name, want, recovered, offset, got } of table) {
    const gateway = await setup({}, async (log) => {
      for (let n = 1; n <= 8; n++)
        await log.publish({ subject: "alerts.0.mine", data: Buffer.from(JSON.stringify({ n })) });
      log.truncate("alerts", 2);
    });
    const a = gateway.connect();
    a.say({ op: "subscribe", id: 1, channel: "alerts", ...want });
    await settle();
    await gateway.alert(9);
    await settle();
    t.same(a.frames[0], { op: "subscribed", id: 1, channel: "alerts", epoch: "epoch-1", offset, recovered }, name);
    t.same(numbers(a), got, `${name}: events`);
    t.doesNotThrow(() => assertChain(a), `${name}: chain`);
    await gateway.close();
    t.equal(gateway.log.openReaders, 0, `${name}: no reader left`);
  }
});

t.test("what is read at once and is more than one turn holds arrives whole", async (t) => {
  const gateway = await setup();
  const a = gateway.connect();
  a.say({ op: "subscribe", id: 1, channel: "alerts" });
  const text = "x".repeat(100_000);
  const wanted = Array.from({ length: 300 }, (_, n) => n);
  // None is awaited, so that the reader finds many together.
  await Promise.all(wanted.map((n) => gateway.alert(n, n % 100 < 10 ? { text } : {})));
  await settle();
  await settle();
  t.same(numbers(a), wanted);
  t.doesNotThrow(() => assertChain(a));
  for (const asked of ["first", "again"])
    t.match(
      await gateway.metrics.text(),
      /millrace_ws_frames_total\{channel="alerts"\} 300\n/,
      `counted once: ${asked}`,
    );
  await gateway.close();
});

t.test("replay to the end of a stream whose last records are of other kinds", async (t) => {
  const gateway = await setup({}, async (log) => {
    await log.publish({ subject: "alerts.0.mine", data: Buffer.from('{"n":1}') });
    await log.publish({ subject: "alerts._at.task", data: Buffer.from("{}") });
    await log.publish({ subject: "alerts.0.mine.more", data: Buffer.from("{}") });
  });
  const a = gateway.connect();
  a.say({ op: "subscribe", id: 1, channel: "alerts", since: 0 });
  await settle();
  t.same(numbers(a), [1]);
  t.equal(gateway.log.openReaders, 1, "the replay has joined the live reader");
  await gateway.close();
});

t.test("however publishing, subscribing and leaving interleave, each subscription is a gapless chain", async (t) => {
  type Step = "publish" | "mark" | "turn" | { client: number; since: number | "live" | "leave" };
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 4, arbitrary: fc.constant<Step>("publish") },
    fc.constant<Step>("mark"),
    { weight: 2, arbitrary: fc.constant<Step>("turn") },
    fc.record({
      client: fc.nat(2),
      since: fc.oneof(fc.nat(12), fc.constantFrom<"live" | "leave">("live", "leave")),
    }),
  );
  const property = fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
    const gateway = await setup({ burst: 1_000 });
    const clients = [gateway.connect(), gateway.connect(), gateway.connect()];
    let published = 0;
    const sequences: number[] = [];
    for (const one of steps) {
      if (one === "publish") sequences.push(await gateway.alert(++published));
      else if (one === "mark") await gateway.mark();
      else if (one === "turn") await turn();
      else if (one.since === "leave") clients[one.client]?.say({ op: "unsubscribe", id: 1, channel: "alerts" });
      else {
        const since = one.since === "live" ? {} : { since: one.since };
        clients[one.client]?.say({ op: "subscribe", id: 1, channel: "alerts", ...since });
      }
    }
    await settle();
    sequences.push(await gateway.alert(++published));
    await settle();
    for (const client of clients) {
      assertChain(client);
      // Whatever was seen since the last answer is everything after its offset.
      const from = client.frames.findLastIndex(({ op }) => op === "subscribed");
      const left = client.frames.findLastIndex(({ op }) => op === "unsubscribed");
      if (from < 0 || left > from) continue;
      const seen = client.frames
        .slice(from)
        .filter(({ op }) => op === "event")
        .map(({ offset }) => offset);
      assert.deepEqual(
        seen,
        sequences.filter((sequence) => sequence > (client.frames[from]?.offset as number)),
      );
    }
    await gateway.close();
    assert.equal(gateway.log.openReaders, 0);
  });
  await t.resolves(fc.assert(property, { numRuns: 150, seed: 20_261_120 }));
});

t.test("a client that does not read is closed with 3008, the others go on", async (t) => {
  const gateway = await setup({ maxBufferedBytes: 1_000 });
  const slow = gateway.connect();
  const good = gateway.connect();
  for (const client of [slow, good]) client.say({ op: "subscribe", id: 1, channel: "alerts" });
  slow.stalled = true;
  for (let n = 1; n <= 30; n++) await gateway.alert(n);
  await settle();
  t.equal(good.frames.length, 31);
  t.match(slow.ends, [{ code: 3008, reason: /since/ }]);
  t.ok(slow.waiting <= 1_000, `${slow.waiting} bytes were waiting`);
  const last = slow.frames.at(-1)?.offset;
  const again = gateway.connect();
  again.say({ op: "subscribe", id: 1, channel: "alerts", since: last, epoch: "epoch-1" });
  await settle();
  t.same([...numbers(slow), ...numbers(again)], numbers(good), "and misses nothing when it comes back");
  t.match(await gateway.metrics.text(), /millrace_ws_closed_total\{reason="slow"\} 1/);
  await gateway.close();
});

t.test("a replay waits for its client", async (t) => {
  const fill = async (log: MemoryLog) => {
    for (let n = 1; n <= 50; n++)
      await log.publish({ subject: "alerts.0.mine", data: Buffer.from(JSON.stringify({ n })) });
  };
  const gateway = await setup({ maxBufferedBytes: 2_000 }, fill);
  const a = gateway.connect();
  a.stalled = true;
  a.say({ op: "subscribe", id: 1, channel: "alerts", since: 0 });
  await settle();
  t.ok(a.waiting > 500 && a.waiting < 700, `stops at ${a.waiting} bytes`);
  for (let i = 0; i < 20; i++) {
    a.waiting = 0;
    a.listener.drain();
    await settle();
  }
  t.same(
    numbers(a),
    Array.from({ length: 50 }, (_, i) => i + 1),
  );
  await gateway.close();

  const impatient = await setup({ maxBufferedBytes: 2_000, replayStallMs: 20 }, fill);
  const b = impatient.connect();
  b.stalled = true;
  b.say({ op: "subscribe", id: 1, channel: "alerts", since: 0 });
  while (b.ends.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  t.match(b.ends, [{ code: 3008 }], "but not for ever");
  await settle();
  t.equal(impatient.log.openReaders, 1);
  await impatient.close();
});

t.test("the stream is replaced: clients start over, and learn that nothing was recovered", async (t) => {
  const gateway = await setup();
  const a = gateway.connect();
  a.say({ op: "subscribe", id: 1, channel: "alerts" });
  await gateway.alert(1);
  await settle();
  gateway.log.replace("alerts");
  while (a.ends.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  t.match(a.ends, [{ code: 3010 }]);
  const again = gateway.connect();
  again.say({ op: "subscribe", id: 1, channel: "alerts", since: 1, epoch: "epoch-1" });
  await settle();
  t.match(again.frames, [{ op: "subscribed", epoch: "epoch-2", offset: 0, recovered: false }]);
  await gateway.alert(2);
  await settle();
  t.same(numbers(again), [2]);
  await gateway.close();
});

t.test("the log is away: at the start, and while a client asks for the past", async (t) => {
  const gateway = await setup({}, async (log) => {
    await log.publish({ subject: "alerts.0.mine", data: Buffer.from('{"n":0}') });
    log.down = true;
  });
  const a = gateway.connect();
  a.say({ op: "subscribe", id: 4, channel: "alerts" });
  t.match(a.frames, [{ op: "error", id: 4, code: "unavailable" }]);
  gateway.log.down = false;
  do {
    await new Promise((resolve) => setTimeout(resolve, 20));
    a.frames.length = 0;
    a.say({ op: "subscribe", id: 5, channel: "alerts" });
  } while (a.frames[0]?.op !== "subscribed");
  gateway.log.down = true;
  const b = gateway.connect();
  b.say({ op: "subscribe", id: 6, channel: "alerts", since: 0 });
  await settle();
  t.match(b.frames, [{ op: "error", id: 6, code: "unavailable" }]);
  gateway.log.down = false;
  b.say({ op: "subscribe", id: 7, channel: "alerts", since: 0 });
  await gateway.alert(1);
  await settle();
  t.same([numbers(a), numbers(b)], [[1], [0, 1]], "those who were there simply go on");
  await gateway.close();
});

t.test("state channel: at once, then again and again, without history", async (t) => {
  const gateway = await setup();
  const a = gateway.connect();
  a.say({ op: "subscribe", id: 1, channel: "stats", since: 3 });
  t.match(a.frames, [{ op: "subscribed", id: 1, channel: "stats", offset: 0, history: false, recovered: false }]);
  while (a.frames.length < 4) await new Promise((resolve) => setTimeout(resolve, 2));
  const b = gateway.connect();
  b.say({ op: "subscribe", id: 1, channel: "stats" });
  t.match(b.frames, [{ op: "subscribed" }, { op: "event", data: a.frames.at(-1)?.data }], "a newcomer need not wait");
  while (b.frames.length < 4) await new Promise((resolve) => setTimeout(resolve, 2));
  for (const client of [a, b]) t.doesNotThrow(() => assertChain(client));
  t.equal(b.frames[0]?.epoch, a.frames[0]?.epoch);
  await gateway.close();
});

t.test("state channel: read only while somebody watches, and never old", async (t) => {
  const gateway = await setup();
  const a = gateway.connect();
  a.say({ op: "subscribe", id: 1, channel: "stats" });
  while (a.frames.length < 3) await new Promise((resolve) => setTimeout(resolve, 2));
  a.say({ op: "unsubscribe", id: 2, channel: "stats" });
  let before = -1;
  while (before !== gateway.state.value) {
    before = gateway.state.value;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  const b = gateway.connect();
  b.say({ op: "subscribe", id: 1, channel: "stats" });
  while (b.frames.length < 2) await new Promise((resolve) => setTimeout(resolve, 2));
  t.match(b.frames[1], { data: { value: before + 1 } }, "the first thing shown was read after the question");
  await gateway.close();
});

t.test("a frame larger than the bound still reaches a client with nothing waiting", async (t) => {
  const gateway = await setup({ maxBufferedBytes: 100 });
  const a = gateway.connect();
  a.say({ op: "subscribe", id: 1, channel: "alerts" });
  await gateway.log.publish({
    subject: "alerts.0.mine",
    data: Buffer.from(JSON.stringify({ n: 1, text: "x".repeat(5_000) })),
  });
  await settle();
  t.same(numbers(a), [1]);
  t.same(a.ends, []);
  await gateway.close();
});

t.test("requests that cannot be granted", async (t) => {
  const gateway = await setup({ maxSubscriptions: 1 });
  const a = gateway.connect();
  const table: [unknown, object][] = [
    [
      { op: "subscribe", id: 1, channel: "nothing" },
      { op: "error", id: 1, code: "unknown_channel", message: /alerts\[\.<domain>\], stats/ },
    ],
    [
      { op: "unsubscribe", id: 2, channel: "alerts" },
      { op: "error", id: 2, code: "not_subscribed" },
    ],
    [
      { op: "subscribe", id: 3, channel: "alerts" },
      { op: "subscribed", id: 3 },
    ],
    [
      { op: "subscribe", id: 4, channel: "alerts" },
      { op: "error", id: 4, code: "already_subscribed" },
    ],
    [
      { op: "subscribe", id: 5, channel: "stats" },
      { op: "error", id: 5, code: "too_many_subscriptions" },
    ],
    ["{", { op: "error", id: null, code: "bad_request" }],
    [{ op: "ping" }, { op: "pong" }],
    [
      { op: "ping", id: 7 },
      { op: "pong", id: 7 },
    ],
    [
      { op: "unsubscribe", id: 8, channel: "alerts" },
      { op: "unsubscribed", id: 8 },
    ],
    [
      { op: "unsubscribe", id: 9, channel: "x".repeat(60_000) },
      { op: "error", id: 9, code: "not_subscribed" },
    ],
  ];
  for (const [sent, expected] of table) {
    a.say(sent);
    t.match(a.frames.at(-1), expected, JSON.stringify(sent).slice(0, 60));
  }
  t.ok(JSON.stringify(a.frames.at(-1)).length < 300, "a client's text comes back shortened");
  await gateway.close();
});

t.test("too many requests: refused, then closed with 3013", async (t) => {
  const gateway = await setup({ burst: 5, perSecond: 0 });
  const a = gateway.connect();
  for (let i = 0; i < 12; i++) a.say({ op: "ping" });
  t.same(
    a.frames.map(({ op, code }) => code ?? op),
    [...Array(5).fill("pong"), ...Array(4).fill("rate_limited")],
  );
  t.match(a.ends, [{ code: 3013 }]);
  await gateway.close();
});

t.test("any text from a client: an answer or nothing, and the hub lives", async (t) => {
  const gateway = await setup({ burst: 1e9 });
  const property = fc.asyncProperty(fc.array(fc.oneof(fc.string(), fc.json()), { maxLength: 10 }), async (texts) => {
    const client = gateway.connect();
    for (const text of texts) client.say(text);
    assert.equal(client.frames.length, texts.length);
    assert.deepEqual(client.ends, []);
    client.listener.close(1006);
  });
  await t.resolves(fc.assert(property, { seed: 20_261_120 }));
  t.match(await gateway.metrics.text(), /millrace_ws_connections 0\n/);
  await gateway.close();
});

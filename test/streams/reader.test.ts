import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "nats";
import t from "tap";
import type { Log, LogMessage, LogReader } from "../../src/core/index.js";
import { connectLog } from "../../src/streams/index.js";
import { startNats, type TestServer } from "../support/nats.js";
import { startProxy } from "../support/proxy.js";
import { bytes, text } from "../support/text.js";

const spec = { name: "s", subjects: ["s.>"], maxBytes: 100_000_000 };

async function take(reader: LogReader, count: number, most = 1_000): Promise<LogMessage[]> {
  const found: LogMessage[] = [];
  while (found.length < count) found.push(...(await reader.next(Math.min(most, count - found.length))));
  return found;
}

/** Publishes until `count` are stored, through an outage if need be; an unsure one is looked up rather than sent again. */
async function publishAll(log: Log, count: number, from = 0): Promise<void> {
  for (let i = from; i < from + count; i++) {
    for (;;) {
      try {
        if (i % 10 !== 0 || (await log.info("s")).lastSequence <= i)
          await log.publish({ subject: `s.${i % 3}`, data: bytes(String(i)) });
        break;
      } catch {
        while ((await log.info("s").catch(() => undefined)) === undefined);
        if ((await log.info("s")).lastSequence > i) break;
      }
    }
  }
}

async function admin(server: TestServer) {
  const nc = await connect({ servers: server.url });
  return { nc, jsm: await jetstreamManager(nc) };
}

t.test("reading", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const { log, close } = await connectLog({ url: server.url, name: "test" });
  t.teardown(close);
  const { nc, jsm } = await admin(server);
  t.teardown(() => nc.close());
  await log.ensureStream(spec);
  await publishAll(log, 300);

  await t.test("in order, from a position, some subjects, slices no longer than asked", async (t) => {
    const reader = await log.read({ stream: "s", subjects: [], fromSequence: 101 });
    const some = await take(reader, 200, 7);
    t.same(
      some.map(({ sequence }) => sequence),
      Array.from({ length: 200 }, (_, i) => 101 + i),
    );
    t.same(
      some.map(({ data }) => text(data)),
      Array.from({ length: 200 }, (_, i) => String(100 + i)),
    );
    await reader.close();
    const filtered = await log.read({ stream: "s", subjects: ["s.0", "s.2"], fromSequence: 1 });
    const found = await take(filtered, 200);
    t.ok(found.every(({ subject }) => subject === "s.0" || subject === "s.2"));
    await filtered.close();
  });

  await t.test("waits for what comes, and gives it at once", async (t) => {
    const reader = await log.read({ stream: "s", subjects: ["s.live"], fromSequence: 301 });
    const next = reader.next(10);
    t.throws(() => reader.next(10), /again before it answered/);
    await log.publish({ subject: "s.live", data: bytes("x"), headers: { "Millrace-Source": "live" } });
    const [message] = await next;
    t.equal(message?.header("Millrace-Source"), "live");
    t.equal(message?.header("Other"), undefined);
    const waiting = reader.next(10);
    await reader.close();
    await reader.close();
    t.same(await waiting, [], "a closed reader ends");
    t.same(await reader.next(1), []);
  });

  await t.test("markers are not messages", async (t) => {
    const { lastSequence } = await log.info("s");
    const reader = await log.read({ stream: "s", subjects: [], fromSequence: lastSequence + 1 });
    const batch = {
      stream: "s",
      messages: [{ subject: "s.0", data: bytes("a") }],
      marker: { sequence: 1, index: 0 },
      expectedAt: 0,
    };
    await log.writeBatch({ ...batch, task: "t/0" });
    await log.writeBatch({ ...batch, task: "t/1" });
    t.same(
      (await take(reader, 2)).map(({ sequence }) => sequence - lastSequence),
      [1, 3],
    );
    await reader.close();
  });

  await t.test("a deleted consumer is replaced unnoticed", async (t) => {
    const reader = await log.read({ stream: "s", subjects: ["s.0", "s.1", "s.2"], fromSequence: 1 });
    t.equal((await take(reader, 50)).length, 50);
    for await (const { name } of jsm.consumers.list("s")) await jsm.consumers.delete("s", name);
    const rest = await take(reader, 250);
    t.equal(rest[0]?.sequence, 51);
    const { lastSequence } = await log.info("s");
    await log.publish({ subject: "s.1", data: bytes("new") });
    t.equal((await take(reader, 3)).at(-1)?.sequence, lastSequence + 1);
    await reader.close();
  });

  await t.test("messages gone or never there are named, not skipped", async (t) => {
    await jsm.streams.purge("s", { seq: 101 });
    await t.rejects(log.read({ stream: "s", subjects: [], fromSequence: 100 }), {
      code: "MR_LOG_TRUNCATED",
      message: /messages 100 to 100 are gone/,
    });
    for (const fromSequence of [1, 101]) {
      const reader = await log.read({ stream: "s", subjects: [], fromSequence });
      t.equal((await reader.next(1))[0]?.sequence, 101, `from ${fromSequence}`);
      await reader.close();
    }
    const { lastSequence } = await log.info("s");
    const atEnd = await log.read({ stream: "s", subjects: [], fromSequence: lastSequence + 1 });
    await atEnd.close();
    await t.rejects(log.read({ stream: "s", subjects: [], fromSequence: lastSequence + 2 }), {
      code: "MR_LOG_LOST_DATA",
    });
    await t.rejects(log.read({ stream: "none", subjects: [], fromSequence: 1 }), { code: "MR_LOG_UNAVAILABLE" });
  });

  await t.test("a stream made anew is another log", async (t) => {
    const reader = await log.read({ stream: "s", subjects: ["s.0"], fromSequence: 101 });
    const { lastSequence } = await log.info("s");
    await jsm.streams.delete("s");
    await log.ensureStream(spec);
    await publishAll(log, lastSequence + 100);
    const toTheEnd = async () => {
      while ((await reader.next(1000)).length > 0);
    };
    await t.rejects(toTheEnd(), { code: "MR_LOG_LOST_DATA" });
    await t.rejects(reader.next(1), { code: "MR_LOG_LOST_DATA" }, "and stays so");
    await reader.close();
  });

  await t.test("closing the connection ends a waiting reader", async (t) => {
    const other = await connectLog({ url: server.url, name: "other" });
    const reader = await other.log.read({ stream: "s", subjects: ["s.none"], fromSequence: 1 });
    const waiting = reader.next(1);
    await Promise.all([other.close(), t.rejects(waiting, { code: "MR_LOG_UNAVAILABLE" })]);
    await reader.close();
  });
});

t.test(
  "bounded: a slow task holds 8192 messages and 4 MB, then the log waits; one message may be larger",
  async (t) => {
    const server = await startNats();
    t.teardown(server.stop);
    const { log, close } = await connectLog({ url: server.url, name: "test" });
    t.teardown(close);
    const { nc, jsm } = await admin(server);
    t.teardown(() => nc.close());
    await log.ensureStream(spec);
    const large = [6_000_000, 10, 3_000_000, 3_000_000, 50_000, 3_000_000, 6_000_000];
    const sizes = [...Array<number>(400).fill(50_000), ...large, ...Array<number>(100).fill(10)];
    for (const size of sizes) await log.publish({ subject: "s.x", data: new Uint8Array(size) });
    const reader = await log.read({ stream: "s", subjects: [], fromSequence: 1 });
    await reader.next(1);
    let delivered = 0;
    for (let same = 0; same < 20; ) {
      const [consumer] = await jsm.consumers.list("s").next();
      const now = consumer?.delivered.stream_seq ?? 0;
      same = now === delivered ? same + 1 : 0;
      delivered = now;
    }
    t.ok(
      delivered > 40 && delivered <= (4 * 1024 * 1024) / 50_000 + 2,
      `${delivered} messages of 50 kB were sent ahead`,
    );
    const rest = await take(reader, sizes.length - 1, 3);
    t.same(
      rest.map(({ data }) => data.length),
      sizes.slice(1),
    );
    await reader.close();
  },
);

t.test("kill -9 of the server, and a cut wire: every message once, in order", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const proxy = await startProxy(server.url);
  t.teardown(proxy.stop);
  const writer = await connectLog({ url: server.url, name: "writer", timeoutMs: 500 });
  t.teardown(writer.close);
  const { log, close } = await connectLog({ url: proxy.url, name: "test", timeoutMs: 500 });
  t.teardown(close);
  await writer.log.ensureStream(spec);
  const reader = await log.read({ stream: "s", subjects: ["s.*"], fromSequence: 1 });
  const total = 1_500;
  const writing = publishAll(writer.log, total);
  const found: LogMessage[] = [];
  const read = async (until: number) => {
    while (found.length < until) found.push(...(await reader.next(100)));
  };
  await read(300);
  proxy.cut();
  await read(600);
  await server.kill();
  await server.start();
  await read(total);
  await writing;
  t.same(
    found.map(({ data }) => Number(text(data))),
    Array.from({ length: total }, (_, i) => i),
  );
  await reader.close();
});

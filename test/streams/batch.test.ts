import t from "tap";
import { isMillraceError, type Log, type LogMessage, type StoredMarker } from "../../src/core/index.js";
import { connectLog } from "../../src/streams/index.js";
import { startNats } from "../support/nats.js";
import { startProxy } from "../support/proxy.js";
import { bytes, text } from "../support/text.js";

const spec = { name: "out", subjects: ["out.>"], maxBytes: 50_000_000 };
const task = "mine.haul-cycles/3";
const messages = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({
    subject: "out.3.x",
    data: bytes(String(from + i)),
    headers: { "Millrace-N": String(i) },
  }));

const byTask = (a: { task: string }, b: { task: string }) => (a.task < b.task ? -1 : 1);

async function contents(log: Log): Promise<string[]> {
  const { messages } = await log.info("out");
  const markers = [...(await log.countSubjects("out", "out._at.>")).values()].reduce((sum, n) => sum + n, 0);
  const reader = await log.read({ stream: "out", subjects: [], fromSequence: 1 });
  const found: string[] = [];
  while (found.length < messages - markers) found.push(...(await reader.next(1000)).map(({ data }) => text(data)));
  await reader.close();
  return found;
}

t.test("atomic batches", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const { log, space, close } = await connectLog({ url: server.url, name: "test" });
  t.teardown(close);
  await log.ensureStream(spec);

  await t.test("stored whole, with the marker last; one message is a batch, and so is none", async (t) => {
    t.equal(await log.readMarker("out", task), undefined);
    const first = await log.writeBatch({
      stream: "out",
      task,
      messages: messages(0, 3),
      marker: { sequence: 7, index: 2 },
      expectedAt: 0,
    });
    t.same(first, { sequence: 7, index: 2, storedAt: 4 });
    t.same(await log.readMarker("out", task), first);
    const one = await log.writeBatch({
      stream: "out",
      task,
      messages: messages(3, 1),
      marker: { sequence: 8, index: 0 },
      expectedAt: 4,
    });
    const none = await log.writeBatch({
      stream: "out",
      task,
      messages: [],
      marker: { sequence: 9, index: -1 },
      expectedAt: one.storedAt,
    });
    t.equal(none.storedAt, 7);
    t.same(await contents(log), ["0", "1", "2", "3"]);
    t.equal((await log.last("out", "out.3.x"))?.header("Millrace-N"), "0");
    t.equal((await log.last("out", "out._at._by.mine%2Ehaul-cycles.3"))?.sequence, 7);
  });

  await t.test("a stale marker refuses the batch whole", async (t) => {
    const stale = log.writeBatch({
      stream: "out",
      task,
      messages: messages(100, 500),
      marker: { sequence: 9, index: 0 },
      expectedAt: 4,
    });
    await t.rejects(stale, { code: "MR_LOG_CONFLICT" });
    t.same(await contents(log), ["0", "1", "2", "3"]);
    const other = { stream: "out", task: "other/0", messages: messages(4, 1), marker: { sequence: 1, index: 0 } };
    await t.rejects(log.writeBatch({ ...other, expectedAt: 3 }), { code: "MR_LOG_CONFLICT" });
    t.equal((await log.writeBatch({ ...other, expectedAt: 0 })).storedAt, 9, "tasks do not hinder each other");
  });

  await t.test("a pack alone carries the marker, guarded like any batch, and is read as its own", async (t) => {
    const packs = { ...spec, name: "packs", subjects: ["packs.>"] };
    await log.ensureStream(packs);
    const pack = (body: string) => ({ subject: "packs.3.row", data: bytes(body), headers: { "A-B": "c" }, pack: true });
    const batch = { stream: "packs", task, marker: { sequence: 1, index: 4, epoch: 2 } };
    const first = await log.writeBatch({ ...batch, messages: [pack("1")], expectedAt: 0 });
    t.same(first, { ...batch.marker, storedAt: 1 }, "one message in all");
    t.same(await log.readMarker("packs", task), first);
    t.same(await log.writeBatch({ ...batch, messages: [pack("1")], expectedAt: 0 }), first, "the same again: once");
    const later = { ...batch, marker: { ...batch.marker, sequence: 2 } };
    const stale = { ...batch, messages: [pack("x")], marker: { ...batch.marker, index: 9 } };
    await t.rejects(log.writeBatch({ ...stale, expectedAt: 0 }), { code: "MR_LOG_CONFLICT" });
    const two = await log.writeBatch({ ...later, messages: [pack("2"), pack("3")], expectedAt: 1 });
    t.equal(two.storedAt, 4, "two, and their marker");
    await t.rejects(log.writeBatch({ ...stale, expectedAt: 1 }), { code: "MR_LOG_CONFLICT" });
    const elsewhere = { ...pack("4"), subject: "packs.0.row" };
    t.equal((await log.writeBatch({ ...later, messages: [elsewhere], expectedAt: 4 })).storedAt, 5);
    const fence = { ...later, messages: [], marker: { ...later.marker, epoch: 3 } };
    await t.rejects(log.writeBatch({ ...fence, expectedAt: 4 }), { code: "MR_LOG_CONFLICT" }, "a carried one counts");
    t.equal((await log.writeBatch({ ...fence, expectedAt: 5 })).storedAt, 6);
    await t.rejects(log.writeBatch({ ...stale, expectedAt: 5 }), { code: "MR_LOG_CONFLICT" });
    const other = { stream: "packs", task: "other/3", messages: [pack("5")], marker: { sequence: 1, index: 1 } };
    t.equal((await log.writeBatch({ ...other, expectedAt: 0 })).storedAt, 7, "tasks do not hinder each other");

    const reader = await log.read({ stream: "packs", subjects: ["packs.3.>"], fromSequence: 1 });
    t.teardown(() => reader.close());
    const found: LogMessage[] = [];
    while (found.length < 4) found.push(...(await reader.next(100)));
    t.same(
      found.map((message) => [message.sequence, message.subject, text(message.data), message.header("A-B")]),
      [1, 2, 3, 7].map((sequence, i) => [sequence, "packs.3.row", ["1", "2", "3", "5"][i], "c"]),
    );
    t.same([...(await space.markers("packs"))].sort(byTask), [
      { task, storedAt: 6, sequence: 2 },
      { task: "other/3", storedAt: 7, sequence: 1 },
    ]);
  });

  await t.test("a marker of before packs carried any is taken over", async (t) => {
    await log.ensureStream({ ...spec, name: "old", subjects: ["old.>"] });
    const body = JSON.stringify({ sequence: 5, index: 1, epoch: 2, writer: "former" });
    await log.publish({ subject: "old._at.mine%2Ehaul-cycles.3", data: bytes(body) });
    t.same(await log.readMarker("old", task), { sequence: 5, index: 1, epoch: 2, storedAt: 0 });
    t.same(await space.markers("old"), [{ task, storedAt: 0, sequence: 5 }], "nothing before it is purged");
    const marker = { sequence: 5, index: 1, epoch: 3 };
    const stored = await log.writeBatch({ stream: "old", task, messages: [], marker, expectedAt: 0 });
    t.same(await log.readMarker("old", task), stored);
    t.same(await space.markers("old"), [{ task, storedAt: 2, sequence: 5 }]);
  });

  await t.test("999 messages, not 1000", async (t) => {
    const at = (await log.readMarker("out", task))?.storedAt ?? 0;
    const batch = { stream: "out", task, marker: { sequence: 10, index: 0 }, expectedAt: at };
    await t.rejects(log.writeBatch({ ...batch, messages: messages(5, 1000) }), { code: "MR_OPTION_INVALID" });
    t.equal((await log.writeBatch({ ...batch, messages: messages(5, 999) })).storedAt, 1009);
  });

  await t.test(
    "the same batch again by the same owner is answered with the first; another owner is refused",
    async (t) => {
      const at = (await log.readMarker("out", task))?.storedAt ?? 0;
      const batch = {
        stream: "out",
        task,
        messages: messages(0, 2),
        marker: { sequence: 11, index: 1 },
        expectedAt: at,
      };
      const stored = await log.writeBatch(batch);
      t.same(await log.writeBatch(batch), stored);
      const other = await connectLog({ url: server.url, name: "other" });
      t.teardown(other.close);
      await t.rejects(other.log.writeBatch(batch), { code: "MR_LOG_CONFLICT" });
    },
  );

  await t.test("full: refused whole", async (t) => {
    await log.ensureStream({ ...spec, name: "small", subjects: ["small.>"], maxBytes: 100_000 });
    const large = Array.from({ length: 10 }, () => ({ subject: "small.x", data: new Uint8Array(1_500) }));
    let marker: StoredMarker = { sequence: 0, index: 0, storedAt: 0 };
    const write = async () => {
      const next = { sequence: marker.sequence + 1, index: 9 };
      marker = await log.writeBatch({
        stream: "small",
        task,
        messages: large,
        marker: next,
        expectedAt: marker.storedAt,
      });
    };
    const writeAll = async () => {
      for (let i = 0; i < 10; i++) await write();
    };
    await t.rejects(writeAll(), { code: "MR_LOG_FULL" });
    t.same(await log.readMarker("small", task), marker);
    t.equal((await log.info("small")).messages, marker.sequence * 11);
  });
});

t.test("a lost answer: the marker tells that the batch is stored", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const proxy = await startProxy(server.url);
  t.teardown(proxy.stop);
  const direct = await connectLog({ url: server.url, name: "direct" });
  t.teardown(direct.close);
  await direct.log.ensureStream(spec);
  const { log, close } = await connectLog({ url: proxy.url, name: "test", timeoutMs: 1_500 });
  t.teardown(close);
  const reader = await direct.log.read({ stream: "out", subjects: ["out.3.>"], fromSequence: 1 });
  proxy.mute();
  const writing = log.writeBatch({
    stream: "out",
    task,
    messages: messages(0, 2),
    marker: { sequence: 1, index: 1 },
    expectedAt: 0,
  });
  t.equal((await reader.next(2)).length, 2, "stored");
  proxy.cut();
  t.same(await writing, { sequence: 1, index: 1, storedAt: 3 });

  await t.test("and when it is not stored, nobody says so", async (t) => {
    await server.kill();
    const lost = log.writeBatch({
      stream: "out",
      task,
      messages: messages(2, 2),
      marker: { sequence: 2, index: 1 },
      expectedAt: 3,
    });
    await t.rejects(lost, { code: "MR_LOG_UNAVAILABLE" });
  });
});

t.test("kill -9 of the server in the middle: every batch whole, every message once", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const { log, close } = await connectLog({ url: server.url, name: "test", timeoutMs: 1_000 });
  t.teardown(close);
  await log.ensureStream(spec);
  const batches = 120;
  const each = 20;
  let marker: StoredMarker = { sequence: 0, index: 0, storedAt: 0 };
  const kills = new Set([30, 75]);
  while (marker.sequence < batches) {
    const sequence = marker.sequence + 1;
    const write = log.writeBatch({
      stream: "out",
      task,
      messages: messages(marker.sequence * each, each),
      marker: { sequence, index: each - 1 },
      expectedAt: marker.storedAt,
    });
    if (kills.delete(sequence)) {
      await Promise.all([server.kill().then(server.start), write.catch(() => undefined)]);
    }
    try {
      marker = await write;
    } catch (error) {
      if (!isMillraceError(error, "MR_LOG_UNAVAILABLE")) throw error;
      // As the runtime does: what is stored decides. It may take some tries until the server is back.
      marker = (await log.readMarker("out", task).catch(() => marker)) ?? marker;
    }
  }
  t.same(
    await contents(log),
    Array.from({ length: batches * each }, (_, i) => String(i)),
  );
});

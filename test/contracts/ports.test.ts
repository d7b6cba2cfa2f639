// One suite for what stands behind the ports: the simulated world of test/sim and JetStream itself. What the runtime may rely on
// is here, so that the simulation cannot drift from the truth.
import t, { type Test } from "tap";
import type { LogMessage, LogReader, NewMessage, StreamSpec } from "../../src/core/index.js";
import { openLeases } from "../../src/streams/leases.js";
import { bytes, text } from "../support/text.js";
import { type Client, type PortsWorld, portsWorlds } from "./ports-world.js";

const IN: StreamSpec = { name: "in", subjects: ["in.>"], maxBytes: 1_000_000 };
const TASK = "mine.site/1";
const PERIOD_MS = 900;

const message = (subject: string, body: string): NewMessage => ({ subject, data: bytes(body) });
const bodies = (messages: readonly LogMessage[]) => messages.map(({ data }) => text(data));

async function take(reader: LogReader, count: number): Promise<readonly LogMessage[]> {
  const taken: LogMessage[] = [];
  while (taken.length < count) taken.push(...(await reader.next(count - taken.length)));
  return taken;
}

for (const [name, open] of Object.entries(portsWorlds)) {
  const suite = (what: string, check: (t: Test, client: Client, world: PortsWorld) => Promise<void>) =>
    t.test(`${name}: ${what}`, async (t) => {
      const world = await open();
      t.teardown(() => world.stop());
      const client = await world.client("first");
      await client.log.ensureStream(IN);
      await check(t, client, world);
    });

  suite("messages are numbered and read in order, repeats included, markers left out", async (t, { log }) => {
    t.equal(await log.publish({ ...message("in.0.a", "1"), headers: { "Millrace-Door": "test" } }), 1);
    t.equal(await log.publish(message("in.1.a", "2")), 2);
    await log.writeBatch({ stream: "in", task: TASK, messages: [], marker: { sequence: 1, index: 1 }, expectedAt: 0 });
    t.equal(await log.publish(message("in.0.b", "4")), 4);
    t.equal(await log.publish(message("in.0.b", "4")), 5, "the log does not judge: the first operator does");
    const reader = await log.read({ stream: "in", subjects: ["in.0.>"], fromSequence: 1 });
    const all = await take(reader, 3);
    t.same(
      all.map(({ sequence, subject }) => [sequence, subject]),
      [
        [1, "in.0.a"],
        [4, "in.0.b"],
        [5, "in.0.b"],
      ],
    );
    t.equal(all[0]?.header("Millrace-Door"), "test");
    t.equal(all[1]?.header("Millrace-Door"), undefined);
    const later = reader.next(10);
    await log.publish(message("in.1.a", "not wanted"));
    await log.publish(message("in.0.a", "7"));
    t.same(bodies(await later), ["7"], "waits for what comes");
    const ended = reader.next(10);
    await reader.close();
    t.same(await ended, [], "an empty answer after close only");
    const rest = await log.read({ stream: "in", subjects: [], fromSequence: 5 });
    t.same(bodies(await take(rest, 3)), ["4", "not wanted", "7"], "from a position, every subject");
    await rest.close();
    t.equal((await log.last("in", "in.0.b"))?.sequence, 5);
    t.equal((await log.last("in", "in.1.>"))?.sequence, 6, "of all that fit");
    t.equal(await log.last("in", "in.9.x"), undefined);
    t.same(Object.fromEntries(await log.countSubjects("in", "in.0.*")), { "in.0.a": 2, "in.0.b": 2 });
    t.match(await log.info("in"), { firstSequence: 1, lastSequence: 7, messages: 7 });
    await t.rejects(log.publish(message("nowhere.x", "")), { code: "MR_LOG_UNAVAILABLE" });
    await t.rejects(log.ensureStream({ ...IN, subjects: ["in.*"] }), { code: "MR_STREAM_MISMATCH" });
  });

  suite("a batch is stored whole behind the marker it expects, or refused whole", async (t, { log }, world) => {
    const other = await world.client("second client");
    const marker = { sequence: 7, index: 2, epoch: 3, incarnation: "abc" };
    const batch = { stream: "in", task: TASK, messages: [message("in.0.a", "1"), message("in.0.a", "2")], marker };
    t.equal(await log.readMarker("in", TASK), undefined);
    const stored = await log.writeBatch({ ...batch, expectedAt: 0 });
    t.same(stored, { ...marker, storedAt: 3 });
    t.same(await other.log.readMarker("in", TASK), stored, "with all it says");
    const stale = { ...batch, marker: { ...marker, sequence: 8 } };
    await t.rejects(other.log.writeBatch({ ...stale, expectedAt: 0 }), { code: "MR_LOG_CONFLICT" });
    await t.rejects(other.log.writeBatch({ ...stale, expectedAt: 2 }), { code: "MR_LOG_CONFLICT" });
    t.equal((await log.info("in")).messages, 3, "nothing of a refused one");
    t.same(await log.writeBatch({ ...batch, expectedAt: 0 }), stored, "the same again by the same: the same answer");
    await t.rejects(
      other.log.writeBatch({ ...batch, expectedAt: 0 }),
      { code: "MR_LOG_CONFLICT" },
      "by another: refused",
    );
    const newer = { ...batch, marker: { ...marker, epoch: 4 } };
    await t.rejects(
      log.writeBatch({ ...newer, expectedAt: 0 }),
      { code: "MR_LOG_CONFLICT" },
      "of another epoch: refused",
    );
    const fence = { ...newer, messages: [], expectedAt: 3 };
    t.equal((await other.log.writeBatch(fence)).storedAt, 4, "a marker alone");
    await t.rejects(
      log.writeBatch({ ...stale, expectedAt: 3 }),
      { code: "MR_LOG_CONFLICT" },
      "the former owner is out",
    );
    const elsewhere = { ...batch, task: "mine.site/2", expectedAt: 0 };
    t.equal((await log.writeBatch(elsewhere)).storedAt, 7, "tasks do not hinder each other");
    const many = Array.from({ length: 1_000 }, () => message("in.0.a", ""));
    await t.rejects(log.writeBatch({ ...batch, messages: many, expectedAt: 4 }), { code: "MR_OPTION_INVALID" });
  });

  suite("a pack alone is one message with its marker, read under its own subject", async (t, { log }, world) => {
    const pack = { ...message("in.0.a", "1"), pack: true };
    const marker = { sequence: 7, index: 2, epoch: 3, incarnation: "abc" };
    const batch = { stream: "in", task: TASK, messages: [pack], marker };
    const stored = await log.writeBatch({ ...batch, expectedAt: 0 });
    t.equal(stored.storedAt, 1);
    t.equal((await log.info("in")).messages, 1);
    const other = await world.client("second client");
    t.same(await other.log.readMarker("in", TASK), stored);
    t.same(await log.writeBatch({ ...batch, expectedAt: 0 }), stored, "again by the same: the same answer");
    const [again, newer] = [
      { ...batch, expectedAt: 0 },
      { ...marker, epoch: 4 },
    ];
    await t.rejects(other.log.writeBatch(again), { code: "MR_LOG_CONFLICT" }, "by another: refused");
    await other.log.writeBatch({ ...batch, messages: [], marker: newer, expectedAt: 1 });
    await t.rejects(
      log.writeBatch({ ...batch, expectedAt: 1 }),
      { code: "MR_LOG_CONFLICT" },
      "a former owner's: refused",
    );
    t.equal(
      (await other.log.writeBatch({ ...batch, messages: [pack, pack], marker: newer, expectedAt: 2 })).storedAt,
      5,
    );
    const reader = await log.read({ stream: "in", subjects: ["in.0.>"], fromSequence: 1 });
    t.same(
      (await take(reader, 3)).map(({ sequence, subject }) => [sequence, subject]),
      [1, 3, 4].map((sequence) => [sequence, "in.0.a"]),
    );
    await reader.close();
  });

  suite("a full stream refuses and keeps what it has", async (t, { log }) => {
    const small = { name: "small", subjects: ["small.>"], maxBytes: 20_000 };
    await log.ensureStream(small);
    const one = { subject: "small.x", data: new Uint8Array(1_500) };
    let stored = 0;
    const fill = async () => {
      for (;;) {
        await log.publish(one);
        stored++;
      }
    };
    await t.rejects(fill(), { code: "MR_LOG_FULL" });
    t.ok(stored >= 8, `${stored} messages found room`);
    const batch = { stream: "small", task: TASK, messages: [one, one, one], marker: { sequence: 1, index: 1 } };
    await t.rejects(log.writeBatch({ ...batch, expectedAt: 0 }), { code: "MR_LOG_FULL" });
    t.match(await log.info("small"), { firstSequence: 1, messages: stored }, "nothing dropped, nothing half stored");
    await log.ensureStream({ ...small, maxBytes: 100_000 });
    t.equal((await log.writeBatch({ ...batch, expectedAt: 0 })).storedAt, stored + 4, "goes on when there is room");
  });

  suite("what is gone from the log is not skipped in silence", async (t, { log }, world) => {
    for (let i = 1; i <= 6; i++) await log.publish(message("in.0.a", String(i)));
    const open = await log.read({ stream: "in", subjects: ["in.0.>"], fromSequence: 1 });
    t.same(bodies(await take(open, 6)), ["1", "2", "3", "4", "5", "6"]);
    await world.purge("in", 4);
    t.match(await log.info("in"), { firstSequence: 5, lastSequence: 6, messages: 2 });
    const read = (fromSequence: number) => log.read({ stream: "in", subjects: ["in.0.>"], fromSequence });
    await t.rejects(read(4), { code: "MR_LOG_TRUNCATED", message: /^log truncated/ });
    await t.rejects(read(8), { code: "MR_LOG_LOST_DATA", message: /^broker lost acknowledged data/ });
    for (const [from, found] of [
      [1, ["5", "6"]],
      [5, ["5", "6"]],
      [6, ["6"]],
    ] as const) {
      const reader = await read(from);
      t.same(bodies(await take(reader, found.length)), found, `from ${from}`);
      await reader.close();
    }
    const end = await read(7);
    await log.publish(message("in.0.a", "7"));
    t.same(bodies(await take(end, 1)), ["7"], "from the end");
    await end.close();
    await open.close();
  });

  suite("a stream made again is another log", async (t, { log }, world) => {
    const { incarnation } = await log.info("in");
    t.ok(incarnation.length > 0);
    t.equal((await log.ensureStream(IN)).incarnation, incarnation, "asking for it again changes nothing");
    await log.publish(message("in.0.a", "1"));
    const what = { stream: "in", subjects: ["in.0.>"], incarnation };
    const reader = await log.read({ ...what, fromSequence: 1 });
    await take(reader, 1);
    const failing = t.rejects(reader.next(1), { code: "MR_LOG_LOST_DATA" }, "an open reader ends");
    await world.recreate(IN);
    for (let i = 0; i < 3; i++) await log.publish(message("in.0.a", "other"));
    await failing;
    await reader.close();
    t.not((await log.info("in")).incarnation, incarnation);
    await t.rejects(log.read({ ...what, fromSequence: 2 }), { code: "MR_LOG_LOST_DATA" }, "nor is it read by position");
  });

  suite("an answer that is lost leaves the caller unsure, and asking again harmless", async (t, client) => {
    const { log, registers } = client;
    t.equal(await registers.get("r"), undefined);
    const batch = {
      stream: "in",
      task: TASK,
      messages: [message("in.0.a", "1")],
      marker: { sequence: 1, index: 1, epoch: 2 },
    };
    client.mute();
    await t.rejects(log.writeBatch({ ...batch, expectedAt: 0 }), { code: "MR_LOG_UNAVAILABLE" });
    await t.rejects(registers.set("r", bytes("a"), 0), { code: "MR_LOG_UNAVAILABLE" });
    await t.rejects(log.publish(message("in.0.b", "x")), { code: "MR_LOG_UNAVAILABLE" });
    await client.heal();
    t.equal((await log.writeBatch({ ...batch, expectedAt: 0 })).storedAt, 2, "the same batch: stored once");
    t.equal((await log.countSubjects("in", "in.0.a")).get("in.0.a"), 1);
    t.equal((await log.countSubjects("in", "in.0.b")).get("in.0.b"), 1, "it was stored");
    t.equal(await registers.set("r", bytes("a"), 0), undefined, "the register was written");
    t.equal(text((await registers.get("r"))?.value ?? bytes("")), "a");
  });

  suite("registers change by compare-and-set", async (t, { registers }, world) => {
    const other = (await world.client("second client")).registers;
    t.equal(await registers.get("a/b.c d"), undefined);
    const first = (await registers.set("a/b.c d", bytes("1"), 0)) as number;
    t.equal(await other.set("a/b.c d", bytes("2"), 0), undefined, "exists");
    const second = (await other.set("a/b.c d", bytes("2"), first)) as number;
    t.ok(second > first);
    t.equal(await registers.set("a/b.c d", bytes("3"), first), undefined, "changed meanwhile");
    const racing = Array.from({ length: 10 }, (_, i) => (i % 2 ? registers : other).set("race", bytes(String(i)), 0));
    t.equal((await Promise.all(racing)).filter((revision) => revision !== undefined).length, 1, "one of ten wins");
    await registers.set("a/c", bytes("c"), 0);
    const listed = (await registers.list("a/")).map(({ key, value }) => [key, text(value)]);
    t.same(listed, [
      ["a/b.c d", "2"],
      ["a/c", "c"],
    ]);
    t.equal(await registers.remove("a/b.c d", first), false);
    t.equal(await registers.remove("a/b.c d", second), true);
    const third = await registers.set("a/b.c d", Buffer.from("again"), 0);
    t.ok(third !== undefined && third > second, "what was removed can be made again");
    t.equal(await registers.set("a/b.c d", Buffer.from("twice"), 0), undefined, "once");
    t.equal(await registers.remove("a/b.c d", third ?? 0), true);
    t.equal(await other.get("a/b.c d"), undefined);
    t.same(
      (await registers.list("a/")).map(({ key }) => key),
      ["a/c"],
    );
  });

  suite("objects are there whole or not at all", async (t, { objects }, world) => {
    const other = (await world.client("second client")).objects;
    t.equal(await objects.get("task/1-1"), undefined);
    const large = Uint8Array.from({ length: 1_900_000 }, (_, i) => i % 251);
    await objects.put("task/1-1", [large.subarray(0, 10), large.subarray(10, 1_000_000), large.subarray(1_000_000)]);
    await objects.put("task/2-1", bytes("two"));
    await objects.put("other/1-1", bytes(""));
    t.ok(Buffer.compare(large, (await other.get("task/1-1")) ?? bytes("")) === 0, "parts are one");
    t.equal((await other.get("other/1-1"))?.length, 0);
    t.same(await objects.list("task/"), ["task/1-1", "task/2-1"]);
    await objects.remove("task/1-1");
    await objects.remove("task/1-1");
    t.equal(await other.get("task/1-1"), undefined);
    t.same(await other.list(""), ["other/1-1", "task/2-1"]);
  });

  suite("a lease has one holder, who knows when it is over", async (t, first, world) => {
    const second = await world.client("second client");
    const ours = openLeases(first.registers, first.clock, PERIOD_MS);
    const theirs = openLeases(second.registers, second.clock, PERIOD_MS);
    const lease = await ours.tryAcquire("p", "one");
    if (lease === undefined) throw new Error("the lease was free");
    t.match(lease, { name: "p", holder: "one" });
    const untilMs = second.clock.monotonicMs() + 2.5 * PERIOD_MS;
    while (second.clock.monotonicMs() < untilMs) {
      t.equal(await theirs.tryAcquire("p", "two"), undefined, "renewed in time");
      await second.clock.sleep(PERIOD_MS / 3);
    }
    t.same(await theirs.holder("p"), { holder: "one", epoch: lease.epoch });
    t.notOk(lease.lost.aborted);

    first.mute(); // its renewals are stored, and it does not hear of it: it must not believe in them
    const told = new Promise<number>((resolve) => {
      lease.lost.addEventListener("abort", () => resolve(first.clock.monotonicMs()));
    });
    let taken = await theirs.tryAcquire("p", "two");
    t.equal(taken, undefined, "seen as it is now for less than a period");
    while (taken === undefined) {
      await second.clock.sleep(PERIOD_MS / 6);
      taken = await theirs.tryAcquire("p", "two");
    }
    t.ok((await told) <= second.clock.monotonicMs(), "the former holder gave up before");
    t.ok(taken.epoch > lease.epoch);
    await lease.release();
    t.notOk(taken.lost.aborted, "what is lost cannot be released");
    await taken.release();
    t.equal(await theirs.holder("p"), undefined);
    await first.heal();
    const next = await ours.tryAcquire("p", "one");
    t.ok((next?.epoch ?? 0) > taken.epoch, "free at once, with a larger epoch");
    await next?.release();
  });

  suite("members see who is alive", async (t, first, world) => {
    const second = await world.client("second client");
    const one = await openLeases(first.registers, first.clock, PERIOD_MS).join("workers", "one");
    const two = await openLeases(second.registers, second.clock, PERIOD_MS).join("workers", "two");
    const until = async (alive: readonly string[], tries = 0): Promise<readonly string[]> => {
      if (one.alive().join() === alive.join() || tries > 60) return one.alive();
      await first.clock.sleep(PERIOD_MS / 10);
      return until(alive, tries + 1);
    };
    t.same(await until(["one", "two"]), ["one", "two"]);
    second.mute();
    await second.clock.sleep(PERIOD_MS);
    await second.heal();
    await two.leave();
    await two.leave();
    t.same(await until(["one"]), ["one"]);
    t.notOk(two.alive().includes("two"), "who has left does not count itself");
    await one.leave();
  });
}

import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "nats";
import t from "tap";
import { connectLog } from "../../src/streams/index.js";
import { startNats } from "../support/nats.js";
import { bytes, text } from "../support/text.js";

t.test("registers change by compare-and-set", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const { registers, close } = await connectLog({ url: server.url, name: "test", timeoutMs: 500 });
  t.teardown(close);
  for (const key of ["plain", "task/mine.haul-cycles/3", "räder: 100 % = *.>", "ends.with."]) {
    t.equal(await registers.get(key), undefined, key);
    const first = await registers.set(key, bytes("a"), 0);
    t.ok(first, "0: must not exist");
    t.equal(await registers.set(key, bytes("b"), 0), undefined, "exists by now");
    const second = await registers.set(key, bytes("b"), first ?? 0);
    t.equal(await registers.set(key, bytes("c"), first ?? 0), undefined, "no longer at that revision");
    const read = await registers.get(key);
    t.same([text(read?.value ?? bytes("")), read?.revision], ["b", second]);
  }
  await t.test("of many at once one wins", async (t) => {
    const results = await Promise.all(Array.from({ length: 20 }, (_, i) => registers.set("race", bytes(String(i)), 0)));
    t.equal(results.filter((revision) => revision !== undefined).length, 1);
  });
  await t.test("a list has what is there, and leaves nothing behind at the server", async (t) => {
    const revision = await registers.set("list/ä", bytes("1"), 0);
    await registers.set("list/b c", bytes("2"), 0);
    await registers.set("list/gone", bytes("3"), 0);
    await registers.remove("list/gone", (await registers.get("list/gone"))?.revision ?? 0);
    const found = await registers.list("list/");
    t.same(
      found.map(({ key, value }) => [key, text(value)]),
      [
        ["list/b c", "2"],
        ["list/ä", "1"],
      ],
    );
    t.equal(found[1]?.revision, revision);
    t.same(await registers.list("nothing/"), []);
    const client = await connect({ servers: server.url });
    const { state } = await (await jetstreamManager(client)).streams.info("KV_millrace");
    await client.close();
    t.equal(state.consumer_count, 0);
  });
  await server.kill();
  await t.rejects(registers.get("plain"), { code: "MR_LOG_UNAVAILABLE" });
  await t.rejects(registers.set("plain", bytes("x"), 0), { code: "MR_LOG_UNAVAILABLE" });
});

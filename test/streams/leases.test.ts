import { once } from "node:events";
import t from "tap";
import { connectLog } from "../../src/streams/index.js";
import { startNats } from "../support/nats.js";
import { startProxy } from "../support/proxy.js";

t.test("leases", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const a = await connectLog({ url: server.url, name: "a" });
  t.teardown(a.close);
  const b = await connectLog({ url: server.url, name: "b" });
  t.teardown(b.close);

  await t.test("the newest starter wins and the former owner is told", async (t) => {
    const first = await a.leases.acquire("clock/live", "a");
    t.equal(first.epoch, 1);
    t.notOk(first.lost.aborted);
    const told = once(first.lost, "abort");
    const second = await b.leases.acquire("clock/live", "b");
    t.equal(second.epoch, 2);
    await told;
    t.notOk(second.lost.aborted);
    await first.release();
    const third = await a.leases.acquire("clock/live", "a");
    t.equal(third.epoch, 3, "releasing what is lost changes nothing");
    await third.release();
    await third.release();
    t.equal((await b.leases.acquire("clock/live", "b")).epoch, 4, "epochs never restart");
  });

  await t.test("names do not touch each other; twelve at once get twelve epochs", async (t) => {
    const lease = await a.leases.acquire("sink/clickhouse", "a");
    const epochs = await Promise.all(
      Array.from({ length: 12 }, async (_, i) => (await (i % 2 ? a : b).leases.acquire("race", String(i))).epoch),
    );
    t.same(
      epochs.sort((x, y) => x - y),
      Array.from({ length: 12 }, (_, i) => i + 1),
    );
    t.notOk(lease.lost.aborted);
  });

  await t.test("an owner that was cut off learns it on its return", async (t) => {
    const proxy = await startProxy(server.url);
    t.teardown(proxy.stop);
    const away = await connectLog({ url: proxy.url, name: "away" });
    t.teardown(away.close);
    const lease = await away.leases.acquire("away", "away");
    proxy.mute();
    await b.leases.acquire("away", "b");
    t.notOk(lease.lost.aborted);
    const told = once(lease.lost, "abort");
    proxy.cut();
    await told;
    t.ok(lease.lost.aborted);
  });
});

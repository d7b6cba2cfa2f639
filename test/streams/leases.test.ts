import { once } from "node:events";
import t from "tap";
import { type Leases, systemClock } from "../../src/core/index.js";
import { type Link, openLink } from "../../src/streams/connection.js";
import { connectLog } from "../../src/streams/index.js";
import { openLeases } from "../../src/streams/leases.js";
import { openPresence } from "../../src/streams/presence.js";
import { openRegisters } from "../../src/streams/registers.js";
import { startNats } from "../support/nats.js";
import { startProxy } from "../support/proxy.js";

/** Long: a slow machine must not reach its end. */
const PERIOD_MS = 12_000;

/** Asks until the lease is free; a lease that nobody renews is after a period. */
async function taken(leases: Leases, name: string, holder: string, fenced = false) {
  for (;;) {
    const lease = await leases.tryAcquire(name, holder, fenced);
    if (lease !== undefined) return lease;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

t.test("leases over real connections", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const a = await connectLog({ url: server.url, name: "a" });
  t.teardown(a.close);
  const b = await connectLog({ url: server.url, name: "b" });
  t.teardown(b.close);

  await t.test("of twelve at once one gets it; epochs never restart", async (t) => {
    const tries = Array.from({ length: 12 }, (_, i) => (i % 2 ? a : b).leases.tryAcquire("race", String(i)));
    const held = (await Promise.all(tries)).filter((lease) => lease !== undefined);
    t.equal(held.length, 1);
    t.equal((await b.leases.holder("race"))?.holder, held[0]?.holder);
    await held[0]?.release();
    await held[0]?.release();
    t.equal(await b.leases.holder("race"), undefined);
    const next = await b.leases.tryAcquire("race", "b");
    t.ok((next?.epoch ?? 0) > (held[0]?.epoch ?? 0), "a released lease is free at once");
    await next?.release();
  });

  await t.test("an owner that is cut off gives up before another one takes over", async (t) => {
    const proxy = await startProxy(server.url);
    t.teardown(proxy.stop);
    const away = await connectLog({ url: proxy.url, name: "away" });
    t.teardown(away.close);
    const lease = await away.leases.tryAcquire("away", "away");
    if (lease === undefined) throw new Error("nobody held it");
    t.equal(await b.leases.tryAcquire("away", "b"), undefined, "held");
    proxy.mute();
    const cutMs = performance.now();
    const told = once(lease.lost, "abort").then(() => performance.now() - cutMs);
    const next = await taken(b.leases, "away", "b");
    const takenMs = performance.now() - cutMs;
    t.ok(next.epoch > lease.epoch);
    t.ok((await told) < takenMs, "the former owner knew before");
    t.ok(takenMs < 5_000, `taken over after ${Math.round(takenMs)} ms`);
    await next.release();
  });

  await t.test("a holder whose connection is gone is not waited for, where its work is fenced", async (t) => {
    const proxy = await startProxy(server.url);
    t.teardown(proxy.stop);
    const gone = await openLink({ url: proxy.url, name: "gone" });
    const here = await openLink({ url: server.url, name: "here" });
    t.teardown(() => Promise.all([gone.nc.close(), here.nc.close()]));
    const leasesOf = (link: Link) => openLeases(openRegisters(link), systemClock, PERIOD_MS, openPresence(link));
    const [theirs, ours] = [leasesOf(gone), leasesOf(here)];
    const fenced = await theirs.tryAcquire("fenced", "gone", true);
    const other = await theirs.tryAcquire("other", "gone");
    if (fenced === undefined || other === undefined) throw new Error("nobody held them");
    const begunMs = performance.now();
    while (performance.now() - begunMs < PERIOD_MS / 2) {
      t.equal(await ours.tryAcquire("fenced", "here", true), undefined, "it is there");
      await systemClock.sleep(PERIOD_MS / 12);
    }
    await proxy.stop();
    const next = await taken(ours, "fenced", "here", true);
    t.ok(next.epoch > fenced.epoch);
    t.equal(await ours.tryAcquire("other", "here", false), undefined, "the other one is waited for");
    await next.release();
  });

  await t.test("members see each other come and go", async (t) => {
    const first = await a.leases.join("workers", "a");
    const second = await b.leases.join("workers", "b");
    t.same(second.alive(), ["a", "b"]);
    while (first.alive().length < 2) await new Promise((resolve) => setTimeout(resolve, 50));
    await second.leave();
    while (first.alive().length > 1) await new Promise((resolve) => setTimeout(resolve, 50));
    t.same(first.alive(), ["a"]);
    await first.leave();
  });
});

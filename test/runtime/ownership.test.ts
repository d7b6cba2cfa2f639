import t from "tap";
import type { Lease } from "../../src/core/index.js";
import { whileHeld } from "../../src/runtime/index.js";
import { openLeases } from "../../src/streams/leases.js";
import { portsWorlds } from "../contracts/ports-world.js";

const PERIOD_MS = 900;

t.test("work goes on wherever the lease is", async (t) => {
  const world = await (portsWorlds["simulated"] as NonNullable<(typeof portsWorlds)[string]>)();
  t.teardown(() => world.stop());
  const worked: string[] = [];
  const begin = async (holder: string) => {
    const client = await world.client(holder);
    const leases = openLeases(client.registers, client.clock, PERIOD_MS);
    const stop = new AbortController();
    const epochs: number[] = [];
    const work = async (lease: Lease, signal: AbortSignal) => {
      epochs.push(lease.epoch);
      worked.push(`${holder} begins`);
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      worked.push(`${holder} ends`);
    };
    const done = whileHeld({ leases, clock: client.clock, name: "clock", holder, signal: stop.signal, work });
    const until = async (count: number) => {
      while (worked.length < count) await client.clock.sleep(PERIOD_MS / 10);
    };
    return { client, stop, done, until, epochs };
  };
  const a = await begin("a");
  await a.until(1);
  const b = await begin("second");
  await b.client.clock.sleep(3 * PERIOD_MS);
  t.same(worked, ["a begins"], "held and renewed");
  a.client.mute();
  await b.until(3);
  t.same(worked, ["a begins", "a ends", "second begins"], "the one who cannot renew stops first");
  await a.client.heal();
  b.stop.abort();
  await b.done;
  await a.until(5);
  t.same(worked.slice(3), ["second ends", "a begins"], "released, it is free at once");
  t.ok((a.epochs[1] as number) > (b.epochs[0] as number) && (b.epochs[0] as number) > (a.epochs[0] as number));
  a.stop.abort();
  await a.done;

  const client = await world.client("third client");
  const leases = openLeases(client.registers, client.clock, PERIOD_MS);
  const { signal } = new AbortController();
  const work = () => Promise.reject(new Error("our own mistake"));
  const failing = whileHeld({ leases, clock: client.clock, name: "clock", holder: "c", signal, work });
  await t.rejects(failing, { message: "our own mistake" });
  t.equal(await leases.holder("clock"), undefined, "and the lease is free");
});

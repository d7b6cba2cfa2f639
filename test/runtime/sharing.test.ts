import { setTimeout as delay } from "node:timers/promises";
import t from "tap";
import type { Lease, Leases, Membership } from "../../src/core/index.js";
import { shareNames, shareOf } from "../../src/runtime/index.js";
import { wallClock } from "../support/clock.js";

const PERIOD_MS = 60;

t.test("shares differ by at most one and are everything together", async (t) => {
  for (const [names, alive] of [
    [4, 1],
    [4, 2],
    [4, 3],
    [7, 3],
    [2, 5],
    [64, 7],
  ] as const) {
    const shares = Array.from({ length: alive }, (_, rank) => shareOf(names, alive, rank));
    t.equal(
      shares.reduce((sum, share) => sum + share, 0),
      names,
      `${names} over ${alive}: ${shares}`,
    );
    t.ok(Math.max(...shares) <= Math.ceil(names / alive), "none above its share");
    t.ok(Math.max(...shares) - Math.min(...shares) <= 1, "even");
  }
});

t.test("members share, hand back and take over", async (t) => {
  const names = ["p0", "p1", "p2", "p3"];
  const world = createWorld();
  const one = world.join("one", names);
  await until(() => one.working.size === 4);
  t.same([...one.working].sort(), names, "alone: everything");

  const two = world.join("two", names);
  await until(() => one.working.size === 2 && two.working.size === 2);
  t.same([...one.working, ...two.working].sort(), names, "two: half each, nothing twice");
  t.equal(world.most, 1, "never two at one name");

  const three = world.join("three", names);
  await until(() => three.working.size === 1);
  t.ok([one, two].every(({ working }) => working.size <= 2));

  three.die()();
  await until(() => one.working.size + two.working.size === 4);
  t.pass("what a dead member held is taken over");

  two.leave();
  await two.done;
  await until(() => one.working.size === 4);
  t.pass("who leaves hands its share back");
  t.equal(world.most, 1, "never two at one name");
  one.leave();
  await one.done;
  t.equal(one.working.size, 0, "and everything ends");
});

t.test("work that fails ends the sharing with its error", async (t) => {
  const world = createWorld();
  const stop = new AbortController();
  const sharing = shareNames({
    ...world.ports("one"),
    names: () => ["p0", "p1"],
    signal: stop.signal,
    work: async (name) => {
      if (name === "p1") throw new Error("planted");
      await delay(1);
    },
  });
  await t.rejects(sharing, { message: "planted" });
});

t.test("what a dead member held is kept while the members still count it", async (t) => {
  const world = createWorld();
  const one = world.join("one", ["p0"]);
  await until(() => one.working.size === 1);
  const two = world.join("two", ["p0"]);
  const forget = one.die();
  await until(() => two.working.size === 1);
  await delay(PERIOD_MS / 2); // three looks, by which the one that is dead should have it
  forget();
  await delay(2 * PERIOD_MS);
  t.ok(two.working.has("p0"));
  t.equal(world.begun, 2, "once by each");
  two.leave();
  await two.done;
});

async function until(so: () => boolean): Promise<void> {
  for (const endMs = Date.now() + 10_000; !so(); await delay(5))
    if (Date.now() > endMs) throw new Error(`not so: ${so}`);
}

/** Leases and members of one process each, in memory: a dead one's lease is free a period after its death. */
function createWorld() {
  const held = new Map<string, { holder: string; epoch: number; lost: AbortController }>();
  const alive = new Set<string>();
  const died = new Map<string, number>();
  const atWork = new Map<string, number>();
  const world = { most: 0, begun: 0, join, ports };

  function ports(member: string) {
    const leases: Leases = {
      periodMs: PERIOD_MS,
      async tryAcquire(name, holder) {
        const former = held.get(name);
        const diedMs = former === undefined ? undefined : died.get(former.holder);
        if (former !== undefined && (diedMs === undefined || Date.now() - diedMs < PERIOD_MS)) return undefined;
        const lost = new AbortController();
        const epoch = (former?.epoch ?? 0) + 1;
        held.set(name, { holder, epoch, lost });
        const release = async (): Promise<void> => {
          if (held.get(name)?.epoch === epoch) held.delete(name);
        };
        return { name, holder, epoch, lost: lost.signal, release } satisfies Lease;
      },
      holder: async (name) => held.get(name),
      join: () => Promise.reject(new Error("not used")),
    };
    alive.add(member);
    const membership: Membership = { alive: () => [...alive].sort(), leave: async () => void alive.delete(member) };
    return { leases, membership, member, clock: wallClock };
  }

  function join(member: string, names: readonly string[]) {
    const working = new Set<string>();
    const leaving = new AbortController();
    let dead = false;
    const work = async (name: string, _: Lease, signal: AbortSignal): Promise<void> => {
      working.add(name);
      world.begun++;
      atWork.set(name, (atWork.get(name) ?? 0) + 1);
      world.most = Math.max(world.most, atWork.get(name) ?? 0);
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      if (dead) return new Promise(() => undefined);
      working.delete(name);
      atWork.set(name, (atWork.get(name) ?? 0) - 1);
    };
    const done = shareNames({ ...ports(member), names: () => names, signal: leaving.signal, work });
    return {
      working,
      done,
      leave() {
        leaving.abort();
        void done.then(() => alive.delete(member));
      },
      /** It stops without a word: its leases run out; the others count it until the returned function is called. */
      die() {
        dead = true;
        leaving.abort();
        died.set(member, Date.now());
        for (const name of working) atWork.set(name, (atWork.get(name) ?? 0) - 1);
        working.clear();
        return () => void alive.delete(member);
      },
    };
  }
  return world;
}

import t from "tap";
import { Limiter } from "../../../src/sinks/index.js";
import { seededRandom } from "../../support/random.js";

t.test("no window ever holds more than it may, however one asks", async (t) => {
  const limits = [
    { count: 2, perMs: 1_000 },
    { count: 5, perMs: 10_000 },
  ];
  for (let seed = 1; seed <= 20; seed++) {
    const chance = seededRandom(seed);
    let limiter = new Limiter(limits);
    const times: number[] = [];
    let now = 0;
    for (let i = 0; i < 200; i++) {
      now += Math.floor(chance() * 800);
      now += limiter.waitMs(now);
      if (chance() < 0.1) {
        const before = limiter;
        limiter = new Limiter(limits); // a restart, with what was kept
        for (const atMs of before.attempts) limiter.note(atMs);
        limiter.resume(now);
        now += limiter.waitMs(now);
      }
      times.push(now);
      limiter.note(now);
    }
    for (const { count, perMs } of limits) {
      const crowded = times.filter((atMs, i) => atMs - (times[i - count] ?? Number.NEGATIVE_INFINITY) < perMs);
      t.same(crowded, [], `seed ${seed}: ${count} in ${perMs} ms`);
    }
  }
});

t.test("without limits nobody waits", async (t) => {
  const limiter = new Limiter([]);
  limiter.note(1);
  t.equal(limiter.waitMs(1), 0);
  t.same(limiter.attempts, []);
});

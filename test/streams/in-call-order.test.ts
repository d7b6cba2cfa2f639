import t from "tap";
import { inCallOrder } from "../../src/streams/in-call-order.js";
import { seededRandom } from "../support/random.js";

t.test("items leave in the order of the calls, however long each takes to be ready", async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const chance = seededRandom(seed);
    const sent: number[] = [];
    const send = inCallOrder<number, number>(
      (n) => (chance() < 0.5 ? undefined : new Promise((ready) => setTimeout(() => ready(n), chance() * 4))),
      async (n) => {
        sent.push(n);
        return -n;
      },
    );
    const numbers = Array.from({ length: 30 }, (_, n) => n);
    const answers: Promise<number>[] = [];
    for (const n of numbers) {
      if (chance() < 0.2) await new Promise((resolve) => setTimeout(resolve, 2));
      answers.push(send(n));
    }
    t.same(
      await Promise.all(answers),
      numbers.map((n) => -n),
    );
    t.same(sent, numbers, `seed ${seed}`);
  }
});

t.test("what cannot be made ready, or sent, is the caller's to hear; the next one goes on", async (t) => {
  const send = inCallOrder<string, string>(
    (item) =>
      item === "small" ? undefined : item === "bad" ? Promise.reject(new Error("bad")) : Promise.resolve(item),
    async (item) => {
      if (item === "full") throw new Error("full");
      return item;
    },
  );
  const all = await Promise.allSettled(["large", "bad", "full", "small"].map(send));
  t.same(
    all.map((one) => (one.status === "fulfilled" ? one.value : (one.reason as Error).message)),
    ["large", "bad", "full", "small"],
  );
  t.equal(await send("small"), "small");
});

import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { pipeline, TestKit, testSource, testTarget } from "../../../../src/operators/engine/index.js";

interface Order {
  readonly shop: string;
  readonly item: string;
  readonly timeMs: number;
}

const TIMEOUT_MS = 20;

/** The price of an item is asked from outside; an order goes on when it is known, or without one when it takes too long. */
function topology() {
  const priced = pipeline("test.request")
    .from(testSource<Order>())
    .map(({ value }) => value)
    .keyBy(({ shop }) => shop)
    .request("price", {
      id: ({ item }) => item,
      ask: testTarget("questions"),
      answers: {
        kind: "price",
        read: (body) => {
          const { item, price } = body as { item: string; price: number };
          if (typeof price !== "number") throw new TypeError(`${item} has no price`);
          return { id: item, answer: price };
        },
      },
      timeoutMs: TIMEOUT_MS,
      answered: ({ shop, item }, price) => `${shop} ${item} ${price}`,
      timedOut: ({ shop, item }) => `${shop} ${item} ?`,
    });
  return priced.map((text, at) => `${at.key}: ${text} at ${at.timeMs}`).to(testTarget());
}

const order = (shop: string, item: string, timeMs: number): Order => ({ shop, item, timeMs });

t.test("a question is asked once; the answer goes to all that wait for it, each under its own key", async (t) => {
  const kit = new TestKit<Order>(topology());
  kit.cutAlways = true;
  kit
    .event(1, order("s", "tea", 1))
    .event(2, order("r", "tea", 2))
    .event(3, order("s", "milk", 3));
  t.same(
    kit.rows<Order>("questions").map(({ item }) => item),
    ["tea", "milk"],
  );
  kit.watermark(10).control("price", { item: "tea", price: 5 });
  t.same(kit.rows(), ["s: s tea 5 at 10", "r: r tea 5 at 10"], "in the order they were asked, at the log's time");
  kit.watermark(22).watermark(23);
  t.same(kit.rows().slice(2), ["s: s milk ? at 23"], "by event time, not a millisecond before");
  kit.control("price", { item: "milk", price: 1 });
  t.equal(kit.rows().length, 3, "an answer that nobody waits for changes nothing");
  kit.event(30, order("s", "tea", 30));
  t.equal(kit.rows("questions").length, 3, "asked anew once it was answered");
  kit.control("price", { item: "tea" });
  t.match(kit.dead(), [{ reason: "control price threw: tea has no price" }]);
  kit.watermark(1_000);
  t.equal(kit.metrics()[0]?.keys, 0, "nothing waits for ever");
});

t.test("equals a list of what waits, with any cuts", async (t) => {
  const step = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ shop: fc.constantFrom("a", "b"), item: fc.constantFrom("x", "y"), timeMs: fc.nat(100) }),
    },
    { weight: 1, arbitrary: fc.record({ item: fc.constantFrom("x", "y"), price: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 15 }) },
  );
  const property = fc.property(fc.array(step, { maxLength: 40 }), fc.array(fc.nat(40)), (all, cuts) => {
    const kit = new TestKit<Order>(topology());
    let watermarkMs = -50;
    kit.watermark(watermarkMs);
    let waiting: Order[] = [];
    const asked: string[] = [];
    const expected: string[] = [];
    const expire = (): void => {
      const due = waiting.filter(({ timeMs }) => timeMs + TIMEOUT_MS <= watermarkMs);
      waiting = waiting.filter((one) => !due.includes(one));
      expected.push(...due.map(({ shop, item }) => `${shop} ${item} ?`));
    };
    all.forEach((one, i) => {
      if (cuts.includes(i)) kit.cut();
      if (typeof one === "number") {
        watermarkMs += one;
        kit.watermark(watermarkMs);
        expire();
      } else if ("shop" in one) {
        kit.event(one.timeMs, one);
        if (!waiting.some(({ item }) => item === one.item)) asked.push(one.item);
        waiting.push(one);
      } else {
        kit.control("price", one);
        const done = waiting.filter(({ item }) => item === one.item);
        waiting = waiting.filter(({ item }) => item !== one.item);
        expected.push(...done.map(({ shop, item }) => `${shop} ${item} ${one.price}`));
      }
    });
    watermarkMs = 10_000;
    kit.watermark(watermarkMs);
    expire();
    const rows = kit.rows<string>().map((row) => row.slice(3, row.indexOf(" at ")));
    assert.deepEqual([...rows].sort(), expected.sort());
    assert.deepEqual(
      kit.rows<Order>("questions").map(({ item }) => item),
      asked,
    );
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 34, numRuns: 200 }));
});

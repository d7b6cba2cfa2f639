import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { ByteReader, ByteWriter } from "../../../../src/operators/engine/state/bytes.js";
import { KeyTable } from "../../../../src/operators/engine/state/key-table.js";
import { compareKeys, type Key } from "../../../../src/operators/engine/state/keys.js";
import { TimerHeap } from "../../../../src/operators/engine/state/timers.js";
import { readValue, writeValue } from "../../../../src/operators/engine/state/values.js";

const bytesOf = (value: unknown): Uint8Array => {
  const writer = new ByteWriter(1);
  writeValue(writer, value);
  return writer.finish();
};

t.test(
  "values: a round trip for any plain data, which keeps the order of keys: outputs made of state are the same text",
  async (t) => {
    const plain = fc.anything({
      maxDepth: 4,
      withBigInt: true,
      withUnicodeString: true,
      values: [
        fc.string({ unit: "binary" }),
        fc.integer(),
        fc.double(),
        fc.boolean(),
        fc.constant(null),
        fc.constant(undefined),
        fc.nat(),
        fc.bigInt(),
      ],
    });
    const property = fc.property(fc.array(plain), (values) => {
      const cleaned = JSON.stringify(values, (_key, value: unknown) =>
        typeof value === "bigint" || value === undefined ? null : value,
      );
      const value = [JSON.parse(cleaned), ...values.filter((item) => typeof item !== "object")];
      assert.deepStrictEqual(readValue(new ByteReader(bytesOf(value))), value);
    });
    t.doesNotThrow(() => fc.assert(property, { seed: 51, numRuns: 1_000 }));
    const ordered = fc.property(fc.dictionary(fc.string(), fc.integer(), { noNullPrototype: true }), (record) => {
      const reversed = Object.fromEntries(Object.entries(record).reverse());
      const value = [record, reversed, { record, reversed }, record];
      const bytes = bytesOf(value);
      const read = readValue(new ByteReader(bytes));
      assert.equal(JSON.stringify(read), JSON.stringify(value));
      assert.deepEqual(bytesOf(read), bytes);
    });
    t.doesNotThrow(() => fc.assert(ordered, { seed: 52 }));
  },
);

t.test("values: what is not plain data is refused, so is what was not written here", async (t) => {
  for (const value of [() => 1, Symbol("x"), new Map(), new Date(0)])
    t.throws(() => bytesOf(value), { code: "MR_OPTION_INVALID" });
  t.throws(() => readValue(new ByteReader(Uint8Array.of(99))), { code: "MR_STATE_INCOMPATIBLE" });
  t.throws(() => readValue(new ByteReader(bytesOf("hello").subarray(0, 3))), { code: "MR_STATE_INCOMPATIBLE" });
  t.throws(() => readValue(new ByteReader(Uint8Array.of(7, 5))), { code: "MR_STATE_INCOMPATIBLE" });
});

t.test("key table: a Map that also tells slots, through any inserts and removals", async (t) => {
  const key = fc.oneof(fc.integer({ min: -5, max: 40 }), fc.constantFrom(0.5, 1e20, -0), fc.string({ maxLength: 2 }));
  const property = fc.property(fc.array(fc.tuple(key, fc.boolean()), { maxLength: 200 }), (steps) => {
    const table = new KeyTable();
    const model = new Map<Key, number>();
    for (const [key, insert] of steps) {
      if (insert) {
        const slot = table.slotOf(key);
        assert.equal(table.fresh, !model.has(key));
        model.set(key, slot);
      } else {
        assert.equal(table.find(key), model.get(key) ?? -1);
        if (model.has(key)) table.remove(table.find(key));
        model.delete(key);
      }
    }
    assert.equal(table.size, model.size);
    for (const [key, slot] of model) assert.equal(table.find(key), slot);
    const sorted = Array.from(table.sortedSlots(), (slot) => table.keyAt(slot) as Key);
    assert.deepEqual(
      sorted,
      [...model.keys()].sort(compareKeys).map((key) => table.keyAt(model.get(key) as number)),
    );
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 53, numRuns: 500 }));
});

t.test(
  "key table: sorts texts as code units order them, long beginnings in common or none, whatever is behind them",
  async (t) => {
    const tail = fc.string({ unit: fc.constantFrom("a", "b", "\u0000", "\u0080", "\u00ff"), maxLength: 10 });
    const wide = fc.constantFrom("", "", "", "\u0100");
    const property = fc.property(
      fc.constantFrom("", "k", "a long beginning in common "),
      fc.uniqueArray(fc.tuple(tail, wide), { maxLength: 60, selector: ([a, b]) => a + b }),
      (beginning, tails) => {
        const table = new KeyTable();
        const keys = tails.map(([a, b]) => beginning + a + b);
        for (const key of keys) table.slotOf(key);
        const sorted = Array.from(table.sortedSlots(), (slot) => table.keyAt(slot));
        assert.deepEqual(sorted, [...keys].sort());
      },
    );
    t.doesNotThrow(() => fc.assert(property, { seed: 55, numRuns: 500 }));
  },
);

t.test("key table: a large one is sorted in many short steps", async (t) => {
  const table = new KeyTable();
  for (let i = 0; i < 50_000; i++) table.slotOf(`key ${(i * 7_919) % 50_000}`);
  let turns = 0;
  const steps = table.sortedInSteps();
  let done = steps.next();
  for (; done.done !== true; done = steps.next()) turns++;
  const sorted = Array.from(done.value, (slot) => table.keyAt(slot) as string);
  t.ok(
    sorted.every((key, i) => i === 0 || (sorted[i - 1] as string) < key),
    "in order",
  );
  t.ok(turns >= 16 * (50_000 / 16_384), `${turns} steps`);
});

t.test("timer heap: gives back by time", async (t) => {
  const property = fc.property(fc.array(fc.integer({ min: -50, max: 50 }), { maxLength: 300 }), (times) => {
    const heap = new TimerHeap();
    times.forEach((time, i) => heap.push(time, i));
    const out: number[] = [];
    while (heap.size > 0) out.push(times[heap.pop()] as number);
    assert.deepEqual(
      out,
      [...times].sort((a, b) => a - b),
    );
    assert.equal(heap.nextMs, Number.POSITIVE_INFINITY);
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 54 }));
});

import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { ByteReader, ByteWriter } from "../../../../src/operators/engine/state/bytes.js";
import { KeyTable } from "../../../../src/operators/engine/state/key-table.js";
import { compareKeys, type Key } from "../../../../src/operators/engine/state/keys.js";
import { TimerHeap } from "../../../../src/operators/engine/state/timers.js";
import { readValue, writeValue } from "../../../../src/operators/engine/state/values.js";

t.setTimeout(120_000);
t.test("integers, doubles and any text come back as they went in, whatever the capacity to begin with", async (t) => {
  const text = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.string({ unit: "binary", maxLength: 40 }),
    fc
      .array(fc.constantFrom("a", "ä", "\ud83d", "\ude80", "\ud83d\ude80", "\u0000", "\uffff", "\ue000"))
      .map((all) => all.join("")),
  );
  const item = fc.oneof(
    fc.record({
      kind: fc.constant("uint" as const),
      value: fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constantFrom(0, 127, 128, 2 ** 30 - 1, 2 ** 30)),
    }),
    fc.record({
      kind: fc.constant("int" as const),
      value: fc.oneof(fc.integer(), fc.constantFrom(0, -1, 1, -(2 ** 52), 2 ** 52 - 1)),
    }),
    fc.record({ kind: fc.constant("f64" as const), value: fc.double() }),
    fc.record({ kind: fc.constant("text" as const), value: text }),
    fc.record({ kind: fc.constant("u8" as const), value: fc.integer({ min: 0, max: 255 }) }),
    fc.record({ kind: fc.constant("bytes" as const), value: fc.uint8Array({ maxLength: 50 }) }),
  );
  const property = fc.property(
    fc.array(item, { maxLength: 30 }),
    fc.integer({ min: 1, max: 64 }),
    (items, capacity) => {
      const write = (writer: ByteWriter): Uint8Array => {
        for (const { kind, value } of items) (writer[kind] as (value: unknown) => void).call(writer, value);
        return writer.finish();
      };
      const bytes = write(new ByteWriter(capacity));
      assert.deepEqual(write(new ByteWriter(4_096)), bytes, "the capacity does not show");
      const reader = new ByteReader(bytes);
      for (const { kind, value } of items) assert.deepEqual(reader[kind](), value);
      assert.equal(reader.left, 0);
      assert.throws(() => reader.u8(), { code: "MR_STATE_INCOMPATIBLE" });
    },
  );
  t.doesNotThrow(() => fc.assert(property, { seed: 56, numRuns: 200 }));
});

t.test("doubles: a slice of an array, without a length", async (t) => {
  const writer = new ByteWriter(1);
  writer.doubles(Float64Array.of(1, 2.5, -3, Number.NaN, 5), 1, 3);
  const into = new Float64Array(6);
  new ByteReader(writer.finish()).doubles(into, 2, 3);
  t.same([...into], [0, 0, 2.5, -3, Number.NaN, 0]);
});

t.test("a small integer takes a byte, a larger one as many as it needs", async (t) => {
  const sizeOf = (value: number): number => {
    const writer = new ByteWriter();
    writer.uint(value);
    return writer.length;
  };
  t.same(
    [0, 127, 128, 16_383, 16_384, 2 ** 28, 2 ** 35, Number.MAX_SAFE_INTEGER].map(sizeOf),
    [1, 1, 2, 2, 3, 5, 6, 8],
  );
});

t.test("timer heap: grows, empties, starts over", async (t) => {
  const heap = new TimerHeap();
  t.equal(heap.pop(), -1);
  t.equal(heap.nextMs, Number.POSITIVE_INFINITY);
  for (const _again of [1, 2]) {
    for (let i = 0; i < 300; i++) heap.push((i * 7_919) % 1_009, i);
    t.equal(heap.size, 300);
    let latest = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < 150; i++) {
      t.ok(heap.nextMs >= latest);
      latest = heap.nextMs;
      t.equal((heap.pop() * 7_919) % 1_009, latest, "the number that came with the time");
    }
    heap.clear();
    t.equal(heap.size, 0);
    t.equal(heap.pop(), -1);
  }
});

t.test("keys in order: few or many, whole or not, small or large, of one kind or of both", async (t) => {
  const kinds: Readonly<Record<string, (i: number) => Key>> = {
    "small integers": (i) => (i * 7_919) % 1_009,
    "negative integers": (i) => ((i * 7_919) % 1_009) - 500,
    "large integers": (i) => ((i * 7_919) % 1_009) * 2 ** 24,
    "larger than 2^31": (i) => 2 ** 31 - 300 + ((i * 7_919) % 1_009),
    fractions: (i) => ((i * 7_919) % 1_009) / 7,
    text: (i) => `key ${(i * 7_919) % 1_009}`,
    "text beyond ASCII": (i) => String.fromCharCode(0xd7f0 + ((i * 7_919) % 1_009), i),
    both: (i) => (i % 2 === 0 ? `key ${i}` : 500 - i),
  };
  for (const [name, keyOf] of Object.entries(kinds)) {
    for (const count of [1, 20, 63, 64, 65, 600]) {
      const table = new KeyTable();
      for (let i = 0; i < count; i++) table.slotOf(keyOf(i));
      for (let i = 0; i < count; i += 5) table.remove(table.find(keyOf(i)));
      const left = Array.from({ length: count }, (_, i) => i).filter((i) => i % 5 !== 0);
      const expected = left.map(keyOf).sort(compareKeys);
      t.same(
        Array.from(table.sortedSlots(), (slot) => table.keyAt(slot)),
        expected,
        `${count} ${name}`,
      );
    }
  }
});

t.test("plain data of every kind, and records of more shapes than are kept", async (t) => {
  const values: unknown[] = [
    Uint8Array.of(0, 255, 7),
    123n,
    -(10n ** 30n),
    [null, undefined, true, false, -0, Number.NaN, 2 ** 30, 2 ** 30 - 1, -1, 0.5],
    { ["__proto__"]: 1, a: { b: [] } },
    Object.create(null, { x: { value: 1, enumerable: true } }),
    ...Array.from({ length: 400 }, (_, i) => ({ [`field ${i % 310}`]: i, same: i })),
  ];
  const writer = new ByteWriter();
  for (const value of values) writeValue(writer, value);
  const reader = new ByteReader(writer.finish());
  for (const value of values) {
    const found = readValue(reader);
    t.equal(JSON.stringify(plain(found)), JSON.stringify(plain(value)));
  }
  t.equal(reader.left, 0);
  const bytes = readValue(new ByteReader(bytesOf(Uint8Array.of(1, 2))));
  t.ok(bytes instanceof Uint8Array);
});

function bytesOf(value: unknown): Uint8Array {
  const writer = new ByteWriter();
  writeValue(writer, value);
  return writer.finish();
}

/** What JSON cannot tell apart, told apart. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return `${value}n`;
  if (value === undefined) return "undefined";
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  if (value !== null && typeof value === "object")
    return Object.entries(value).map(([key, item]) => [key, plain(item)]);
  return value;
}

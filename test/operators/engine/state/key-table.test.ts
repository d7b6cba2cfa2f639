import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { ByteWriter } from "../../../../src/operators/engine/state/bytes.js";
import { KeyTable } from "../../../../src/operators/engine/state/key-table.js";
import { compareKeys, hashKey, type Key, writeKey } from "../../../../src/operators/engine/state/keys.js";
import { atOnce, type Steps } from "../../../../src/operators/engine/state/steps.js";
import { drive } from "../support/drive.js";

const key: fc.Arbitrary<Key> = fc.oneof(
  fc.integer({ min: -5, max: 40 }),
  fc.constantFrom(0.5, 1e20, 2 ** 31, Number.POSITIVE_INFINITY),
  fc.constantFrom("", "a", "b", "ab", "é", "ÿ", "Ā", "\ud83d\ude80", "\ud800", "1", "x".repeat(300)),
  fc.string({ maxLength: 2 }),
);
/** Pairs of one hash each, found by search. */
const COLLIDING: readonly (readonly [Key, Key])[] = [
  ["04p6yk0", "1i0e1t2"],
  ["1lwojt9", "1xd4rlg"],
  [22_306, "t27241"],
  ["t91295", 25_020],
  [16_128, 2_679.5],
];
const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("insert" as const), key }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("remove" as const), key }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("sort" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("cut" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("end cut" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("copy" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("clear" as const, "reuse" as const) }) },
);

function check(table: KeyTable, model: ReadonlyMap<Key, number>): void {
  const sorted = [...model.keys()].sort(compareKeys);
  assert.deepEqual(
    Array.from(table.sortedSlots(), (slot) => table.keyAt(slot)),
    sorted,
  );
  assert.deepEqual([...table.held()].sort(compareKeys), sorted);
  assert.equal(table.size, model.size);
  const [written, expected] = [new ByteWriter(), new ByteWriter()];
  for (const [key, slot] of model) {
    assert.equal(table.find(key), slot);
    assert.ok(table.has(slot));
    assert.equal(table.isNumber(slot, 7), key === 7);
    table.writeKeyAt(written, slot);
    writeKey(expected, key);
  }
  assert.deepEqual(written.finish(), expected.finish());
  const slots = new Set(model.values());
  for (let slot = 0; slot < table.length + 2; slot++) assert.equal(table.has(slot), slots.has(slot));
}

t.test("key table: a Map that tells slots and their order, asked for at any time, and of another table", async (t) => {
  const property = fc.property(
    fc.array(action, { maxLength: 120 }),
    fc.constantFrom(1, 16, 100),
    (actions, capacity) => {
      let table = new KeyTable(capacity);
      const model = new Map<Key, number>();
      /** An order fixed and not yet worked out, and what it must be. */
      let cut: { order: Steps<Int32Array>; slots: readonly number[] } | undefined;
      for (const one of actions) {
        if (one.kind === "insert") {
          const slot = table.slotOf(one.key);
          assert.equal(table.fresh, !model.has(one.key));
          assert.ok(!table.fresh || ![...model.values()].includes(slot), "a slot is one key's");
          model.set(one.key, slot);
        } else if (one.kind === "remove") {
          assert.equal(table.find(one.key), model.get(one.key) ?? -1);
          if (model.has(one.key)) table.remove(table.find(one.key));
          model.delete(one.key);
        } else if (one.kind === "sort") {
          check(table, model);
        } else if (one.kind === "cut") {
          table.keepTexts(true);
          const slots = [...model].sort(([a], [b]) => compareKeys(a, b)).map(([, slot]) => slot);
          cut = { order: table.cutInOrder(), slots };
        } else if (one.kind === "end cut") {
          if (cut !== undefined) assert.deepEqual([...atOnce(cut.order)], cut.slots);
          table.keepTexts(false);
          cut = undefined;
        } else if (one.kind === "copy") {
          cut = undefined;
          const copy = new KeyTable();
          copy.slotOf("there before");
          for (const slot of model.values()) {
            assert.equal(copy.findOf(table, slot), copy.find(table.keyAt(slot) as Key));
            const own = copy.slotOfOther(table, slot);
            assert.ok(copy.fresh);
            assert.equal(copy.keyAt(own), table.keyAt(slot));
            assert.equal(copy.slotOfOther(table, slot), own);
            assert.ok(!copy.fresh);
            assert.equal(copy.findOf(table, slot), own);
          }
          assert.equal(copy.size, model.size + 1);
          copy.remove(copy.find("there before"));
          for (const key of model.keys()) model.set(key, copy.find(key));
          table = copy;
        } else {
          cut = undefined;
          table[one.kind]();
          model.clear();
        }
      }
      check(table, model);
    },
  );
  t.doesNotThrow(() => fc.assert(property, { seed: 57, numRuns: 150 }));
});

t.test("key table: an image shows the keys of its moment, while texts are kept", async (t) => {
  const table = new KeyTable();
  const keys: Key[] = ["a", 1, "é", "Ā", "long enough to matter", 2.5];
  for (const key of keys) table.slotOf(key);
  table.remove(table.find(1));
  table.keepTexts(true);
  const image = table.imageOf(1, 6);
  for (const key of ["a", "Ā", 2.5]) table.remove(table.find(key));
  for (const key of ["b", "Ã", "ā", 3, 4]) table.slotOf(key);
  t.same(
    [0, 1, 2, 3, 4].map((i) => table.keyIn(image, i)),
    [undefined, ...keys.slice(2)],
  );
  table.keepTexts(false);
  t.same([...table.held()].sort(compareKeys), [3, 4, "b", "long enough to matter", "Ã", "é", "ā"]);
});

t.test(
  "key table: bytes are told of everything it holds: they grow with keys and with the length of texts",
  async (t) => {
    const sizeOf = (count: number, length: number): number => {
      const table = new KeyTable();
      for (let i = 0; i < count; i++) table.slotOf(length === 0 ? i : String(i).padStart(length, "x"));
      return table.bytes;
    };
    const [numbers, texts, longTexts] = [sizeOf(1_000, 0), sizeOf(1_000, 10), sizeOf(1_000, 100)];
    // 12 bytes for what it is, 4 for the hash, and 6 to 12 of the index; arrays double.
    t.ok(numbers >= 22 * 1_000 && numbers <= 2 * 28 * 1_000, `${numbers}`);
    t.ok(texts >= numbers + 10 * 1_000, `${texts}`);
    t.ok(longTexts >= texts + 80 * 1_000 && longTexts <= texts + 220 * 1_000, `${longTexts}`);
    const table = new KeyTable();
    const empty = table.bytes;
    for (let i = 0; i < 1_000; i++) table.slotOf(`key ${i}`);
    table.clear();
    t.ok(table.bytes <= empty, "cleared, it holds nothing");
    for (let i = 0; i < 1_000; i++) table.slotOf(`key ${i}`);
    const full = table.bytes;
    table.reuse();
    t.equal(table.bytes, full, "emptied to be used again, it keeps its room");
    for (let i = 1_000; i < 2_000; i++) table.slotOf(`key ${i}`);
    t.equal(table.bytes, full);
  },
);

t.test("key table: many whole numbers, sorted in several runs, and many more merged in", async (t) => {
  for (const keyOf of [(i: number) => (i * 7_919) % 40_009, (i: number) => ((i * 7_919) % 40_009) - 20_000.5]) {
    const table = new KeyTable();
    const expected: number[] = [];
    const insert = (from: number, to: number): void => {
      for (let i = from; i < to; i++) {
        table.slotOf(keyOf(i));
        expected.push(keyOf(i));
      }
      expected.sort((a, b) => a - b);
    };
    for (const [from, to] of [
      [0, 8_192],
      [8_192, 25_000],
      [25_000, 27_000],
    ] as const) {
      insert(from, to);
      const sorted = Array.from(table.sortedSlots(), (slot) => table.keyAt(slot));
      t.ok(sorted.length === to && sorted.every((key, i) => key === expected[i]), `${to} keys`);
    }
  }
});

t.test("key table: every other of many keys goes, the others are found where they were", async (t) => {
  for (const keyOf of [(i: number): Key => i * 64, (i: number): Key => `key ${i}`]) {
    const table = new KeyTable(1);
    const slots = Array.from({ length: 2_000 }, (_, i) => table.slotOf(keyOf(i)));
    for (let i = 0; i < 2_000; i += 2) table.remove(slots[i] as number);
    const found = slots.map((_, i) => table.find(keyOf(i)));
    t.same(
      found,
      slots.map((slot, i) => (i % 2 === 0 ? -1 : slot)),
    );
  }
});

t.test(
  "key table: 16 bytes a slot and an index full to two thirds, made for as many keys as are expected",
  async (t) => {
    for (const [capacity, slots, places] of [
      [1, 16, 32],
      [16, 16, 32],
      [21, 21, 32],
      [22, 22, 64],
      [42, 42, 64],
      [43, 43, 128],
      [1_000, 1_000, 2_048],
    ] as const) {
      const table = new KeyTable(capacity);
      t.equal(table.bytes, slots * 16 + places * 4, `made for ${capacity}`);
      for (let i = 0; i < capacity; i++) table.slotOf(i);
      t.equal(table.bytes, slots * 16 + places * 4, "and nothing grew");
    }
    const table = new KeyTable();
    const grew: [keys: number, bytes: number][] = [];
    for (let i = 0, before = table.bytes; i < 100; i++) {
      table.slotOf(i);
      if (table.bytes !== before) grew.push([table.size, table.bytes - before]);
      before = table.bytes;
    }
    t.same(grew, [
      [17, 16 * 16],
      [22, 32 * 4],
      [33, 32 * 16],
      [43, 64 * 4],
      [65, 64 * 16],
      [86, 128 * 4],
    ]);
    table.clear();
    t.same([table.bytes, table.size, table.length, table.find(5)], [16 * 16 + 32 * 4, 0, 0, -1]);
    t.same([table.slotOf("a"), table.slotOf(5), table.find("a")], [0, 1, 0], "and begins anew");
  },
);

t.test("key table: freed slots are given again, the latest first, before new ones", async (t) => {
  const table = new KeyTable();
  for (const key of ["a", "b", "c", "d"]) table.slotOf(key);
  table.remove(1);
  table.remove(3);
  t.same([table.has(0), table.has(1), table.has(3), table.has(4), table.length], [true, false, false, false, 4]);
  t.same([table.slotOf(7), table.slotOf("e"), table.slotOf("f"), table.length], [3, 1, 4, 5]);
  t.same([table.has(20), table.keyAt(20)], [false, undefined], "beyond all room");
  t.same([table.keyAt(3), table.keyAt(1), table.isNumber(3, 7), table.isNumber(1, 7)], [7, "e", true, false]);
});

t.test("key table: a text that goes gives its room back, the empty one too", async (t) => {
  for (const key of ["", "a", "ж", "a longer one"]) {
    const table = new KeyTable();
    table.slotOf("stays");
    table.remove(table.slotOf(key));
    const { bytes } = table;
    for (let i = 0; i < 500; i++) table.remove(table.slotOf(key));
    t.equal(table.bytes, bytes, key);
    t.equal(table.length, 2);
  }
});

t.test("key table: the order is kept from one look to the next, and only what is new is sorted", async (t) => {
  const table = new KeyTable();
  for (let i = 0; i < 1_000; i++) table.slotOf(`\u0100${String((i * 7) % 1_000).padStart(4, "0")}`);
  let looks = 0;
  const keyAt = table.keyAt.bind(table);
  const keyIn = table.keyIn.bind(table);
  table.keyIn = (image, i) => {
    looks++;
    return keyIn(image, i);
  };
  const looked = (): number => {
    looks = 0;
    const slots = table.sortedSlots();
    const found = looks;
    t.ok(slots.length === table.size && slots.every((slot, i) => i === 0 || isBefore(slots[i - 1] as number, slot)));
    return found;
  };
  const isBefore = (slot: number, other: number): boolean => (keyAt(slot) as string) < (keyAt(other) as string);
  t.ok(looked() >= 1_000, "all of them the first time");
  t.equal(looked(), 0);
  t.equal(table.sortedSlots(), table.sortedSlots(), "the same list while nothing changes");
  table.slotOf("\u01019");
  t.ok(looked() <= 30, `${looks} looks for a new key behind all others`);
  t.equal(looked(), 0);
  table.slotOf("\u01018");
  table.remove(table.find("\u01018"));
  t.ok(looked() <= 30, `${looks} looks for a key that came and went`);
  table.remove(table.find("\u01000500"));
  looked();
  t.equal(looked(), 0);
  const replaced = table.slotOf("\u01000500x"); // a slot of the old order, with another key
  t.equal(keyAt(replaced), "\u01000500x");
  t.ok(looked() <= 1_100);
  t.equal(looked(), 0);
});

t.test(
  "key table: an order fixed at a moment is that of the moment, whatever comes and goes between its steps",
  async (t) => {
    const count = 40_000;
    for (const keyOf of [(i: number) => `key ${(i * 7_919) % count}`, (i: number) => (i * 7_919) % count]) {
      const table = new KeyTable(count);
      for (let i = 0; i < count; i++) table.slotOf(keyOf(i));
      for (const round of [0, 1, 2]) {
        const keys = Array.from(table.held()).sort(compareKeys);
        const slots = keys.map((key) => table.find(key));
        table.keepTexts(true);
        const order = table.cutInOrder();
        let pauses = 0;
        for (let step = order.next(); ; step = order.next()) {
          if (step.done === true) {
            t.ok(step.value.length === slots.length && step.value.every((slot, i) => slot === slots[i]));
            break;
          }
          table.remove(table.find(keys[pauses * 300] as Key));
          table.slotOf(typeof keys[0] === "number" ? 1_000_000 * (round + 1) + pauses : `new ${round} ${pauses}`);
          pauses++;
        }
        table.keepTexts(false);
        t.ok(pauses > 0, `${pauses} pauses`);
      }
      const { size } = table;
      t.equal(table.sortedSlots().length, size);
    }
    const small = new KeyTable();
    small.slotOf("b");
    const fixed = atOnce(small.cutInOrder());
    t.equal(atOnce(small.cutInOrder()), fixed, "nothing is copied while nothing changes");
    t.equal(small.sortedSlots(), fixed);
  },
);

t.test("key table: many texts are sorted in steps: 16 384 slots looked at or moved", async (t) => {
  const count = 20_000;
  const table = new KeyTable(count);
  for (let i = 0; i < count; i++) table.slotOf(`key ${(i * 7_919) % count}`);
  t.equal(drive(table.sortedInSteps()).pauses, 1 + 1 + 1 + 18, "slots, beginnings, prefixes, moves");
  t.equal(drive(table.sortedInSteps()).pauses, 0);
  table.remove(table.find("key 5"));
  t.equal(drive(table.sortedInSteps()).pauses, 1, "the old order is looked through");
  const small = new KeyTable();
  for (let i = 0; i < 16_383; i++) small.slotOf(i);
  t.equal(drive(small.sortedInSteps()).pauses, 1 + 1 + 2, "numbers are sorted as such");
});

t.test(
  "key table: keys of one hash are told apart, and so are a number and a text at a place of that number",
  async (t) => {
    for (const keys of COLLIDING) {
      t.equal(new Set(keys.map(hashKey)).size, 1, `${keys.join(" and ")} share a hash`);
      const [table, other] = [new KeyTable(), new KeyTable()];
      t.same(
        keys.map((key) => table.slotOf(key)),
        [0, 1],
      );
      t.same(
        keys.map((key) => table.find(key)),
        [0, 1],
      );
      for (const key of [...keys].reverse()) other.slotOf(key);
      t.same([other.findOf(table, 0), other.findOf(table, 1)], [1, 0]);
      table.remove(0);
      t.same(
        keys.map((key) => table.find(key)),
        [-1, 1],
      );
      t.equal(other.slotOfOther(table, 1), 0);
      t.notOk(other.fresh);
    }
    const [texts, numbers] = [new KeyTable(), new KeyTable()];
    const number = 40;
    const isNear = (key: Key): boolean => ((hashKey(key) ^ hashKey(number)) & 31) === 0;
    const near = Array.from({ length: 1_000 }, (_, i) => `t${i}`).find((key) => isNear(key)) as string;
    for (let i = 0; i < 10; i++) texts.slotOf(`${i}abc`); // at the places 0, 4, 8 and so on
    texts.slotOf(near);
    numbers.slotOf(number);
    t.equal(texts.findOf(numbers, 0), -1, `${near} stands at ${number}`);
    t.equal(numbers.findOf(texts, 10), -1);
    t.equal(numbers.slotOfOther(texts, 10), 1);
    t.ok(numbers.fresh);
    t.equal(numbers.slotOfOther(texts, 10), 1);
    t.notOk(numbers.fresh);
    t.equal(texts.slotOfOther(numbers, 0), 11);
    t.equal(texts.slotOfOther(numbers, 0), 11);
    const copy = new KeyTable();
    t.same([copy.slotOfOther(texts, 0), copy.slotOfOther(texts, 0), copy.fresh, copy.size], [0, 0, false, 1]);
  },
);

t.test("key table: texts that differ late are sorted as those that differ at once", async (t) => {
  const keys = ["kaaaaaaab", "kaaaaaaaa", "kaaaaaa", "kb", "k", "kaaaaaaab1", "kaaaaaaaa0", "kaaaaaa\u0000"];
  for (const order of [keys, [...keys].reverse()]) {
    const table = new KeyTable();
    for (const key of order) table.slotOf(key);
    t.same(
      Array.from(table.sortedSlots(), (slot) => table.keyAt(slot)),
      [...keys].sort(),
    );
  }
});

import assert from "node:assert/strict";
import t from "tap";
import { inKeyOrder, mergeInSteps, sortInSteps, sortSlots } from "../../../../src/operators/engine/state/key-order.js";
import { compareKeys, type Key } from "../../../../src/operators/engine/state/keys.js";
import { sortByPrefix } from "../../../../src/operators/engine/state/prefix-sort.js";
import { drive } from "../support/drive.js";

const slotsOf = (count: number): Int32Array => Int32Array.from({ length: count }, (_, i) => i);
const mixed = (count: number) => (slot: number) => (slot * 7_919) % count;

t.test("whole numbers: a pause each 8 192 looked at, sorted or merged, and none for fewer", async (t) => {
  for (const [count, pauses] of [
    [0, 0],
    [1, 0],
    [8_191, 0],
    [8_192, 1],
    [8_193, 1 + 1 + 2],
    [16_384, 2 + 1 + 2],
    [16_385, 2 + 2 + 2 * 3],
    [24_576, 3 + 2 + 2 * 3],
    [33_000, 4 + 4 + 3 * 5],
  ] as const) {
    const keyOf = mixed(count);
    const slots = slotsOf(count);
    const found = drive(sortInSteps(slots, keyOf));
    t.equal(found.pauses, pauses, `${count} numbers`);
    t.equal(found.result, slots, "sorted in place");
    t.ok(Array.from(found.result, keyOf).every((key, i) => key === i));
  }
});

t.test("other keys: runs of 512 are sorted and merged, with a pause each", async (t) => {
  for (const [count, pauses] of [
    [1, 0],
    [512, 0],
    [513, 1 + 1],
    [1_024, 1 + 1],
    [1_025, 2 + 2],
    [2_600, 5 + 5],
  ] as const) {
    const keyOf = (slot: number): string => String(mixed(count)(slot)).padStart(5, "0");
    const found = drive(sortInSteps(slotsOf(count), keyOf));
    t.equal(found.pauses, pauses, `${count} texts`);
    t.ok(Array.from(found.result, keyOf).every((key, i) => Number(key) === i));
  }
});

t.test("keys and slots too large to be packed into one double are sorted all the same", async (t) => {
  const sorted = (entries: readonly (readonly [slot: number, key: Key])[]): Key[] => {
    const keys = new Map(entries);
    return Array.from(
      sortSlots(
        Int32Array.from(entries, ([slot]) => slot),
        (slot) => keys.get(slot),
      ),
      (slot) => keys.get(slot) as Key,
    );
  };
  for (const keys of [
    [3, 1, 2],
    [3, -1, 2, 0],
    [0.5, 0, 2 ** 31 - 1, 2 ** 31, 2 ** 40 + 1, 2 ** 40, 2 ** 53],
    [Number.POSITIVE_INFINITY, 7, Number.NEGATIVE_INFINITY],
    ["b", 5, "a", -5],
  ] satisfies Key[][])
    for (const first of [0, 1, 0x1f_ffff, 0x20_0000, 0x7f_0000]) {
      const found = sorted(keys.map((key, i) => [i === 0 ? first : i + 10, key]));
      t.same(found, [...keys].sort(compareKeys), `${keys.join(", ")} from slot ${first}`);
    }
});

t.test("merging: what comes before the first new key is not looked at, the rest once", async (t) => {
  const old = slotsOf(10_000);
  let looks = 0;
  const keyAt = (slot: number): Key | undefined => {
    looks++;
    return mergedKey(slot);
  };
  t.equal(drive(mergeInSteps(old, new Int32Array(0), keyAt)).result, old, "nothing to do");
  t.equal(looks, 0);
  const looked = (added: number[]): number => {
    looks = 0;
    drive(mergeInSteps(old, Int32Array.from(added), keyAt));
    return looks;
  };
  t.ok(looked([10_000, 10_001]) <= 20, `${looks} looks for two keys behind all others`);
  t.ok(looked([29_990]) <= 40, `${looks} looks for one key near the end`);
  t.same([...drive(mergeInSteps(new Int32Array(0), Int32Array.of(4, 7), keyAt)).result], [4, 7], "into nothing");
});

/** Slots from 20 000 on have keys between those of the first. */
function mergedKey(slot: number): Key | undefined {
  return slot < 0 ? undefined : slot >= 20_000 ? slot - 20_000 + 0.5 : slot;
}

t.test("merging: all of both in order, a pause each 8 192 of those that move", async (t) => {
  const old = slotsOf(10_000);
  const numberAt = (slot: number): number => mergedKey(slot) as number;
  for (const [added, pauses] of [
    [[10_000], 0],
    [[20_000], 1],
    [[28_000, 28_001, 10_000], 1],
    [Array.from({ length: 6_384 }, (_, i) => 20_000 + i), 2],
  ] as const) {
    const found = drive(mergeInSteps(old, Int32Array.from(added), mergedKey));
    t.equal(found.pauses, pauses, `${added.length} more`);
    const keys = Float64Array.from(found.result, numberAt);
    const expected = Float64Array.from([...old, ...added], numberAt).sort();
    t.ok(keys.length === expected.length && keys.every((key, i) => key === expected[i]));
  }
});

t.test("visits: a pause each 512 slots sorted and each 512 visited", async (t) => {
  for (const [length, free, pauses] of [
    [0, 0, 0],
    [512, 0, 0],
    [513, 0, 1 + 1],
    [1_024, 0, 1 + 1],
    [1_025, 0, 2 + 2],
    [1_025, 513, 2],
    [2_048, 2_048, 3],
  ] as const) {
    const visited: Key[] = [];
    const keyAt = (slot: number): Key | undefined => (slot < free ? undefined : length - slot);
    const found = drive(inKeyOrder({ length, size: length - free, keyAt }, (_slot, key) => void visited.push(key)));
    t.equal(found.pauses, pauses, `${length} slots, ${free} of them free`);
    assert.deepEqual(
      visited,
      Array.from({ length: length - free }, (_, i) => i + 1),
    );
  }
});

t.test("by prefix: equal ones by the second look, stable, a pause each 16 384 moves", async (t) => {
  const sort = (prefixes: number[], isBefore: (a: number, b: number) => boolean) =>
    drive(sortByPrefix(Float64Array.from(prefixes), slotsOf(prefixes.length), isBefore));
  t.same([...sort([3, 1, 2, 1, 1], () => false).result], [1, 3, 4, 2, 0], "stable");
  t.same([...sort([3, 1, 2, 1, 1], (a, b) => a > b).result], [4, 3, 1, 2, 0], "the second look");
  t.same([...sort([], () => false).result], []);
  t.same([...sort([1], () => false).result], [0]);
  for (const [count, pauses] of [
    [1, 0],
    [2_048, 1],
    [16_384, 14],
    [20_000, 18],
  ] as const) {
    const found = sort(
      Array.from({ length: count }, (_, i) => mixed(count)(i)),
      () => false,
    );
    t.equal(found.pauses, pauses, `${count} slots`);
    t.ok(Array.from(found.result, mixed(count)).every((key, i) => key === i));
  }
});

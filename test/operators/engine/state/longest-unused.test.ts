import assert from "node:assert";
import fc from "fast-check";
import t from "tap";
import { KeyTable } from "../../../../src/operators/engine/state/key-table.js";
import { compareKeys, type Key } from "../../../../src/operators/engine/state/keys.js";
import { LongestUnused } from "../../../../src/operators/engine/state/longest-unused.js";

type Step =
  | { readonly kind: "event"; readonly key: Key; readonly timeMs: number }
  | { readonly kind: "gone"; readonly key: Key }
  | { readonly kind: "earlier"; readonly key: Key }
  | { readonly kind: "take" };

t.test("the key longest without an event, of equals the smallest, whatever came between", async (t) => {
  const key = fc.oneof(fc.nat(5), fc.constantFrom("a", "b", "c"));
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("event" as const), key, timeMs: fc.nat(6) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("gone" as const), key }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("earlier" as const), key }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("take" as const) }) },
  );
  const property = fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const times = new Map<Key, number>();
    const table = new KeyTable();
    const longest = new LongestUnused();
    const timeAt = (slot: number) => times.get(table.keyAt(slot) as Key);
    const forget = (key: Key): void => {
      if (times.delete(key)) table.remove(table.find(key));
    };
    for (const each of steps) {
      if (each.kind === "event") {
        const { key } = each;
        const timeMs = Math.max(each.timeMs, times.get(key) ?? 0);
        if (!times.has(key)) longest.add(key, timeMs);
        table.slotOf(key);
        times.set(key, timeMs); // of a key that is there nothing is said
      } else if (each.kind === "gone") {
        forget(each.key);
      } else if (each.kind === "earlier" && times.has(each.key)) {
        times.set(each.key, 0);
        longest.add(each.key, 0);
      } else if (each.kind === "take" && times.size > 0) {
        const [expected] = [...times].sort(([a, aMs], [b, bMs]) => aMs - bMs || compareKeys(a, b))[0] as [Key, number];
        assert.equal(table.keyAt(longest.take(table, timeAt)), expected);
        forget(expected);
      }
    }
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 73, numRuns: 1_000 }));
});

t.test("what is there is looked through once, not for each key that goes", async (t) => {
  const table = new KeyTable();
  const times: number[] = [];
  const longest = new LongestUnused();
  const add = (i: number): void => {
    times[table.slotOf(`key ${i}`)] = i;
    longest.add(`key ${i}`, i);
  };
  for (let i = 0; i < 1_000; i++) add(i);
  let looks = 0;
  const take = () => {
    const slot = longest.take(table, (slot) => {
      looks++;
      return times[slot];
    });
    const key = table.keyAt(slot);
    table.remove(slot);
    return key;
  };
  for (let i = 0; i < 3_000; i++) {
    assert.equal(take(), `key ${i}`);
    add(i + 1_000);
  }
  t.equal(looks, 1_000 + 3_000, "all once, then each that goes");
  for (let i = 0; i < 10_000; i++) longest.add("gone", i);
  t.equal(take(), "key 3000", "entries of what went are let go of, and it begins anew");
  t.ok(looks <= 1_000 + 3_000 + 1_000 + 1, `${looks} looks`);
});

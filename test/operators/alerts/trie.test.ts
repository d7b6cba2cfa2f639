import assert from "node:assert";
import fc from "fast-check";
import t from "tap";
import { drop, entriesOf, get, put, sizeOf, type Trie, trieOf } from "../../../src/operators/alerts/trie.js";

t.test("says what a map says, and leaves what it came from as it was", async (t) => {
  const key = fc.oneof(fc.nat(300).map(String), fc.constantFrom("", "__proto__", "constructor", "ключ"));
  const step = fc.record({ key, value: fc.option(fc.nat(), { nil: undefined }) });
  const property = fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
    const map = new Map<string, number>();
    let trie: Trie<number> = [];
    for (const { key, value } of steps) {
      const before = JSON.stringify(trie);
      const from = trie;
      if (value === undefined) {
        map.delete(key);
        trie = drop(trie, key);
      } else {
        map.set(key, value);
        trie = put(trie, key, value);
      }
      assert.equal(JSON.stringify(from), before);
      assert.equal(get(trie, key), map.get(key));
      assert.equal(sizeOf(trie), map.size);
    }
    assert.deepEqual(new Map(entriesOf(trie)), map);
    for (const [key, value] of map) assert.equal(get(trie, key), value);
    assert.deepEqual(new Map(entriesOf(trieOf(map))), map);
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 11, numRuns: 100 }));
});

t.test("one more key of many copies little", async (t) => {
  const large = trieOf(Array.from({ length: 20_000 }, (_, i): [string, number] => [`alarm-${i}`, i]));
  const seen = new Set<unknown>();
  const visit = (node: unknown): number => {
    if (typeof node !== "object" || node === null || seen.has(node)) return 0;
    seen.add(node);
    return Object.values(node).reduce<number>((sum, each) => sum + visit(each), 1);
  };
  visit(large);
  const fresh = visit(put(large, "one more", 1));
  t.ok(fresh < 20, `${fresh} lists and records are new`);
  t.equal(drop(large, "one more"), large, "nothing to drop: the same one");
});

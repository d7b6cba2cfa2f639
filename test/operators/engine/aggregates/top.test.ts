import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { TopSketch } from "../../../../src/operators/engine/aggregates/top.js";
import { ByteReader, ByteWriter } from "../../../../src/operators/engine/state/bytes.js";
import { Undo } from "../../../../src/operators/engine/state/undo.js";

type Counters = ReadonlyMap<string, { readonly count: number; readonly error: number }>;

const byKey = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Space-saving as its paper has it: of the keys with the least count the largest goes. */
function naively(keys: readonly string[], capacity: number, begun: Counters = new Map()): Counters {
  const counters = new Map(begun);
  for (const key of keys) {
    const found = counters.get(key);
    if (found !== undefined) {
      counters.set(key, { count: found.count + 1, error: found.error });
    } else if (counters.size < capacity) {
      counters.set(key, { count: 1, error: 0 });
    } else {
      const [out] = [...counters].sort(([a, x], [b, y]) => x.count - y.count || byKey(b, a));
      const [least, { count }] = out as [string, { count: number }];
      counters.delete(least);
      counters.set(key, { count: count + 1, error: count });
    }
  }
  return counters;
}

const least = (counters: Counters, capacity: number): number =>
  counters.size < capacity ? 0 : Math.min(...[...counters.values()].map(({ count }) => count));

function mergedNaively(a: Counters, b: Counters, capacity: number): Counters {
  const all = [...new Set([...a.keys(), ...b.keys()])].map((key) => {
    const ours = a.get(key) ?? { count: least(a, capacity), error: least(a, capacity) };
    const theirs = b.get(key) ?? { count: least(b, capacity), error: least(b, capacity) };
    return [key, { count: ours.count + theirs.count, error: ours.error + theirs.error }] as const;
  });
  return new Map(all.sort(([k, x], [l, y]) => y.count - x.count || byKey(k, l)).slice(0, capacity));
}

function sketchOf(keys: readonly string[], capacity: number, sketch = new TopSketch(capacity)): TopSketch {
  const undo = new Undo();
  for (const key of keys) sketch.add(key, undo);
  return sketch;
}

function saved(sketch: TopSketch): Buffer {
  const writer = new ByteWriter();
  sketch.save(writer);
  return Buffer.from(writer.finish());
}

function check(sketch: TopSketch, wanted: Counters, what: string): void {
  const ranked = [...wanted].sort(([a, x], [b, y]) => y.count - x.count || byKey(a, b));
  const all = ranked.map(([key, { count, error }]) => ({ key, count, error }));
  assert.deepEqual(sketch.top(100), all, what);
  assert.deepEqual(sketch.top(2), all.slice(0, 2), what);
}

const keys = fc.array(fc.constantFrom("a", "b", "c", "d", "e", "f"), { maxLength: 25 });

t.test("top: every counter and its error is that of the plain algorithm, taken back, loaded or merged", async (t) => {
  const property = fc.property(keys, keys, fc.integer({ min: 1, max: 7 }), (ours, theirs, capacity) => {
    const sketch = sketchOf(ours, capacity);
    check(sketch, naively(ours, capacity), "added");
    const before = saved(sketch);
    const undo = new Undo();
    undo.keep("something else");
    for (const key of theirs) sketch.add(key, undo);
    check(sketch, naively([...ours, ...theirs], capacity), "more");
    undo.rollback();
    check(sketch, naively(ours, capacity), "taken back");
    assert.ok(saved(sketch).equals(before));
    const loaded = new TopSketch(capacity);
    loaded.load(new ByteReader(before));
    for (const one of [sketch, loaded])
      check(sketchOf(theirs, capacity, one), naively([...ours, ...theirs], capacity), "it goes on");
    const [into, from] = [sketchOf(ours, capacity), sketchOf(theirs, capacity)];
    into.merge(from);
    const merged = mergedNaively(naively(ours, capacity), naively(theirs, capacity), capacity);
    check(into, merged, "merged");
    check(from, naively(theirs, capacity), "what is merged stays");
    check(sketchOf(ours, capacity, into), naively(ours, capacity, merged), "and what is merged goes on");
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 79, numRuns: 300 }));
});

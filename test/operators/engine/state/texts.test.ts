import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { TextArena } from "../../../../src/operators/engine/state/texts.js";

t.test("texts: each stays what it is, whatever comes and goes around it", async (t) => {
  const text = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.string({ unit: "binary", maxLength: 12 }),
    fc.constantFrom("", "\ud800", "é", "ÿ", "Ā", "x".repeat(300), "y".repeat(70_000), "ж".repeat(40_000)),
  );
  const property = fc.property(fc.array(fc.tuple(text, fc.nat(20)), { maxLength: 60 }), (steps) => {
    const arena = new TextArena();
    const other = new TextArena();
    const held: { text: string; place: number; form: number }[] = [];
    for (const [text, remove] of steps) {
      const place = arena.put(text);
      held.push({ text, place, form: arena.form });
      if (remove < 8) {
        const [gone] = held.splice(remove % held.length, 1);
        if (gone !== undefined) arena.free(gone.place, gone.form);
      }
      for (const { text, place, form } of held) {
        assert.equal(arena.get(place, form), text);
        assert.ok(arena.equals(place, form, text));
        assert.ok(!arena.equals(place, form, `${text}.`));
        const otherPlace = other.put(text);
        assert.equal(other.form, form);
        assert.ok(arena.equalsOther(place, form, other, otherPlace));
      }
    }
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 31, numRuns: 200 }));
});

t.test("texts: what is freed makes room for the next of its length, but not while it must stay readable", async (t) => {
  const arena = new TextArena();
  const first = arena.put("abcd");
  arena.put("other");
  arena.free(first, 8);
  t.equal(arena.put("efg"), first, "rounded up to 4 bytes");
  arena.keep(true);
  arena.free(first, 6);
  t.not(arena.put("hij"), first);
  t.equal(arena.get(first, 6), "efg");
  arena.keep(false);
  t.equal(arena.put("klm"), first);
  const before = arena.bytes;
  for (let i = 0; i < 100_000; i++) arena.free(arena.put(`key ${i % 10}`), 10);
  t.equal(arena.bytes, before, "no leak");
});

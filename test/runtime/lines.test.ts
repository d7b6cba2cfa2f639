import fc from "fast-check";
import t from "tap";
import { joined, type Line, Lines } from "../../src/runtime/lines.js";

t.test("lines are what was added, alone and joined, whichever are left out", async (t) => {
  const text = fc.oneof(
    fc.string({ maxLength: 40, unit: "grapheme" }),
    fc.constantFrom("", "é".repeat(9_000), "x".repeat(70_000)),
  );
  const property = fc.property(fc.array(fc.tuple(text, fc.boolean()), { minLength: 1, maxLength: 60 }), (all) => {
    const lines = new Lines();
    const added = all.map(([each]) => lines.add(each));
    const kept = all.flatMap(([each, isKept], i) => (isKept || i === 0 ? [[each, added[i] as Line] as const] : []));
    const whole = Buffer.from(joined(kept.map(([, line]) => line))).toString();
    return whole === kept.map(([each]) => Buffer.from(each).toString()).join("\n");
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 5, numRuns: 200 }));
});

t.test("neighbours are joined where they lie", async (t) => {
  const lines = new Lines();
  const [a, b, c] = [lines.add("a"), lines.add("bé"), lines.add("c")];
  t.equal(joined([a, b, c]).buffer, a.slab.buffer);
  t.not(joined([a, c]).buffer, a.slab.buffer);
});

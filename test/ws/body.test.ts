import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { bodyCollector, declaredLength } from "../../src/ws/body.js";

t.test("a body comes back as it was sent, and the budget is what is held", async (t) => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 10 });
  const property = fc.property(chunks, fc.nat(100), fc.nat(100), (pieces, max, room) => {
    const budget = { used: 1_000, max: 1_000 + room };
    const body = bodyCollector(max, budget);
    let size = 0;
    for (const piece of pieces) {
      size += piece.length;
      const verdict = body.push(piece);
      assert.equal(verdict, size > max ? "too-large" : size > room ? "busy" : "ok");
      if (verdict !== "ok") {
        assert.equal(budget.used, 1_000, "refused: nothing is held");
        return;
      }
      assert.equal(budget.used, 1_000 + size);
    }
    const sent = Buffer.concat(pieces);
    for (const piece of pieces) piece.fill(0); // native memory is taken back after each callback
    assert.deepEqual(Buffer.from(body.take()), sent);
    body.release();
    body.release();
    assert.equal(budget.used, 1_000);
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 20_261_120 }));
});

t.test("declared lengths", async (t) => {
  const table: [header: string | undefined, length: number | undefined][] = [
    [undefined, undefined],
    ["", undefined],
    ["0", 0],
    ["1073741824", 1_073_741_824],
    ["-1", Number.NaN],
    ["1e3", Number.NaN],
    ["5, 5", Number.NaN],
    ["0x10", Number.NaN],
    ["99999999999999999999", Number.NaN],
  ];
  for (const [header, length] of table) t.ok(Object.is(declaredLength(header), length), String(header));
});

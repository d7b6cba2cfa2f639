import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { decodePack, encodePack, packSchema, schemaId } from "../../../src/core/index.js";

const schema = packSchema({
  name: "reading",
  version: 2,
  fields: { unit: "text", ts: "int", v: "float", alarm: "bool" },
});
const SAMPLE = [
  { unit: "a", ts: 1_700_000_000_000, v: 1.5, alarm: false },
  { unit: "b", ts: 1_700_000_000_250, v: Number.NaN, alarm: true },
  { unit: "a", ts: 1_699_999_999_000, v: -0, alarm: false },
];

t.test("what was packed comes out as it was", async (t) => {
  t.same(decodePack(schema, encodePack(schema, SAMPLE)), SAMPLE);
  t.same(decodePack(schema, encodePack(schema, [])), []);
  t.equal(schemaId(schema), "reading/2");
  const extremes = [Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, 0, -1, 127, 128, 2 ** 51, -(2 ** 51)];
  const events = extremes.map((ts) => ({ unit: "é😀\n", ts, v: ts / 3, alarm: true }));
  t.same(decodePack(schema, encodePack(schema, events)), events, "differences of more than 2^53");
});

t.test("any events, any order", async (t) => {
  const event = fc.record({
    unit: fc.oneof(fc.constantFrom("a", "b"), fc.string({ unit: "grapheme" })),
    ts: fc.oneof(fc.maxSafeInteger(), fc.integer({ min: -200, max: 200 })),
    v: fc.double(),
    alarm: fc.boolean(),
  });
  const property = fc.property(fc.array(event, { maxLength: 40 }), (events) => {
    const plain = events.map(({ ts, ...rest }) => ({ ...rest, ts: ts + 0 })); // -0 is 0
    assert.deepEqual(decodePack(schema, encodePack(schema, plain)), plain);
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 4, numRuns: 300 }));
});

t.test("times and repeated texts take little", async (t) => {
  const events = Array.from({ length: 500 }, (_, i) => ({
    unit: `truck-${i % 20}`,
    ts: 1_700_000_000_000 + i * 7,
    v: i,
    alarm: false,
  }));
  const bytes = encodePack(schema, events).length;
  const json = events.map((event) => JSON.stringify(event)).join("\n").length;
  t.ok(bytes < json / 4, `${bytes} bytes, as JSON ${json}`);
});

t.test("what does not fit the schema is refused, with field and place", async (t) => {
  const bad = [SAMPLE[0], { ...SAMPLE[1], ts: 1.5 }] as never;
  const message = "packing reading/2: ts is int, got 1.5 in event 1";
  t.throws(() => encodePack(schema, bad), { code: "MR_OPTION_INVALID", message });
  t.throws(() => encodePack(schema, [{}] as never), { code: "MR_OPTION_INVALID" });
  for (const wrong of [
    { name: "a/b", version: 1 },
    { name: "", version: 1 },
    { name: "a", version: 0 },
  ])
    t.throws(() => packSchema({ ...wrong, fields: { x: "int" } }), { code: "MR_OPTION_INVALID" });
  t.throws(() => packSchema({ name: "a", version: 1, fields: {} }), { code: "MR_OPTION_INVALID" });
});

t.test("bytes that are not a pack are malformed, never a crash", async (t) => {
  const bytes = encodePack(schema, SAMPLE);
  for (let end = 0; end < bytes.length; end++)
    t.throws(() => decodePack(schema, bytes.subarray(0, end)), { code: "MR_EVENT_MALFORMED" }, `cut at ${end}`);
  t.throws(() => decodePack(schema, Buffer.concat([bytes, Buffer.of(0)])), { message: /1 bytes too many/ });
  t.throws(() => decodePack(schema, Buffer.from("ffffffffffffff7f", "hex")), { code: "MR_EVENT_MALFORMED" });
  const property = fc.property(fc.uint8Array({ maxLength: 60 }), (garbage) => {
    try {
      decodePack(schema, garbage);
    } catch (error) {
      assert.equal((error as { code: string }).code, "MR_EVENT_MALFORMED");
    }
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 5, numRuns: 500 }));
});

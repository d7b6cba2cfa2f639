import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { parseClientFrame } from "../../src/ws/parse.js";

t.test("what is a request, and what is said about what is not", async (t) => {
  const table: [text: string, expected: object][] = [
    ['{"op":"ping"}', { frame: { op: "ping" } }],
    ['{"op":"ping","id":3,"more":true}', { frame: { op: "ping", id: 3 } }],
    ['{"op":"subscribe","id":1,"channel":"alerts"}', { frame: { op: "subscribe", id: 1, channel: "alerts" } }],
    [
      '{"op":"subscribe","id":0,"channel":"x","since":0,"epoch":"e"}',
      { frame: { op: "subscribe", id: 0, channel: "x", since: 0, epoch: "e" } },
    ],
    ['{"op":"unsubscribe","id":2,"channel":"alerts"}', { frame: { op: "unsubscribe", id: 2, channel: "alerts" } }],
    ["", { error: { id: null, code: "bad_request" } }],
    ["null", { error: { id: null, code: "bad_request" } }],
    ["[]", { error: { id: null, code: "bad_request" } }],
    ['"subscribe"', { error: { id: null, code: "bad_request" } }],
    ['{"op":"subscribe","channel":"x"}', { error: { id: null, code: "bad_request" } }],
    ['{"op":"subscribe","id":"1","channel":"x"}', { error: { id: null, code: "bad_request" } }],
    ['{"op":"subscribe","id":1.5,"channel":"x"}', { error: { id: null, code: "bad_request" } }],
    ['{"op":"subscribe","id":-1,"channel":"x"}', { error: { id: null, code: "bad_request" } }],
    ['{"op":"subscribe","id":1e99,"channel":"x"}', { error: { id: null, code: "bad_request" } }],
    ['{"op":"ping","id":"1"}', { error: { id: null, code: "bad_request" } }],
    ['{"op":"subscribe","id":4}', { error: { id: 4, code: "bad_request" } }],
    ['{"op":"subscribe","id":4,"channel":["x"]}', { error: { id: 4, code: "bad_request" } }],
    ['{"op":"subscribe","id":4,"channel":"x","since":-1}', { error: { id: 4, code: "bad_request" } }],
    ['{"op":"subscribe","id":4,"channel":"x","since":null}', { error: { id: 4, code: "bad_request" } }],
    ['{"op":"subscribe","id":4,"channel":"x","since":1,"epoch":7}', { error: { id: 4, code: "bad_request" } }],
    ['{"id":5}', { error: { id: 5, code: "unknown_op" } }],
    ['{"op":"publish","id":5}', { error: { id: 5, code: "unknown_op" } }],
    ['{"__proto__":{"op":"ping"}}', { error: { id: null, code: "unknown_op" } }],
  ];
  for (const [text, expected] of table) t.match(parseClientFrame(text), expected, text || "nothing");
});

t.test("any text gets an answer, and a request says what was written", async (t) => {
  const almost = fc.record(
    {
      op: fc.oneof(fc.constantFrom("subscribe", "unsubscribe", "ping"), fc.jsonValue()),
      id: fc.oneof(fc.nat(), fc.jsonValue()),
      channel: fc.oneof(fc.constantFrom("alerts", ""), fc.jsonValue()),
      since: fc.oneof(fc.nat(), fc.jsonValue()),
      epoch: fc.oneof(fc.string(), fc.jsonValue()),
    },
    { requiredKeys: [] },
  );
  const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array).toString());
  const text = fc.oneof(
    fc.string(),
    bytes,
    fc.json(),
    almost.map((value) => JSON.stringify(value)),
  );
  const property = fc.property(text, (sent) => {
    const parsed = parseClientFrame(sent);
    if (parsed.kind === "error") {
      assert.equal(parsed.error.op, "error");
      assert.ok(parsed.error.message.length > 0 && parsed.error.message.length < 200);
      return;
    }
    const given = JSON.parse(sent);
    for (const [name, value] of Object.entries(parsed.frame)) assert.deepEqual(given[name], value);
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 3_000, seed: 20_261_120 }));
});

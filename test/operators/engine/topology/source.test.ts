import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { fieldReader, num, str } from "../../../../src/core/index.js";
import { type Decoder, jsonFields, jsonLines, jsonSource } from "../../../../src/operators/engine/index.js";

interface Event {
  readonly name: string;
  readonly n: number;
}

const byFields = jsonFields<Event>(fieldReader({ name: str, n: num }));
const byParse = jsonLines<Event>((value) => {
  const { name, n } = value as Event;
  if (typeof name !== "string" || typeof n !== "number") throw new TypeError("not an event");
  return { name, n };
});

/** What a decoder says about a message, each with its bytes. Reasons are worded differently, so they are left out. */
function read(decode: Decoder<Event>, data: Uint8Array): readonly object[] {
  const said: object[] = [];
  const bytes = (from: number, to: number): string => Buffer.from(data.subarray(from, to)).toString();
  decode(
    { sequence: 1, subject: "test.0.event", data, header: () => undefined },
    {
      event: ({ name, n }, from, to) => said.push({ name, n, bytes: bytes(from, to) }),
      malformed: (_reason, from, to) => said.push({ malformed: bytes(from, to) }),
    },
  );
  return said;
}

t.test("one event a line; empty lines are skipped, and a bad line does not take its neighbours along", async (t) => {
  const good = '{"name":"a","n":1}';
  const pack = Buffer.from(`\n${good}\n{"name":"b"}\n\nnot json\n${good}`);
  const expected = [
    { name: "a", n: 1, bytes: good },
    { malformed: '{"name":"b"}' },
    { malformed: "not json" },
    { name: "a", n: 1, bytes: good },
  ];
  t.same(read(byParse, pack), expected, "by JSON.parse");
  t.same(read(byFields, pack), expected, "by fields");
});

t.test("a byte order mark is no JSON", async (t) => {
  const data = Buffer.from('\ufeff{"name":"a","n":1}');
  for (const decode of [byParse, byFields]) t.match(read(decode, data), [{ malformed: data.toString() }]);
});

t.test("the decoder of fields says what the reference says, of any pack", async () => {
  const value = fc.record({
    name: fc.oneof(fc.string({ unit: "binary" }), fc.integer()),
    n: fc.oneof(fc.double(), fc.constant(null)),
  });
  const line = fc.oneof(
    value.map((one) => JSON.stringify(one)),
    fc.constant(""),
    fc.constant("{"),
    fc.constant("[1]"),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
      const data = Buffer.from(lines.join("\n"));
      assert.deepEqual(read(byFields, data), read(byParse, data));
    }),
    { numRuns: 50 },
  );
});

t.test("bytes need not be a Buffer", async (t) => {
  const data = new TextEncoder().encode('{"name":"ä","n":-0.5}');
  t.same(read(byFields, data), read(byParse, data));
  const { decode } = jsonSource<Event>({
    stream: "s",
    fields: fieldReader({ name: str, n: num }),
    time: ({ n }) => n,
  });
  t.match(read(decode, data), [{ name: "ä", n: -0.5 }]);
});

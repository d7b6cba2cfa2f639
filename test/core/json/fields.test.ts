import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { fieldReader, json, num, optional, str, variantReader } from "../../../src/core/index.js";

const WANTED = ["a", "b", "price", "", "a b", "x1", "x2", "dateTime"] as const;
const reader = fieldReader(Object.fromEntries(WANTED.map((name) => [name, optional(json)])));

/** What the reader should say: JSON.parse of the same bytes, its wanted fields, undefined for null or absent. */
function reference(bytes: Buffer): Record<string, unknown> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) return undefined;
  return Object.fromEntries(
    WANTED.map((name) => [
      name,
      (Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined) ?? undefined,
    ]),
  );
}

function compare(bytes: Buffer): void {
  const padded = Buffer.concat([Buffer.from('"{'), bytes, Buffer.from('}"')]); // what lies around the text must not matter
  const found = reader.read(padded, 2, 2 + bytes.length);
  const expected = reference(bytes);
  if (expected === undefined) assert.equal(found, undefined, bytes.toString("latin1"));
  else assert.deepStrictEqual({ ...found }, expected, bytes.toString("latin1"));
  compareLines(bytes);
}

/** As lines of a pack: each judged by itself, whatever its neighbours are. */
function compareLines(bytes: Buffer): void {
  const pack = Buffer.concat([bytes, Buffer.from("\n"), bytes]);
  let from = 0;
  for (const line of pack
    .toString("latin1")
    .split("\n")
    .map((text) => Buffer.from(text, "latin1"))) {
    const found = reader.readLine(pack, from);
    const expected = reference(line);
    assert.deepStrictEqual(found === undefined ? undefined : { ...found }, expected, line.toString("latin1"));
    assert.equal(reader.end, from + line.length);
    from += line.length + 1;
  }
}

const key = fc.oneof(
  fc.constantFrom(...WANTED, "other", "__proto__", "constructor", "pric", "pricf"),
  fc.string({ unit: "binary", maxLength: 6 }),
);
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    fc.string({ unit: "binary", maxLength: 12 }),
    fc.double(),
    fc.integer(),
    fc.constantFrom(null, true, false, -0, 1e21, 5e-324, 0.1, 123456789012345680),
    tie("list"),
    tie("record"),
  ),
  list: fc.array(tie("any"), { maxLength: 4 }),
  record: fc.dictionary(key, tie("any"), { maxKeys: 4 }),
})).any;

/** JSON text with spaces, duplicate keys and escapes anywhere. */
const text = fc
  .array(fc.tuple(key, value, fc.constantFrom("", " ", "\t\r\n "), fc.boolean()), { maxLength: 6 })
  .map(
    (members) =>
      `{${members.map(([name, item, space, escaped]) => `${space}${escaped ? escapeAll(name) : JSON.stringify(name)}${space}:${space}${JSON.stringify(item)}${space}`).join(",")}}`,
  );

function escapeAll(name: string): string {
  return `"${Array.from({ length: name.length }, (_, i) => `\\u${name.charCodeAt(i).toString(16).padStart(4, "0")}`).join("")}"`;
}

t.test("valid texts: the values of JSON.parse", async (t) => {
  const property = fc.property(text, (json) => compare(Buffer.from(json)));
  t.doesNotThrow(() => fc.assert(property, { seed: 41, numRuns: 3_000 }));
});

t.test("damaged texts: refused exactly when JSON.parse refuses", async (t) => {
  const damage = fc.tuple(
    text,
    fc.array(fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('{}[]",:\\0123eE.+-tfnu \n')))), {
      minLength: 1,
      maxLength: 3,
    }),
    fc.nat(3),
    fc.nat(),
  );
  const property = fc.property(damage, ([json, changes, how, where]) => {
    let bytes = Buffer.from(json);
    for (const [place, byte] of changes) {
      const at = bytes.length === 0 ? 0 : place % bytes.length;
      if (how === 0) bytes[at] = byte;
      else if (how === 1) bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([byte]), bytes.subarray(at)]);
      else if (how === 2) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
    }
    if (how === 3) bytes = bytes.subarray(0, where % (bytes.length + 1));
    compare(bytes);
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 42, numRuns: 20_000 }));
});

t.test("bytes that are not UTF-8 become U+FFFD as in Buffer.toString", async (t) => {
  const property = fc.property(fc.uint8Array({ maxLength: 12 }), fc.uint8Array({ maxLength: 4 }), (inside, name) => {
    compare(
      Buffer.concat([
        Buffer.from('{"a":"'),
        inside,
        Buffer.from('","b'),
        name,
        Buffer.from('":1,"b":"'),
        name,
        Buffer.from('"}'),
      ]),
    );
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 43, numRuns: 5_000 }));
});

t.test("edges", async () => {
  const numbers = [
    "0",
    "-0",
    "00",
    "01",
    "-",
    "1.",
    ".5",
    "1.5",
    "1e5",
    "1E+5",
    "1e",
    "1e+",
    "-1.25e-3",
    "9007199254740993",
    "0.1",
    "123456789012345",
    "1234567890123456",
    "0.000000000000000000000001",
    "1e400",
    "-1e-400",
    "5e-324",
    "2.2250738585072011e-308",
    "0.30000000000000004",
    "+1",
    "0x10",
    "1_0",
    "Infinity",
    "NaN",
    "12345678.123456789012345",
  ];
  for (const number of numbers) compare(Buffer.from(`{"a":${number}}`));
  const texts = [
    "",
    " ",
    "{",
    "}",
    "{}",
    " { } ",
    "[]",
    "1",
    '"a"',
    "null",
    "true",
    "{,}",
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{"a":1 "b":2}',
    '{"a":1}}',
    '{"a":1}x',
    "{a:1}",
    '{"a":tru}',
    '{"a":nul',
    '{"a":truex}',
    '{"a":"\t"}',
    '{"a":"\\x"}',
    '{"a":"\\u12g4"}',
    '{"a":"\\ud83d\\ude80","b":"\\ud83d"}',
    '{"a":1,"a":"2","a":[3]}',
    '{"a":{"a":1},"b":[{"a":2}]}',
    '{"\\u0061":7}',
    '{"a":[1,2,]}',
    '{"a":[,]}',
    '{"a":{"b":1,}}',
    '\ufeff{"a":1}',
    '{"a":"\u2028"}',
    '{"a":1}\n',
    "{\"a\":'1'}",
    '{"":5}',
    '{"a":[}',
    '{"a":{]}',
    '{"a":[1}',
    '{"a"::1}',
    '{"a" :1}',
    '{"a":1\u00a0}',
  ];
  for (const one of texts) compare(Buffer.from(one));
  const deep = 20_000;
  compare(Buffer.from(`{"other":${"[".repeat(deep)}${"]".repeat(deep)},"a":1}`));
  compare(Buffer.from(`{"other":${'{"a":'.repeat(deep)}1${"}".repeat(deep)},"a":1}`));
  compare(Buffer.from(`{"other":${"[".repeat(deep)},"a":1}`));
});

t.test("kinds: what is not as asked for is refused by name", async (t) => {
  const typed = fieldReader({ n: num, s: str, o: optional(num) });
  const read = (text: string) => typed.read(Buffer.from(text), 0, Buffer.byteLength(text));
  t.same(read('{"s":"x","n":1}'), { n: 1, s: "x", o: undefined });
  const refusals: readonly (readonly [string, string])[] = [
    ['{"s":"x"}', "n must be a number, is missing"],
    ['{"s":"x","n":"1"}', "n must be a number, is text"],
    ['{"s":null,"n":1}', "s must be text, is null"],
    ['{"s":"x","n":1,"o":[]}', "o must be a number, is an object or array"],
    ["[1]", "not a JSON object"],
    ['{"s":', "not JSON at byte 5"],
  ];
  for (const [text, reason] of refusals) {
    t.equal(read(text), undefined);
    t.equal(typed.reason, reason);
  }
});

t.test("variants: common fields of every type, the others of the type at hand", async (t) => {
  const typed = variantReader("type", { type: num, at: num }, { 1: { name: str }, 2: { price: num } });
  const read = (text: string) => typed.read(Buffer.from(text), 0, text.length);
  t.same(read('{"type":1,"at":5,"name":"x","price":"no"}'), { type: 1, at: 5, name: "x" });
  t.same(read('{"type":2,"at":5,"price":7}'), { type: 2, at: 5, price: 7 });
  t.same(read('{"type":9,"at":5}'), { type: 9, at: 5 });
  t.equal(read('{"type":2,"at":5}'), undefined);
});

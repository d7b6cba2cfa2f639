import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { borrowed, fieldReader, json, num, optional, str } from "../../../src/core/index.js";

const WANTED = ["a", "b", "price", "dateTime", "twenty characters long"] as const;

/** What a reader should say of a line: JSON.parse of the same bytes, its wanted fields, undefined for null or absent. */
function reference(line: Buffer): Record<string, unknown> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line.toString("utf8"));
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

function linesOf(pack: Buffer): { from: number; line: Buffer }[] {
  let from = 0;
  return pack
    .toString("latin1")
    .split("\n")
    .map((text) => {
      const line = { from, line: Buffer.from(text, "latin1") };
      from += text.length + 1;
      return line;
    })
    .filter(({ line }) => line.length > 0);
}

const readAll = (): ReturnType<typeof fieldReader> =>
  fieldReader(Object.fromEntries(WANTED.map((n) => [n, optional(json)])));

/** Reads the pack as a decoder does, twice: what the first pass learns of its keys counts for the second. Held against JSON.parse. */
function compare(pack: Buffer, reader = readAll()): void {
  for (let pass = 0; pass < 2; pass++) {
    reader.open(pack);
    for (const { from, line } of linesOf(pack)) {
      const found = reader.readLine(pack, from);
      const text = line.toString("latin1");
      assert.deepStrictEqual(found === undefined ? undefined : { ...found }, reference(line), text);
      assert.equal(reader.end, from + line.length, text);
    }
  }
}

const name = fc.constantFrom(...WANTED, "other", "o", "__proto__", "a key of more than thirty-two bytes", "pric", "ä");
const value = fc.oneof(
  fc.string({ unit: "grapheme-ascii", maxLength: 40 }).map((text) => JSON.stringify(text)),
  fc.string({ unit: "binary", maxLength: 20 }).map((text) => JSON.stringify(text)),
  fc.integer().map(String),
  fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }).map(String),
  fc.double().map((x) => JSON.stringify(x)),
  fc.tuple(fc.integer(), fc.nat(10 ** 9)).map(([whole, rest]) => `${whole}.${String(rest).padStart(rest % 12, "0")}`),
  fc.constantFrom(
    "true",
    "false",
    "null",
    "-0",
    "0",
    "0.0",
    "007",
    "{}",
    "[]",
    '{"a":[1,{}]}',
    "1e3",
    "1E-2",
    "-",
    "1.",
  ),
);
const space = fc.constantFrom("", "", "", "", " ", "  ", "\t");

/** Lines whose keys come in a few orders, as those of real producers do; some damaged. */
const pack = fc
  .array(fc.array(name, { maxLength: 6 }), { minLength: 1, maxLength: 3 })
  .chain((orders) =>
    fc.array(
      fc.tuple(
        fc.nat(orders.length - 1).chain((i) => {
          const keys = orders[i] as string[];
          return fc.array(fc.tuple(value, space), { minLength: keys.length, maxLength: keys.length }).map((values) => {
            const members = values.map(([json, gap], j) => `${gap}${JSON.stringify(keys[j])}:${gap}${json}${gap}`);
            return `{${members.join(",")}}`;
          });
        }),
        fc.option(
          fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('{}[]",:\\0123eE.+-tfnu \n')))),
          { freq: 3 },
        ),
      ),
      { minLength: 1, maxLength: 12 },
    ),
  )
  .map((lines) =>
    Buffer.concat(
      lines.map(([text, damage]) => {
        const bytes = Buffer.from(`${text}\n`);
        if (damage !== null) bytes[damage[0] % bytes.length] = damage[1];
        return bytes;
      }),
    ),
  );

t.test("lines of a pack, damaged ones among them: refused and read exactly as by JSON.parse", async (t) => {
  const property = fc.property(pack, (bytes) => compare(bytes));
  t.doesNotThrow(() => fc.assert(property, { seed: 51, numRuns: 2_000 }));
});

t.test("one line damaged at every place by every kind of byte", async () => {
  const line = '{"a":1234567890123,"b":"text with ü","price":-12.50,"other":true,"dateTime":null}';
  const plain = Buffer.from(`${line}\n${line}\n`);
  const reader = readAll();
  compare(plain, reader);
  for (let at = 0; at < plain.length / 2; at++) {
    for (const byte of [
      0, 0x09, 0x0a, 0x0d, 0x20, 0x22, 0x5c, 0x2c, 0x3a, 0x7b, 0x7d, 0x30, 0x39, 0x2d, 0x2e, 0x65, 0xff,
    ]) {
      const bytes = Buffer.from(plain);
      bytes[at] = byte;
      compare(bytes, reader);
    }
  }
});

t.test("edges of values, of keys, and of what is around them", async () => {
  const sixteen = [
    "90071992.54740993",
    "900719925474099.5",
    "90074001.37463861",
    "1234567890123456",
    "9007199254740993",
  ];
  const numbers = [
    "-",
    "-,",
    "00",
    "01",
    "-01",
    "1.",
    ".5",
    "1.5.2",
    "1e5",
    "--1",
    "12345678",
    "123456789012345",
    "1 2",
    "",
  ];
  const words = ["tru", "truE", "falsy", "false", "nul", "nullx", "truefalse"];
  const texts = [
    `"ä${"x".repeat(40)}"`,
    `"${"x".repeat(15)}ä"`,
    `"${"x".repeat(16)}\u001f"`,
    '"a\u001fb"',
    '"',
    '"a',
    "'a'",
  ];
  const reader = readAll();
  for (const one of [...sixteen, ...numbers, ...words, ...texts].map((text) => text.replace("\\u001f", "\u001f"))) {
    compare(Buffer.from(`{"a":1}\n{"a":${one}}\n{"a":${one}\n{"a":-${one}}\n{"a":${one},"b":2}\n{"a":1}`), reader);
    compare(Buffer.from(`{"other":1}\n{"other":${one}}\n{"other":${one}}x\n{"other":1}`), reader);
  }
  // Keys that agree in their first sixteen bytes, or where one begins as the other.
  const keys = [
    "twenty characters long",
    "twenty characters lone",
    "twenty characters lo",
    "a",
    "aa",
    'a\\"',
    'a":1,"b',
  ];
  for (const one of keys)
    for (const other of keys) compare(Buffer.from([one, other, one].map((k) => `{"${k}":1}`).join("\n")));
});

t.test("packs larger than a turn, lines longer than one, endings of every kind", async () => {
  const line = (i: number, length: number) =>
    `{"a":${i},"other":"${"x".repeat(length)}","b":"${"y".repeat(i % 40)}","price":${i / 100}}`;
  const reader = readAll();
  const lines = Array.from({ length: 3_000 }, (_, i) => line(i, (i * 7) % 300));
  compare(Buffer.from(lines.join("\n")), reader);
  compare(Buffer.from(`\n\n${lines.slice(0, 2_000).join("\n\n\n")}\n\n`), reader);
  compare(
    Buffer.from([line(1, 10), line(2, 200_000), line(3, 10), line(4, 65_000), line(5, 70_000)].join("\n")),
    reader,
  );
  for (let length = 65_380; length < 65_560; length++)
    compare(Buffer.from(`${line(1, length)}\n${line(2, 5)}`), reader);
  compare(Buffer.from(lines.slice(0, 50).join("\r\n")), reader);
  compare(Buffer.alloc(0), reader);
  // More keys than can be remembered: the scanner reads them.
  compare(Buffer.from(Array.from({ length: 2_000 }, (_, i) => `{"k${i}":${i},"a":${i}}`).join("\n")), reader);
  compare(Buffer.from(lines.join("\n")), reader);
});

t.test("kinds are checked, texts are borrowed, and what was not opened is read all the same", async (t) => {
  const reader = fieldReader({ n: num, s: borrowed(str), long: str });
  const long = "long enough not to be copied";
  const good = `{"n":1,"s":"${long}","long":"${long}"}`;
  const bytes = Buffer.from(
    [good, good, '{"n":"1","s":"x","long":""}', `{"n":1,"s":"ä ${long}","long":"ö"}`].join("\n"),
  );
  const read = () => {
    let from = 0;
    return [0, 1, 2, 3].map(() => {
      const found = reader.readLine(bytes, from);
      from = reader.end + 1;
      return found ?? reader.reason;
    });
  };
  const expected = [
    { n: 1, s: long, long },
    { n: 1, s: long, long },
    "n must be a number, is text",
    { n: 1, s: `ä ${long}`, long: "ö" },
  ];
  t.same(read(), expected, "not opened");
  reader.open(bytes);
  t.same(read(), expected, "opened");
  t.same(read(), expected, "read again without opening");
  reader.open(bytes);
  t.same(reader.readLine(bytes, (good.length + 1) * 2), undefined, "out of order");
  t.same(reader.readLine(bytes, 0), expected[0]);
});

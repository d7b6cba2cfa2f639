import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { ByteReader, ByteWriter } from "../../../../src/operators/engine/state/bytes.js";
import { readValue, writeValue } from "../../../../src/operators/engine/state/values.js";

const written = (write: (writer: ByteWriter) => void, capacity?: number): Uint8Array => {
  const writer = new ByteWriter(capacity);
  write(writer);
  return writer.finish();
};
const bytesOf = (value: unknown): Uint8Array => written((writer) => writeValue(writer, value));

t.test(
  "text: a byte a character of ASCII, UTF-8 beyond it, UTF-16 only where UTF-8 would lose a surrogate",
  async (t) => {
    const table: readonly (readonly [text: string, bytes: number])[] = [
      ["", 0],
      ["a", 1],
      ["\u007f", 1],
      ["\u0080", 2],
      ["aé", 3],
      ["\ud7ff", 3],
      ["\ue000", 3],
      ["\uffff", 3],
      ["\ud800\udc00", 4],
      ["\udbff\udfff", 4],
      ["\ud83d\ude80\ud83d\ude80", 8],
      ["\ud800", 2],
      ["\udbff", 2],
      ["\udc00", 2],
      ["\udfff", 2],
      ["\ud800\ud7ff", 4],
      ["\ud800\udbff", 4],
      ["\ud800\ue000", 4],
      ["\udc00\ud800", 4],
      ["\ud800\udc00\udc00", 6],
      ["ab\ud800", 6],
    ];
    for (const [text, bytes] of table) {
      for (const padding of [0, 63, 64, 200]) {
        const padded = text + "x".repeat(padding);
        const isLone = /\p{Cs}/u.test(text);
        const expected = bytes + padding * (isLone ? 2 : 1);
        const header = written((writer) => writer.uint(expected * 2)).length;
        for (const capacity of [1, 300, 1_024]) {
          const found = written((writer) => writer.text(padded), capacity);
          assert.equal(found.length, header + expected, `${JSON.stringify(padded)} in ${capacity}`);
          assert.equal(new ByteReader(found).text(), padded);
        }
      }
    }
    t.ok(table.length > 0);
  },
);

t.test("pieces: what is written is the same, no piece moves, none is much smaller than asked", async (t) => {
  const item = fc.oneof(
    fc.string({ unit: "binary", maxLength: 90 }),
    fc.nat(),
    fc.uint8Array({ maxLength: 80 }),
    fc.double(),
    fc.array(fc.record({ a: fc.nat(), b: fc.string({ maxLength: 5 }) }), { maxLength: 8 }),
  );
  const property = fc.property(fc.array(item, { minLength: 1, maxLength: 30 }), (items) => {
    const whole = new ByteWriter(1);
    const pieced = new ByteWriter(64, 64);
    const longest = Math.max(...items.map((value) => bytesOf(value).length));
    const places: [piece: number, place: number, length: number][] = [];
    for (const value of items) {
      writeValue(whole, value);
      writeValue(pieced, value);
      assert.equal(pieced.length, whole.length);
      places.push([pieced.piece, pieced.place, pieced.length]);
    }
    const pieces = pieced.finishPieces();
    const all = Buffer.concat(pieces as Uint8Array[]);
    assert.deepEqual(all, Buffer.from(whole.finish()));
    for (const [piece, place, length] of places) {
      const before = pieces.slice(0, piece).reduce((sum, { byteLength }) => sum + byteLength, 0);
      assert.equal(before + place, length, "piece and place are where the writer stood");
    }
    // Text makes room for three bytes a character before it knows how many it needs.
    for (const { byteLength } of pieces.slice(0, -1)) assert.ok(byteLength + longest * 3 + 9 > 64, `${byteLength}`);
    for (const { byteLength } of pieces) assert.ok(byteLength <= Math.max(64, longest * 3 + 9), `${byteLength}`);
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 61, numRuns: 40 }));
});

t.test("growth: a writer holds no more than twice what it was given to write", async (t) => {
  const writer = new ByteWriter(8);
  for (let i = 0; i < 1_000; i++) writer.u8(i & 0xff);
  const bytes = writer.finish();
  t.equal(bytes.length, 1_000);
  t.ok(bytes.every((byte, i) => byte === (i & 0xff)));
  t.equal(bytes.buffer.byteLength, 1_024, "it doubles, so that what is written is moved a few times only");
  const full = written((one) => {
    one.f64(1.5);
    one.raw(Uint8Array.of(1, 2, 3));
  }, 11);
  t.equal(full.buffer.byteLength, 11, "what fits exactly moves nothing");
});

/** Makes shapes that no earlier run has met. */
let serial = 0;

t.test("records: keys are written once a shape, however many shapes take turns and however often", async (t) => {
  const shapes = [
    [`"${serial++}`, "b"],
    ["a", "b"],
    ["b", "a"],
    ["a"],
    [],
    ["a,b"],
    ['a","b'],
    ['"', "\n", "\\", "'", "constructor"],
    ["__proto__", "a"],
    ...Array.from({ length: 20 }, (_, i) => [`k${i}`, "a"]),
  ];
  const record = (keys: readonly string[], i: number): object => {
    const made: Record<string, unknown> = {};
    for (const [n, key] of keys.entries())
      Object.defineProperty(made, key, { value: i * 10 + n, enumerable: true, writable: true, configurable: true });
    return made;
  };
  for (const kinds of [1, 2, 8, 16, 17, shapes.length]) {
    const count = 300 * Math.min(kinds, 8);
    const records = Array.from({ length: count }, (_, i) => record(shapes[i % kinds] as string[], i));
    const writer = new ByteWriter();
    const lengths = records.map((one) => {
      const before = writer.length;
      writeValue(writer, one);
      return writer.length - before;
    });
    // Once its keys are known a record is a tag, a number and its fields: a tag and 1 to 2 bytes each.
    for (const [i, length] of lengths.entries())
      if (i >= kinds) assert.ok(length <= 2 + (shapes[i % kinds]?.length ?? 0) * 4, `record ${i}: ${length} bytes`);
    const reader = new ByteReader(writer.finish());
    for (const one of records) assert.equal(JSON.stringify(readValue(reader)), JSON.stringify(one));
    assert.equal(reader.left, 0);
  }
  t.ok(shapes.length > 16);
});

/** Tells whenever the record's keys are walked through. */
function counted(record: object, walked: () => void): object {
  return new Proxy(record, {
    ownKeys: (target) => {
      walked();
      return Reflect.ownKeys(target);
    },
  });
}

t.test("records that come in turn are known at the first look: their keys are walked once each", async (t) => {
  for (const kinds of [1, 3, 16]) {
    for (const selfContained of [false, true]) {
      let walks = 0;
      const writer = new ByteWriter();
      writer.selfContained = selfContained;
      const write = (i: number): void =>
        writeValue(
          writer,
          counted({ [`k${i % kinds}`]: i, same: i }, () => walks++),
        );
      for (let i = 0; i < 2 * kinds; i++) write(i);
      walks = 0;
      for (let i = 0; i < 10 * kinds; i++) write(i);
      t.equal(walks, 10 * kinds, `${kinds} kinds`);
    }
  }
  // More than are kept: the oldest make room, and those that come now are known again.
  const writer = new ByteWriter();
  for (let i = 0; i < 40; i++) writeValue(writer, { [`k${i}`]: i });
  let walks = 0;
  const late = (i: number): object => counted({ [`k${i}`]: i }, () => walks++);
  for (let round = 0; round < 3; round++) for (const i of [38, 39]) writeValue(writer, late(i));
  t.ok(walks <= 60, `${walks} walks`); // six times all sixteen and its own were 102
});

t.test("records that carry their keys can be put together in any order, beside those that do not", async (t) => {
  const kinds = [{ a: 1, b: "x" }, { b: 2, a: "y" }, {}, { long: "z".repeat(70) }];
  const one = fc.record({ kind: fc.nat(kinds.length - 1), own: fc.boolean() });
  const property = fc.property(fc.array(one, { maxLength: 60 }), (all) => {
    const writer = new ByteWriter(1);
    for (const { kind, own } of all) {
      writer.selfContained = own;
      writeValue(writer, kinds[kind]);
    }
    const reader = new ByteReader(writer.finish());
    for (const { kind } of all) assert.equal(JSON.stringify(readValue(reader)), JSON.stringify(kinds[kind]));
    assert.equal(reader.left, 0);
    const contained = all.filter(({ own }) => own).map(({ kind }) => bytesOfOwn(kinds[kind]));
    const apart = new ByteReader(Buffer.concat([...contained].reverse()));
    for (const { kind } of all.filter(({ own }) => own).reverse())
      assert.equal(JSON.stringify(readValue(apart)), JSON.stringify(kinds[kind]));
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 62, numRuns: 100 }));
});

function bytesOfOwn(value: unknown): Uint8Array {
  return written((writer) => {
    writer.selfContained = true;
    writeValue(writer, value);
  });
}

t.test("a reader stays within the bytes it was given, and says where it stood when they end", async (t) => {
  const around = Uint8Array.of(9, 9, ...bytesOf([1, "text", 2.5, Uint8Array.of(4, 5)]), 9, 9);
  const part = around.subarray(2, -2);
  const reader = new ByteReader(part);
  t.equal(reader.left, part.length);
  t.same(readValue(reader), [1, "text", 2.5, Uint8Array.of(4, 5)]);
  t.equal(reader.left, 0);
  reader.seek(0);
  t.equal(reader.left, part.length);
  t.same(readValue(reader), [1, "text", 2.5, Uint8Array.of(4, 5)], "from where it was told");
  reader.seek(part.length - 3);
  t.throws(() => reader.f64(), {
    code: "MR_STATE_INCOMPATIBLE",
    message: `8 bytes wanted at ${part.length - 3}, 3 left`,
  });
  t.equal(reader.left, 3, "what could not be read is not passed over");
  const doubles = new Float64Array(2);
  t.throws(() => new ByteReader(new Uint8Array(15)).doubles(doubles, 0, 2), { code: "MR_STATE_INCOMPATIBLE" });
  for (const cut of [1, 2, 5])
    t.throws(() => readValue(new ByteReader(bytesOf("a\ud800").subarray(0, cut))), { code: "MR_STATE_INCOMPATIBLE" });
});

t.test("bytes and copies: a writer's `bytes` says how many, `raw` does not; both of any length", async (t) => {
  for (const length of [0, 1, 31, 32, 33, 100]) {
    const value = Uint8Array.from({ length }, (_, i) => 255 - i);
    const found = written((writer) => {
      writer.raw(value);
      writer.bytes(value);
      writer.u8(7);
    }, 1);
    t.same([...found], [...value, length, ...value, 7]);
  }
});

t.test("small whole numbers take few bytes, any other a double's, and zeros keep their sign", async (t) => {
  const table: readonly (readonly [value: number, bytes: number])[] = [
    [0, 2],
    [127, 2],
    [128, 3],
    [2 ** 30 - 1, 6],
    [2 ** 30, 9],
    [-0, 9],
    [-1, 9],
    [0.5, 9],
    [Number.NaN, 9],
    [Number.POSITIVE_INFINITY, 9],
  ];
  for (const [value, bytes] of table) {
    const found = bytesOf(value);
    t.equal(found.length, bytes, `${value}`);
    t.ok(Object.is(readValue(new ByteReader(found)), value), `${value}`);
  }
});

t.test("what is not plain data is named when it is refused", async (t) => {
  class Own {}
  for (const [value, name] of [
    [new Own(), "a Own is"],
    [new Map(), "a Map is"],
    [new Date(0), "a Date is"],
    [() => 1, "a function is"],
    [Symbol("s"), "a symbol is"],
  ] as const)
    t.throws(() => bytesOf(value), { code: "MR_OPTION_INVALID", message: `saving state: ${name} not plain data` });
  t.throws(() => readValue(new ByteReader(Uint8Array.of(200))), { message: "no value of kind 200" });
  t.throws(() => readValue(new ByteReader(Uint8Array.of(7, 9))), { message: "there is no shape 9" });
  t.throws(() => readValue(new ByteReader(Uint8Array.of(7, 2))), { message: "there is no shape 2" });
});

t.test("what is read is a copy, of a Buffer too: the bytes it came from may be written over", async (t) => {
  for (const from of [bytesOf(Uint8Array.of(1, 2, 3)), Buffer.from(bytesOf(Uint8Array.of(1, 2, 3)))]) {
    const value = readValue(new ByteReader(from)) as Uint8Array;
    from.fill(9);
    t.same([...value], [1, 2, 3]);
    t.equal(value.constructor, Uint8Array);
  }
});

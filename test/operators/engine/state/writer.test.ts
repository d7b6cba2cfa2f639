import t from "tap";
import { ByteReader, ByteWriter } from "../../../../src/operators/engine/state/bytes.js";
import { readValue, writeValue } from "../../../../src/operators/engine/state/values.js";

const filled = (length: number, byte = 7): Uint8Array => new Uint8Array(length).fill(byte);
const lengths = (pieces: readonly Uint8Array[]): number[] => pieces.map(({ length }) => length);

t.test(
  "cut: an entry begins in a new piece where the one at hand is three quarters full or too small for it",
  async (t) => {
    for (const [before, more, piece] of [
      [0, 1_000, 0],
      [1, 0, 0],
      [47, 0, 0],
      [48, 0, 1],
      [64, 0, 1],
      [47, 17, 0],
      [47, 18, 1],
      [1, 63, 0],
      [1, 64, 1],
    ] as const) {
      const writer = new ByteWriter(64, 64);
      writer.raw(filled(before));
      writer.cut(more);
      t.equal(writer.piece, piece, `${more} more behind ${before}`);
      t.equal(writer.place, piece === 0 ? before : 0);
      t.equal(writer.length, before);
    }
    const whole = new ByteWriter(64);
    whole.raw(filled(60));
    whole.cut(1_000);
    t.same([whole.piece, whole.place], [0, 60], "without pieces there is nothing to begin");
  },
);

t.test("cut: what is longer than a piece gets one of its own length", async (t) => {
  const writer = new ByteWriter(64, 64);
  writer.u8(1);
  writer.cut(200);
  writer.raw(filled(200));
  writer.u8(2);
  const pieces = writer.finishPieces();
  t.same(lengths(pieces), [1, 200, 1]);
  t.same(
    pieces.map(({ buffer }) => buffer.byteLength),
    [64, 200, 64],
  );
});

t.test("cut: behind an entry that ran over from the piece before, the next begins in one of its own", async (t) => {
  const writer = new ByteWriter(64, 64);
  writer.raw(filled(60));
  writer.raw(filled(10));
  t.same([writer.piece, writer.place], [1, 10]);
  writer.cut();
  t.same([writer.piece, writer.place], [2, 0]);
  writer.raw(filled(10));
  writer.cut();
  t.same([writer.piece, writer.place], [2, 10], "which is over then");
  t.same(lengths(writer.finishPieces()), [60, 10, 10]);
});

t.test(
  "share: a piece of half the size at least is taken as it is, between what was and what will be written",
  async (t) => {
    const [large, small] = [filled(32), filled(31)];
    t.notOk(new ByteWriter(64).share(large), "without pieces");
    const writer = new ByteWriter(64, 64);
    t.notOk(writer.share(small));
    t.same([writer.piece, writer.length], [0, 0]);
    t.ok(writer.share(large));
    t.same([writer.piece, writer.place, writer.length], [1, 0, 32]);
    writer.raw(filled(60));
    writer.raw(filled(10)); // runs over
    t.ok(writer.share(large));
    t.same([writer.piece, writer.place, writer.length], [4, 0, 134]);
    writer.f64(2.5);
    writer.cut();
    t.same([writer.piece, writer.place, writer.length], [4, 8, 142], "what ran over is over");
    const pieces = writer.finishPieces();
    t.same(lengths(pieces), [32, 60, 10, 32, 8]);
    t.equal(pieces[0], large);
    t.equal(pieces[3], large);
    t.equal(pieces[4]?.buffer, pieces[2]?.buffer, "the room behind what was written is used");
    t.equal(new ByteReader(Buffer.concat(pieces).subarray(134)).f64(), 2.5);
  },
);

t.test("text of any length fits into whatever room there is", async (t) => {
  for (let capacity = 1; capacity <= 120; capacity += 7)
    for (const length of [0, 1, 4, 5, 20, 31, 32, 33, 50, 64])
      for (const unit of ["a", "é", "€", "\ud800"]) {
        const text = `${"x".repeat(length)}${unit}`;
        const [whole, pieced] = [new ByteWriter(capacity), new ByteWriter(capacity, capacity)];
        for (const writer of [whole, pieced]) {
          writer.text(text);
          writer.text(text);
        }
        const reader = new ByteReader(whole.finish());
        if (reader.text() !== text || reader.text() !== text || reader.left > 0) t.fail(`${text} in ${capacity}`);
        if (!Buffer.concat(pieced.finishPieces()).equals(whole.finish())) t.fail(`${text} in pieces of ${capacity}`);
      }
  t.ok(true);
});

t.test("numbers and doubles fit into whatever room there is", async (t) => {
  for (let capacity = 1; capacity <= 40; capacity++) {
    const writer = new ByteWriter(capacity);
    writer.uint(Number.MAX_SAFE_INTEGER);
    writer.int(-5);
    writer.f64(-2.5);
    writer.doubles(Float64Array.of(1, 2, 3, 4), 1, 3);
    writer.u8(9);
    const reader = new ByteReader(writer.finish());
    const doubles = new Float64Array(3);
    const found = [reader.uint(), reader.int(), reader.f64()];
    reader.doubles(doubles, 0, 3);
    t.same([...found, ...doubles, reader.u8(), reader.left], [Number.MAX_SAFE_INTEGER, -5, -2.5, 2, 3, 4, 9, 0]);
  }
});

t.test("records that carry their keys: those of neighbours of one shape are read once", async (t) => {
  const shapes = [{ a: 1, b: 2 }, { a: 3, b: 4 }, { b: 5 }, { b: 6 }, { a: 7, b: 8 }];
  const writer = new ByteWriter();
  writer.selfContained = true;
  for (const one of shapes) writer.shape(one);
  const reader = new ByteReader(writer.finish());
  const read = shapes.map(() => reader.shape());
  t.same(
    read,
    shapes.map((one) => Object.keys(one)),
  );
  t.equal(reader.left, 0);
  t.equal(read[1], read[0]);
  t.equal(read[3], read[2]);
});

t.test("a shape is found again, whatever the record's values", async (t) => {
  for (const selfContained of [false, true]) {
    const writer = new ByteWriter();
    writer.selfContained = selfContained;
    const shapes = [{ a: 1 }, { b: 1, a: 1 }, {}].map((record) => writer.shape(record));
    t.equal(new Set(shapes).size, 3);
    t.same(
      [{ a: 2 }, { b: "x", a: null }, {}].map((record) => shapes.indexOf(writer.shape(record))),
      [0, 1, 2],
    );
    t.same(
      shapes.map(({ keys }) => keys),
      [["a"], ["b", "a"], []],
    );
  }
});

t.test("sixteen shapes are kept, and a new one takes the place of none while there is room", async (t) => {
  const writer = new ByteWriter();
  const shapes = Array.from({ length: 16 }, (_, i) => {
    const shape = writer.shape({ [`k${i}`]: 1 });
    writer.shape({ k0: 2 });
    return shape;
  });
  t.ok(
    shapes.every((shape, i) => writer.shape({ [`k${i}`]: 3 }) === shape),
    "all of them",
  );
  writer.shape({ k16: 1 });
  const known = shapes.filter((_, i) => writer.shape({ [`k${15 - i}`]: 4 }) === shapes[15 - i]).length;
  t.ok(known < 16, "one made room");
});

t.test("a record that begins as another does, or has fewer keys, is another shape", async (t) => {
  const records = [{ a: 1, b: 2 }, { a: 1 }, { a: 1, b: 2, c: 3 }, {}, { a: 1, c: 2 }, { b: 1, a: 2 }];
  for (const selfContained of [false, true]) {
    const writer = new ByteWriter();
    writer.selfContained = selfContained;
    for (const record of [...records, ...records]) writeValue(writer, record);
    const reader = new ByteReader(writer.finish());
    for (const record of [...records, ...records]) t.equal(JSON.stringify(readValue(reader)), JSON.stringify(record));
    t.equal(reader.left, 0);
  }
});

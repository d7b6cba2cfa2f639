import t from "tap";
import { PackReader, PackWriter } from "../../../src/core/pack/bytes.js";

t.test("whole numbers take seven bits a byte, up to 2^53", async (t) => {
  const table = [
    [0, 1],
    [127, 1],
    [128, 2],
    [16_383, 2],
    [16_384, 3],
    [2 ** 32, 5],
    [2 ** 53 - 1, 8],
  ] as const;
  for (const [value, bytes] of table) {
    const writer = new PackWriter();
    writer.uint(value);
    const written = writer.finish();
    t.equal(written.length, bytes, `${value} in ${bytes} bytes`);
    t.equal(new PackReader(written).uint(), value);
  }
  const endless = new PackReader(Buffer.alloc(20, 0xff));
  t.throws(() => endless.uint(), { name: "RangeError", message: "a number is too long" });
});

t.test("floats and texts, beyond the first room", async (t) => {
  const writer = new PackWriter();
  const long = "é".repeat(40_000);
  writer.float(-0.1);
  writer.text(long);
  writer.text("");
  const reader = new PackReader(writer.finish());
  t.equal(reader.float(), -0.1);
  t.equal(reader.text(), long);
  t.equal(reader.text(), "");
  t.equal(reader.left, 0);
  for (const read of ["byte", "uint", "float", "text"] as const)
    t.throws(() => reader[read](), { name: "RangeError" }, `${read} at the end`);
});

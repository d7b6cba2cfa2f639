import t from "tap";
import { packable, packLines } from "../../../src/streams/codecs/pack.js";

const bytes = (text: string): Uint8Array => Buffer.from(text);

t.test("lines become packs of at most 256 KB, in their order", async (t) => {
  const line = bytes("x".repeat(100_000));
  const packs = [...packLines([line, line, line, bytes("y")])].map((pack) => Buffer.from(pack).toString());
  t.same(
    packs.map(({ length }) => length),
    [200_001, 100_002],
  );
  t.equal(packs.join("\n").split("\n").length, 4);
  t.equal([...packLines([line])][0], line, "one line is its own bytes");
  t.equal([...packLines([bytes("x".repeat(300_000))])].length, 1, "a line that is larger goes alone");
  t.same([...packLines([])], []);
});

t.test("only what can be taken apart again travels together", async (t) => {
  const message = (data: string, subject = "a") => ({ subject, data: bytes(data) });
  const table = [
    { waiting: [message("{}"), message('{"a":1}'), message("{}")], count: 3 },
    { waiting: [message("{}"), message("{}", "b")], count: 1 },
    { waiting: [message("{}"), message('{\n"a":1}')], count: 1 },
    { waiting: [message("{}"), message("{bad}"), message("{}")], count: 1 },
    { waiting: [message("[{}]"), message("{}")], count: 1 },
    { waiting: [message(`{"a":"${"x".repeat(200_000)}"}`), message(`{"a":"${"x".repeat(80_000)}"}`)], count: 1 },
    { waiting: [message("")], count: 1 },
  ];
  for (const { waiting, count } of table)
    t.equal(packable(waiting), count, waiting.map(({ data }) => Buffer.from(data.subarray(0, 9)).toString()).join(" "));
});

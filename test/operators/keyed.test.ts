import t from "tap";
import { keyed } from "../../src/operators/index.js";

const boxes = (maxKeys: number) =>
  keyed<{ n: number }>({
    maxKeys,
    create: () => ({ n: 0 }),
    save: (box) => box,
    load: (saved) => saved as { n: number },
  });

t.test("one value per key; the key longest unused goes first, of equals the smaller name", async (t) => {
  const all = boxes(2);
  all.at("b", 10).n = 1;
  all.at("a", 10).n = 2;
  all.at("c", 11).n = 3;
  t.equal(all.get("a"), undefined, "a and b are equally old");
  t.equal(all.get("b")?.n, 1);
  t.equal(all.at("b", 5).n, 1, "an older time does not make it older");
  all.at("c", 6);
  all.at("e", 10);
  t.equal(all.get("c")?.n, 3, "c is still as of 11");
  all.at("b", 20).n = 1;
  all.at("d", 21);
  t.same([...all.entries()].map(([key]) => key).sort(), ["b", "d"]);
  all.delete("b");
  t.equal(all.size, 1);
});

t.test("save is sorted, load restores the order of forgetting", async (t) => {
  const one = boxes(2);
  one.at("z", 2).n = 1;
  one.at("y", 1).n = 2;
  const saved = JSON.parse(JSON.stringify(one.save()));
  t.same(saved, [
    ["y", 1, { n: 2 }],
    ["z", 2, { n: 1 }],
  ]);
  const other = boxes(2);
  other.load(saved);
  other.at("x", 3);
  t.same([...other.entries()].map(([key]) => key).sort(), ["x", "z"]);
});

t.test("MR_OPTION_INVALID without a positive bound", async (t) => {
  for (const maxKeys of [0, -1, 1.5, Number.NaN]) t.throws(() => boxes(maxKeys), { code: "MR_OPTION_INVALID" });
});

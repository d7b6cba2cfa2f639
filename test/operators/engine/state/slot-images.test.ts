import t from "tap";
import { ByteReader, ByteWriter } from "../../../../src/operators/engine/state/bytes.js";
import { KeyTable } from "../../../../src/operators/engine/state/key-table.js";
import { readKey } from "../../../../src/operators/engine/state/keys.js";
import { SlotCut } from "../../../../src/operators/engine/state/slot-cut.js";

t.test("a slot's image is taken once, before its first change, or when its turn comes", async (t) => {
  const table = new KeyTable();
  const values: number[] = [];
  for (let i = 0; i < 1_200; i++) values[table.slotOf(`key ${String(i).padStart(4, "0")}`)] = i;
  table.remove(7);
  const expected = Array.from({ length: 1_200 }, (_, i) => [`key ${String(i).padStart(4, "0")}`, i]).filter(
    ([, i]) => i !== 7,
  );
  const kept: number[] = [];
  const cut = new SlotCut(table, (slot, keep) => {
    if (keep) kept.push(slot);
    return values[slot] as number;
  });
  const change = (slot: number, isNew = false): void => {
    cut.preserve(slot, isNew);
    values[slot] = -1;
  };
  for (const slot of [3, 3, 1_199, 3]) change(slot);
  t.same(kept, [3, 1_199], "once");
  const again = table.slotOf("again");
  t.equal(again, 7);
  change(again, true);
  change(again);
  change(table.slotOf("one more"), true);
  change(1_200);
  change(5_000);
  t.same(kept, [3, 1_199], "nothing was there");
  change(9);
  table.remove(9); // its key is still to be written
  t.equal(table.slotOf("other 009"), 9);

  const writer = new ByteWriter();
  const changed: number[] = [];
  let most = 0;
  let written = 0;
  let steps = 0;
  const write = (image: number, slot: number, isChanged: boolean): void => {
    writer.f64(image);
    written++;
    if (isChanged) changed.push(slot);
  };
  const saving = cut.steps(writer, write);
  for (let before = 0; !saving.next().done; before = written) {
    most = Math.max(most, written - before);
    if (written > 0 && steps++ === 0) change(0); // written by now
  }
  t.ok(most <= 512 && steps >= 2, `${most} written in one of ${steps} steps`);
  t.same(changed, [3, 9, 1_199]);
  t.same(kept, [3, 1_199, 9], "what is written is kept no more");
  const reader = new ByteReader(writer.finish());
  t.same(
    Array.from({ length: reader.uint() }, () => [readKey(reader), reader.f64()]),
    expected,
  );
  const { bytes } = table;
  for (let i = 0; i < 100_000; i++) table.remove(table.slotOf(`key ${i % 2}!`));
  t.equal(table.bytes, bytes, "texts make room for others again");
});

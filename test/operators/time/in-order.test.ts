import t from "tap";
import { inOrder } from "../../../src/operators/index.js";

t.test("hands out what is earlier than the watermark, by time and order", async (t) => {
  const held = inOrder<string>();
  const drain = (watermarkMs: number): string[] => {
    const out: string[] = [];
    held.drain(watermarkMs, (timeMs, item) => out.push(`${timeMs}${item}`));
    return out;
  };
  t.ok(held.add(5, "b", "second"));
  t.ok(held.add(5, "a", "first"));
  t.ok(held.add(3, "z", "earliest"));
  t.ok(held.add(7, "a", "later"));
  t.same(drain(3), [], "an item at the watermark waits: more of its time may come");
  t.same(drain(7), ["3earliest", "5first", "5second"]);
  t.equal(held.add(6, "a", "late"), false);
  t.equal(held.add(7, "b", "on time"), true);
  t.equal(held.size, 2);

  const loaded = inOrder<string>();
  loaded.load(JSON.parse(JSON.stringify(held.save())));
  t.equal(loaded.add(6, "a", "late"), false, "lateness survives a restart");
  const out: string[] = [];
  loaded.drain(100, (_, item) => out.push(item));
  t.same(out, ["later", "on time"]);
});

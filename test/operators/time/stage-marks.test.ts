import t from "tap";
import { stageMarks } from "../../../src/operators/index.js";

t.test("the least mark of all producers, once all were heard", async (t) => {
  const marks = stageMarks(["p/0", "p/1"]);
  t.equal(marks.mark("p/0", 100), false);
  t.equal(marks.watermarkMs(), undefined);
  t.equal(marks.mark("p/7", 1), false, "not a producer");
  t.equal(marks.mark("p/1", 50), true);
  t.equal(marks.watermarkMs(), 50);
  t.equal(marks.mark("p/0", 200), false, "the other one holds");
  t.equal(marks.mark("p/1", 40), false, "never back");
  const saved = JSON.parse(JSON.stringify(marks.save()));
  t.same(saved, [
    ["p/0", 200],
    ["p/1", 50],
  ]);
  const loaded = stageMarks(["p/0", "p/1"]);
  loaded.load(saved);
  t.equal(loaded.mark("p/1", 300), true);
  t.equal(loaded.watermarkMs(), 200);
});

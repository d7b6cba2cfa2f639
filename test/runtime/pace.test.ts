import t from "tap";
import { Pace } from "../../src/runtime/pace.js";

t.test("a save works a sixth of the time at most, longer at a time where it comes late to its turn", async (t) => {
  const pace = new Pace();
  t.equal(pace.waitMs(1_000), 0, "nothing has worked yet");
  t.equal(pace.stepMs(1_000, 1_000), 3);
  pace.worked(1_000, 1_003);
  t.equal(pace.waitMs(1_003), 15);
  t.equal(pace.waitMs(1_017.5), 1);
  t.equal(pace.waitMs(1_018), 0);
  t.equal(pace.stepMs(1_018, 1_003), 3);
  t.equal(pace.stepMs(1_028, 1_003), 5, "10 ms late");
  t.equal(pace.stepMs(1_028, 1_028), 3, "not late: it could not have worked before");
  t.equal(pace.stepMs(9_000, 1_003), 8, "and no more than that");
  pace.worked(9_000, 9_008);
  t.equal(pace.waitMs(9_008), 40);
});

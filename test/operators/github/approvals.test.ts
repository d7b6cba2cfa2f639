import t from "tap";
import { HOUR_MS } from "../../../src/core/index.js";
import { approvals } from "../../../src/operators/index.js";

t.test("the first approval counts, in whatever order they come; merging forgets the pull request", async (t) => {
  const open = approvals({ maxOpen: 10 });
  open.approve("o/r", 7, 5 * HOUR_MS);
  open.approve("o/r", 7, 2 * HOUR_MS);
  open.approve("o/r", 7, 3 * HOUR_MS);
  open.approve("o/other", 7, 0);
  const loaded = approvals({ maxOpen: 10 });
  loaded.load(JSON.parse(JSON.stringify(open.save())));
  t.equal(loaded.hoursToMerge("o/r", 7, 10 * HOUR_MS), 8);
  t.equal(loaded.hoursToMerge("o/r", 7, 10 * HOUR_MS), undefined);
  t.equal(loaded.hoursToMerge("o/r", 8, 10 * HOUR_MS), undefined, "never approved");
});

t.test("an approval after the merge measures nothing", async (t) => {
  const open = approvals({ maxOpen: 10 });
  open.approve("o/r", 1, 10);
  t.equal(open.hoursToMerge("o/r", 1, 9), undefined);
  open.approve("o/r", 2, 10);
  t.equal(open.hoursToMerge("o/r", 2, 10), 0);
});

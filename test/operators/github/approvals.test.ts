import t from "tap";
import { HOUR_MS } from "../../../src/core/index.js";
import { type Approval, approvals, type Merge } from "../../../src/operators/index.js";
import { processKit } from "../support/keyed-kit.js";

interface Day {
  readonly kind: "day";
  readonly merges: readonly Merge[];
}

function started(maxOpen = 10) {
  const kit = processKit<Approval | Day, unknown, unknown>(approvals<Day>({ maxRepositories: 2, maxOpen }) as never);
  const approve = (key: string, number: number, timeMs: number) =>
    kit.event(timeMs, { key, value: { kind: "approval", number, timeMs } });
  const hoursToMerge = (key: string, number: number, timeMs: number): number | undefined => {
    const merges = [{ number, timeMs, eventId: "e", cycleH: 0 }];
    kit.event(timeMs, { key, value: { kind: "day", merges } });
    return kit.rows<{ waits: (number | undefined)[] }>().at(-1)?.waits[0];
  };
  return { approve, hoursToMerge };
}

t.test("the first approval counts, in whatever order they come; merging forgets the pull request", async (t) => {
  const { approve, hoursToMerge } = started();
  approve("o/r", 7, 5 * HOUR_MS);
  approve("o/r", 7, 2 * HOUR_MS);
  approve("o/r", 7, 3 * HOUR_MS);
  approve("o/other", 7, 0);
  t.equal(hoursToMerge("o/r", 7, 10 * HOUR_MS), 8);
  t.equal(hoursToMerge("o/r", 7, 10 * HOUR_MS), undefined);
  t.equal(hoursToMerge("o/r", 8, 10 * HOUR_MS), undefined, "never approved");
});

t.test("an approval after the merge measures nothing", async (t) => {
  const { approve, hoursToMerge } = started();
  approve("o/r", 1, 10);
  t.equal(hoursToMerge("o/r", 1, 9), undefined);
  approve("o/r", 2, 10);
  t.equal(hoursToMerge("o/r", 2, 10), 0);
});

t.test("of too many open pull requests those approved first are forgotten", async (t) => {
  const { approve, hoursToMerge } = started(2);
  approve("o/r", 1, 30);
  approve("o/r", 2, 10);
  approve("o/r", 3, 20);
  t.equal(hoursToMerge("o/r", 2, HOUR_MS), undefined);
  t.equal(hoursToMerge("o/r", 1, HOUR_MS + 30), 1);
});

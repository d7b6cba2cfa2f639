import t from "tap";
import { patternFunction } from "../../../../src/operators/engine/keyed/pattern.js";
import { Process } from "../../../../src/operators/engine/keyed/process.js";
import type { Reading } from "../support/arrivals.js";
import { Driven, leavesNoTrace, takesAnyStride } from "../support/driven.js";

const WITHIN_MS = 10;

function driven(more: object = {}) {
  const definition = patternFunction<string, Reading, string>({
    first: ({ x }) => x > 0,
    second: ({ x }) => x < 2,
    withinMs: WITHIN_MS,
    matched: (a, b) => `${a.timeMs} then ${b.timeMs}`,
    absent: (a) => `${a.timeMs} alone`,
    ...more,
  });
  return new Driven(
    (runtime, next) => new Process(0, "p", runtime, definition, next),
    ({ push }, value) => push(value),
  );
}

/** What is said of one key's events, A: 2, B: 0, both at once: 1, none of them: undefined. */
function said(events: readonly (readonly [timeMs: number, x: number])[], more: object = {}): unknown {
  const one = driven(more);
  for (const [timeMs, x] of events) one.event({ id: 0, key: "a", timeMs, x });
  const keys = one.operator.metrics().keys;
  one.advance(1_000);
  return [one.rows, keys, one.operator.metrics().keys];
}

t.test("pattern: from A's time to just as long after, the end included, at whatever time of the day", async (t) => {
  for (const from of [-500, 0, 500]) {
    for (const afterMs of [0, 1, WITHIN_MS])
      t.same(
        said([
          [from, 2],
          [from + afterMs, 0],
        ]),
        [[`${from} then ${from + afterMs}`], 0, 0],
      );
    for (const afterMs of [-1, WITHIN_MS + 1])
      t.same(
        said([
          [from, 2],
          [from + afterMs, 0],
        ]),
        [[`${from} alone`], 1, 0],
      );
  }
  t.same(
    said([
      [5, 0],
      [6, 0],
    ]),
    [[], 0, 0],
    "a B that nothing waits for is not kept",
  );
  t.same(
    said([
      [5, 2],
      [7, 2],
      [9, 0],
      [9, 0],
    ]),
    [["7 then 9"], 0, 0],
    "the latest A, and one B",
  );
  t.same(
    said([
      [5, 1],
      [7, 1],
      [9, 1],
    ]),
    [["5 then 7", "9 alone"], 1, 0],
    "what is both completes, or begins",
  );
  t.same(
    said([
      [5, 2],
      [7, 2],
    ]),
    [["7 alone"], 1, 0],
    "an A that was replaced is not missed",
  );
});

t.test("pattern: what nobody wants to hear is not said", async (t) => {
  const events = [
    [5, 2],
    [6, 0],
    [7, 2],
  ] as const;
  t.same(said(events, { matched: undefined }), [["7 alone"], 1, 0]);
  t.same(said(events, { absent: undefined }), [["5 then 6"], 1, 0]);
});

t.test("pattern: nothing is left of what fails, and any stride of time says the same", async (t) => {
  t.doesNotThrow(() => leavesNoTrace(driven, 44));
  t.doesNotThrow(() => takesAnyStride(driven, 45));
});

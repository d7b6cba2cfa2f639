import t from "tap";
import {
  count,
  hopping,
  max,
  session,
  sumIntegers,
  tumbling,
  type WindowSpec,
} from "../../../../src/operators/engine/index.js";
import { makeWindow } from "../../../../src/operators/engine/windows/make.js";
import type { Reading } from "../support/arrivals.js";
import { Driven, leavesNoTrace, takesAnyStride } from "../support/driven.js";

function drivenBy(spec: WindowSpec, exact: boolean) {
  const aggregates = exact ? { n: count(), total: sumIntegers("x") } : { n: count(), high: max("x") };
  return new Driven(
    (runtime, next) => makeWindow<Reading>(0, "w", runtime, spec, aggregates as { n: ReturnType<typeof count> }, next),
    ({ push }, value) => push(value),
  );
}

const SPECS: Readonly<Record<string, readonly [WindowSpec, exact: boolean]>> = {
  tumbling: [tumbling({ sizeMs: 10, offsetMs: 3 }), false],
  "tumbling with lateness": [tumbling({ sizeMs: 10, latenessMs: 7, retract: true }), false],
  "hopping, merged": [hopping({ sizeMs: 20, slideMs: 8, offsetMs: 1 }), false],
  "hopping, subtracted": [hopping({ sizeMs: 15, slideMs: 5 }), true],
  "hopping with lateness": [hopping({ sizeMs: 20, slideMs: 5, latenessMs: 12 }), true],
  session: [session({ gapMs: 10 }), false],
  "session with lateness": [session({ gapMs: 10, latenessMs: 8, maxLengthMs: 25 }), false],
};

for (const [name, [spec, exact]] of Object.entries(SPECS)) {
  t.test(`${name}: one long advance says what short ones say, and nothing is due before it says so`, async (t) => {
    t.doesNotThrow(() => takesAnyStride(() => drivenBy(spec, exact), 17));
  });

  t.test(`${name}: an event that fails leaves no trace`, async (t) => {
    t.doesNotThrow(() => leavesNoTrace(() => drivenBy(spec, exact), 18));
  });

  t.test(`${name}: many keys are fired in steps that are short, and no more of them than needed`, async (t) => {
    const KEYS = 2_000;
    for (const apart of [0, 1]) {
      const driven = drivenBy(spec, exact);
      for (let id = 0; id < KEYS; id++) driven.event({ id, key: `k${id}`, timeMs: 5 + id * apart, x: 1 });
      const sizes = driven.stepwise(1_000_000);
      const rows = driven.rows.length;
      t.ok(rows >= KEYS, `${rows} rows`);
      t.ok(Math.max(...sizes) <= 256, `${Math.max(...sizes)} rows in the longest`);
      t.ok(sizes.length >= rows / 256 && sizes.length <= rows / 60, `${sizes.length} steps`);
    }
  });
}

t.test("session: what its events make due already is said with the event, corrected rows at once", async (t) => {
  const driven = drivenBy(session({ gapMs: 10, latenessMs: 30 }), false);
  const at = (id: number, timeMs: number): unknown[] => {
    driven.rows.length = 0;
    driven.event({ id, key: "a", timeMs, x: id });
    return driven.rows.map((row) => {
      const { kind, startMs, endMs, revision, n } = row as Record<string, unknown>;
      return [kind, startMs, endMs, revision, n];
    });
  };
  driven.advance(50);
  t.same(at(1, 45), [], "its end is still to come");
  t.same(at(2, 25), [["update", 25, 35, 0, 1]], "over already, within the lateness");
  t.same(at(3, 28), [
    ["retract", 25, 35, 0, 1],
    ["update", 25, 38, 1, 2],
  ]);
  t.same(at(4, 36), [["retract", 25, 38, 1, 2]], "joined to one that is not over: said when it is");
  driven.advance(54);
  t.same(driven.rows.slice(1), []);
  driven.advance(55);
  t.match(driven.rows.slice(1), [{ kind: "update", startMs: 25, endMs: 55, revision: 2, n: 4 }]);
});

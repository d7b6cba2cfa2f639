import t from "tap";
import { planAggregates } from "../../../../src/operators/engine/aggregates/plan.js";
import {
  argmax,
  count,
  countOf,
  custom,
  distinctExact,
  hopping,
  max,
  session,
  sumIntegers,
  tumbling,
  type WindowSpec,
} from "../../../../src/operators/engine/index.js";
import { Frame } from "../../../../src/operators/engine/state/frame.js";
import { KeyTable } from "../../../../src/operators/engine/state/key-table.js";
import { Undo } from "../../../../src/operators/engine/state/undo.js";
import { COUNT_EXTRA } from "../../../../src/operators/engine/windows/count.js";
import { makeWindow } from "../../../../src/operators/engine/windows/make.js";
import { SESSION_EXTRA } from "../../../../src/operators/engine/windows/session.js";
import { nearbySteps, type Reading } from "../support/arrivals.js";
import { Driven, leavesNoTrace, PLANTED, savesTheMoment, takesAnyStride } from "../support/driven.js";

t.setTimeout(120_000);

const best = argmax(
  ({ x }: Reading) => x,
  ({ id }) => id,
);

/** Numbers in a row, and a cell beside it. */
function drivenBy(spec: WindowSpec, exact: boolean) {
  const aggregates = exact
    ? { n: count(), total: sumIntegers("x"), kinds: distinctExact("x") }
    : { n: count(), high: max("x"), best };
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
    t.doesNotThrow(() => takesAnyStride(() => drivenBy(spec, exact), 16, nearbySteps()));
  });

  t.test(`${name}: an event that fails leaves no trace`, async (t) => {
    t.doesNotThrow(() => leavesNoTrace(() => drivenBy(spec, exact), 18));
  });

  t.test(`${name}: saved in steps, it is as it was when the save began`, async (t) => {
    t.doesNotThrow(() => savesTheMoment(() => drivenBy(spec, exact), 19));
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

t.test("metrics: keys of every window at hand, bytes of each and of what is moved between them", async (t) => {
  const at = (driven: ReturnType<typeof drivenBy>, key: string, timeMs: number): [keys: number, bytes: number] => {
    driven.event({ id: 0, key, timeMs, x: 1 });
    const { keys, bytes } = driven.operator.metrics();
    return [keys, bytes];
  };
  for (const name of ["tumbling", "tumbling with lateness", "hopping, merged", "hopping, subtracted"]) {
    const [spec, exact] = SPECS[name] as (typeof SPECS)[string];
    const driven = drivenBy(spec, exact);
    const none = driven.operator.metrics().bytes;
    const [[one, b1], [two, b2], [three, b3]] = [at(driven, "a", 4), at(driven, "b", 4), at(driven, "a", 34)];
    t.same([one, two, three], [1, 2, 3], name);
    t.ok(b1 > none && b2 - b1 < 200 && b3 - b2 >= b1 - none, `${none} ${b1} ${b2} ${b3}`);
    t.equal(driven.operator.metrics().name, "w");
  }
  const hop = drivenBy(hopping({ sizeMs: 20, slideMs: 10 }), true);
  for (const key of ["a", "b"]) hop.event({ id: 0, key, timeMs: 5, x: 1 });
  hop.event({ id: 0, key: "a", timeMs: 15, x: 1 });
  hop.advance(10);
  t.equal(hop.operator.metrics().keys, 3 + 2, "panes, and the window at hand");
  hop.advance(20);
  t.equal(hop.operator.metrics().keys, 1 + 2, "no window needs the first pane any more");
  hop.advance(30);
  t.equal(hop.operator.metrics().keys, 0);
  const counted = drivenBy(countOf(3), true);
  const plan = planAggregates<Reading>({ n: count(), total: sumIntegers("x") }, COUNT_EXTRA);
  t.equal(counted.operator.metrics().bytes, new Frame(plan, new Undo()).bytes);
  t.same(
    [at(counted, "a", 1)[0], at(counted, "b", 1)[0], at(counted, "a", 2)[0], at(counted, "a", 3)[0]],
    [1, 2, 2, 1],
  );
  const joined = drivenBy(session({ gapMs: 10 }), true);
  const rows = planAggregates<Reading>({ n: count(), total: sumIntegers("x") }, SESSION_EXTRA);
  t.equal(joined.operator.metrics().bytes, new Frame(rows, new Undo()).bytes + new KeyTable().bytes);
  t.same(
    [at(joined, "a", 1)[0], at(joined, "b", 1)[0], at(joined, "a", 20)[0], at(joined, "a", 10.5)[0]],
    [1, 2, 3, 2],
  );
});

t.test("count: an event that fails leaves no trace, nor does a save in steps; time has no part in it", async (t) => {
  const create = () => drivenBy(countOf(3), true);
  t.doesNotThrow(() => leavesNoTrace(create, 20));
  t.doesNotThrow(() => savesTheMoment(create, 21));
  t.equal(create().operator.nextMs(), Number.POSITIVE_INFINITY);
});

t.test("a row that cannot be made is set aside by itself, with its key and the window's last ms", async (t) => {
  const careful = custom<Reading, number, number>({
    name: "careful",
    init: () => 0,
    add: (total, { x }) => total + x,
    merge: (a, b) => a + b,
    result(total) {
      if (total === 99) throw PLANTED;
      return total;
    },
  });
  for (const spec of [tumbling({ sizeMs: 10 }), hopping({ sizeMs: 10, slideMs: 10 }), session({ gapMs: 8 })]) {
    const driven = new Driven(
      (runtime, next) => makeWindow<Reading>(0, "w", runtime, spec, { careful }, next),
      ({ push }, value) => push(value),
    );
    for (const [key, x] of [
      ["a", 1],
      ["b", 99],
      ["c", 3],
    ] as const)
      driven.event({ id: 0, key, timeMs: 2, x });
    driven.advance(30);
    t.match(driven.rows, [
      { key: "a", careful: 1 },
      { key: "c", careful: 3 },
    ]);
    t.same(driven.dead, [["b", 9]], spec.kind);
    t.same(driven.times, [9, 9]);
  }
});

t.test("hopping: a merge that throws takes its window, set aside without a key at the window's last ms", async (t) => {
  const brittle = custom<Reading, number, number>({
    name: "brittle",
    init: () => 0,
    add: (total, { x }) => total + x,
    merge() {
      throw PLANTED;
    },
    result: (total) => total,
  });
  const driven = new Driven(
    (runtime, next) => makeWindow<Reading>(0, "w", runtime, hopping({ sizeMs: 20, slideMs: 10 }), { brittle }, next),
    ({ push }, value) => push(value),
  );
  for (const timeMs of [5, 15]) driven.event({ id: 0, key: "a", timeMs, x: 1 });
  driven.advance(60);
  t.same(driven.rows, []);
  t.same(driven.dead, [
    ["", 9],
    ["", 19],
    ["", 29],
  ]);
});

t.test("a row that fails behind the window is set aside by itself", async (t) => {
  for (const [name, [spec]] of Object.entries(SPECS)) {
    const said: unknown[] = [];
    const driven = new Driven(
      (runtime) =>
        makeWindow<Reading>(0, "w", runtime, spec, { n: count() }, ({ key }: { key: string }) => {
          if (key === "b") throw PLANTED;
          said.push(key);
        }),
      ({ push }, value) => push(value),
    );
    for (const key of ["c", "b", "a"]) driven.event({ id: 0, key, timeMs: 4, x: 1 });
    driven.advance(30);
    const windows = said.length / 2;
    t.ok(windows >= 1, name);
    t.same(said, Array.from({ length: windows }, () => ["a", "c"]).flat());
    t.equal(driven.dead.length, windows);
  }
});

t.test("what is held is told in the order of time, whatever came first", async (t) => {
  for (const name of ["tumbling", "hopping, merged", "hopping, subtracted"]) {
    const driven = drivenBy(...(SPECS[name] as (typeof SPECS)[string]));
    for (const timeMs of [45, 5, 25]) driven.event({ id: 0, key: "a", timeMs, x: 1 });
    const starts = driven.held("a").map(({ startMs }) => startMs as number);
    t.equal(starts.length, 3);
    t.same(
      starts,
      [...starts].sort((a, b) => a - b),
    );
  }
});

t.test("hopping: due is the end of the next window that holds something, and nothing before", async (t) => {
  const SIZE = 20;
  for (const slideMs of [5, 8, 20]) {
    const driven = drivenBy(hopping({ sizeMs: SIZE, slideMs }), true);
    const times: number[] = [];
    const isDue = (watermarkMs: number): void => {
      let endMs = Math.floor((watermarkMs - SIZE) / slideMs) * slideMs + SIZE + slideMs;
      while (endMs < 500 && !times.some((timeMs) => timeMs >= endMs - SIZE && timeMs < endMs)) endMs += slideMs;
      t.equal(
        driven.operator.nextMs(),
        endMs < 500 ? endMs : Number.POSITIVE_INFINITY,
        `${slideMs}: at ${watermarkMs}`,
      );
    };
    for (const [watermarkMs, timeMs] of [
      [-40, 31],
      [-40, 3],
      [2, 3],
      [13, 100],
      [24, 26],
      [70, 140],
      [71, 80],
      [400, 410],
    ] as const) {
      driven.advance(watermarkMs);
      isDue(watermarkMs);
      times.push(timeMs);
      driven.event({ id: 0, key: "a", timeMs, x: 1 });
      isDue(watermarkMs);
    }
  }
});

t.test("hopping: windows begin where they should, whatever else is due between", async (t) => {
  for (const exact of [true, false]) {
    const driven = drivenBy(hopping({ sizeMs: 20, slideMs: 5, latenessMs: 12 }), exact);
    for (const timeMs of [3, 22, 31]) driven.event({ id: 0, key: "a", timeMs, x: 1 });
    for (let atMs = -20; atMs <= 90; atMs++) driven.advance(atMs);
    t.same(
      driven.rows.map((row) => [(row as { startMs: number }).startMs, (row as { n: number }).n]),
      [
        [-15, 1],
        [-10, 1],
        [-5, 1],
        [0, 1],
        [5, 1],
        [10, 1],
        [15, 2],
        [20, 2],
        [25, 1],
        [30, 1],
      ],
    );
  }
});

t.test(
  "tumbling: an early row has the time it is said at, and comes at multiples counted from the start",
  async (t) => {
    const driven = drivenBy(tumbling({ sizeMs: 20, earlyEveryMs: 6, latenessMs: 5, retract: true }), false);
    driven.advance(107);
    driven.event({ id: 0, key: "a", timeMs: 104, x: 1 });
    t.equal(driven.operator.nextMs(), 112, "106 is over");
    driven.advance(112);
    t.match(driven.rows, [{ kind: "early", startMs: 100, endMs: 120, revision: 0 }]);
    driven.advance(120);
    driven.event({ id: 1, key: "a", timeMs: 119, x: 2 });
    driven.event({ id: 2, key: "b", timeMs: 119, x: 2 });
    t.same(
      driven.rows.slice(1).map((row) => {
        const { key, kind, revision, n } = row as Record<string, unknown>;
        return [key, kind, revision, n];
      }),
      [
        ["a", "final", 1, 1],
        ["a", "retract", 1, 1],
        ["a", "update", 2, 2],
        ["b", "update", 0, 1],
      ],
    );
    t.same(driven.times.slice(0, 2), [111, 119]);
    t.equal(driven.operator.nextMs(), 125);
    driven.advance(125);
    driven.event({ id: 3, key: "a", timeMs: 119, x: 2 });
    t.same(driven.late, [5]);
    const due = drivenBy(tumbling({ sizeMs: 20, latenessMs: 5 }), false);
    due.advance(120);
    due.event({ id: 4, key: "a", timeMs: 119, x: 2 });
    t.match(due.rows, [{ kind: "update", revision: 0 }], "a window that ends just now is over");
  },
);

t.test("late by what the watermark is beyond the end of the last window, wherever windows begin", async (t) => {
  for (const [spec, lateByMs] of [
    [tumbling({ sizeMs: 10, offsetMs: 3 }), 27],
    [tumbling({ sizeMs: 10, offsetMs: 3, latenessMs: 5 }), 27],
    [hopping({ sizeMs: 20, slideMs: 10, offsetMs: 3 }), 17],
    [session({ gapMs: 10 }), 16],
  ] as const) {
    const driven = drivenBy(spec, false);
    driven.advance(40);
    driven.event({ id: 0, key: "a", timeMs: spec.kind === "session" ? 14 : 4, x: 1 });
    t.same(driven.late, [lateByMs], spec.kind);
  }
});

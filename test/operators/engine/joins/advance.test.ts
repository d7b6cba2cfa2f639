import t from "tap";
import { IntervalJoin } from "../../../../src/operators/engine/joins/interval-join.js";
import { WindowJoin } from "../../../../src/operators/engine/joins/window-join.js";
import { KeyTable } from "../../../../src/operators/engine/state/key-table.js";
import { nearbySteps, type Reading } from "../support/arrivals.js";
import { Driven, leavesNoTrace, savesTheMoment, takesAnyStride } from "../support/driven.js";

const both = (a: Reading, b: Reading): string => `${a.id} ${b.id}`;
const alone = ({ id }: Reading): string => `${id} alone`;
type Join = IntervalJoin<Reading, Reading, string> | WindowJoin<Reading, Reading, string, string>;
const push = ({ left, right }: Join, value: Reading): void => (value.x < 0 ? left : right)(value);
const interval = (more: object = {}) =>
  new Driven<Join>(
    (runtime, next) =>
      new IntervalJoin(0, "j", runtime, { beforeMs: 5, afterMs: 12, combine: both, unmatched: alone, ...more }, next),
    push,
  );
const windowed = () =>
  new Driven<Join>((runtime, next) => new WindowJoin(0, "j", runtime, { sizeMs: 10, combine: both }, next), push);

const JOINS: Readonly<Record<string, () => Driven<Join>>> = {
  interval,
  "interval with lateness": () => interval({ latenessMs: 7 }),
  "interval, soon forgotten": () => interval({ ttlMs: 4 }),
  windowed,
};

for (const [name, create] of Object.entries(JOINS)) {
  t.test(`${name}: one long advance says what short ones say, and nothing is due before it says so`, async (t) => {
    t.doesNotThrow(() => takesAnyStride(create, 25));
    t.doesNotThrow(() => takesAnyStride(create, 24, nearbySteps()));
  });

  t.test(`${name}: an event that fails leaves no trace`, async (t) => {
    t.doesNotThrow(() => leavesNoTrace(create, 26));
  });

  t.test(`${name}: saved in steps, it is as it was when the save began`, async (t) => {
    t.doesNotThrow(() => savesTheMoment(create, 27));
  });

  t.test(`${name}: many keys are left behind in steps that are short, and no more of them than needed`, async (t) => {
    const KEYS = 1_500;
    const driven = create();
    const empty = driven.operator.metrics().bytes;
    for (let id = 0; id < KEYS; id++) driven.event({ id, key: `k${id}`, timeMs: 5, x: -1 });
    if (name === "windowed") for (let id = 0; id < KEYS; id++) driven.event({ id, key: `k${id}`, timeMs: 6, x: 1 });
    const { keys, bytes } = driven.operator.metrics();
    t.equal(keys, KEYS);
    t.ok(bytes >= empty + KEYS * 4 && bytes <= KEYS * 200, `${bytes - empty} bytes`);
    const sizes = driven.stepwise(1_000);
    t.equal(driven.rows.length, KEYS);
    t.ok(Math.max(...sizes) <= 256, `${Math.max(...sizes)} rows in the longest`);
    t.ok(sizes.length <= KEYS / 60, `${sizes.length} steps`);
  });
}

t.test("interval: what leaves takes its key along only when the other side is empty too", async (t) => {
  const driven = interval({ unmatched: undefined });
  const send = (id: number, timeMs: number, x: number): void => driven.event({ id, key: "a", timeMs, x });
  send(1, 0, -1); // a left is kept for its 12 ms
  send(2, 0, 1); // a right for 5
  t.same(driven.rows, ["1 2"]);
  const held = (): unknown => driven.operator.held("a").map(({ value }) => value);
  const row = (id: number, x: number) => ({ timeMs: 0, value: { id, key: "a", timeMs: 0, x }, matched: false });
  t.same(held(), [{ left: [row(1, -1)], right: [row(2, 1)] }]);
  driven.advance(5);
  t.same(held(), [{ left: [row(1, -1)], right: [row(2, 1)] }]);
  driven.advance(6);
  t.same(held(), [{ left: [row(1, -1)], right: [] }]);
  t.same([...driven.operator.heldKeys()], ["a"]);
  t.same(driven.operator.held("b"), []);
  driven.advance(12);
  t.equal(driven.operator.metrics().keys, 1);
  driven.advance(13);
  t.same([driven.operator.metrics().keys, driven.operator.nextMs()], [0, Number.POSITIVE_INFINITY]);
});

t.test("interval: each value that found no partner is told once, when none can come any more", async (t) => {
  const driven = interval();
  for (const timeMs of [1, 0]) driven.event({ id: timeMs, key: "a", timeMs, x: -1 });
  driven.advance(13);
  t.same(driven.rows, ["0 alone"]);
  driven.advance(14);
  t.same(driven.rows, ["0 alone", "1 alone"]);
});

t.test("interval: the ends of the interval match; kept and in time as long as a partner may come", async (t) => {
  const pairs = (beforeMs: number, afterMs: number): number[] => {
    const driven = interval({
      beforeMs,
      afterMs,
      unmatched: undefined,
      combine: (_a: Reading, b: Reading) => b.timeMs,
    });
    driven.event({ id: 0, key: "a", timeMs: 0, x: -1 });
    for (let timeMs = -30; timeMs <= 30; timeMs++) driven.event({ id: 1, key: "a", timeMs, x: 1 });
    return driven.rows as number[];
  };
  t.same(pairs(2, 3), [-2, -1, 0, 1, 2, 3]);
  t.same(pairs(-2, 4), [2, 3, 4]);
  t.same(pairs(3, -2), [-3, -2]);
  const heldAt = (more: object, side: "left" | "right", toMs: number): number[] => {
    const driven = interval(more);
    for (const timeMs of [1, 0, 1]) driven.event({ id: 0, key: "a", timeMs, x: side === "left" ? -1 : 1 });
    driven.advance(toMs);
    const [part] = driven.held("a");
    const rows = (part?.value ?? { left: [], right: [] }) as Record<string, { timeMs: number }[]>;
    return (rows[side] ?? []).map(({ timeMs }) => timeMs);
  };
  for (const [more, side, keepMs] of [
    [{}, "left", 12],
    [{}, "right", 5],
    [{ latenessMs: 7 }, "left", 19],
    [{ latenessMs: 7 }, "right", 12],
    [{ latenessMs: 7, ttlMs: 3 }, "left", 3],
    [{ beforeMs: -4, afterMs: 6 }, "right", 0],
    [{ beforeMs: 6, afterMs: -4 }, "left", 0],
  ] as const) {
    const name = `${side} ${JSON.stringify(more)}`;
    t.same(heldAt(more, side, keepMs), [0, 1, 1], name);
    t.same(heldAt(more, side, keepMs + 1), [1, 1], name);
    t.same(heldAt(more, side, keepMs + 2), [], name);
  }
  for (const latenessMs of [0, 4]) {
    const driven = interval({ latenessMs });
    driven.advance(20);
    for (const timeMs of [20 - latenessMs, 19 - latenessMs, 5])
      for (const x of [1, -1]) driven.event({ id: 0, key: "a", timeMs, x });
    t.same(driven.late, [latenessMs + 1, latenessMs + 1, 15, 15]);
    t.equal(driven.operator.metrics().keys, 1);
  }
});

t.test("metrics: bytes of the table of keys, and so many for each value", async (t) => {
  const driven = interval();
  t.equal(driven.operator.metrics().bytes, new KeyTable().bytes);
  const bytesAfter = (id: number): number => {
    driven.event({ id, key: "a", timeMs: id, x: id % 2 === 0 ? 1 : -1 });
    return driven.operator.metrics().bytes;
  };
  const first = bytesAfter(1);
  t.same([bytesAfter(2), bytesAfter(3)], [first + 48, first + 96]);
});

t.test(
  "window: windows by time, lefts and rights by time, equal ones as they came; each with its window",
  async (t) => {
    const times: unknown[] = [];
    const driven = new Driven<Join>(
      (runtime, next) =>
        new WindowJoin<Reading, Reading, unknown, string>(
          0,
          "j",
          runtime,
          { sizeMs: 10, combine: (a, b, window) => [a.id, b.id, window] },
          (row: unknown) => {
            next(row);
            times.push(runtime.now.timeMs);
          },
        ) as unknown as Join,
      push,
    );
    for (const [id, timeMs, x] of [
      [1, 25, -1],
      [2, 22, 1],
      [3, 9, 1],
      [4, 8, -1],
      [5, 3, 1],
      [6, 3, -1],
      [7, 3, 1],
      [8, 31, 1],
      [9, -7, 1],
    ] as const)
      driven.event({ id, key: "a", timeMs, x });
    t.equal(driven.operator.nextMs(), 0);
    driven.advance(30);
    const [early, late] = [
      { key: "a", startMs: 0, endMs: 10 },
      { key: "a", startMs: 20, endMs: 30 },
    ];
    t.same(driven.rows, [
      [6, 5, early],
      [6, 7, early],
      [6, 3, early],
      [4, 5, early],
      [4, 7, early],
      [4, 3, early],
      [1, 2, late],
    ]);
    t.same(times, [9, 9, 9, 9, 9, 9, 29]);
    t.equal(driven.operator.nextMs(), 40);
    driven.event({ id: 10, key: "a", timeMs: 29, x: 1 });
    driven.event({ id: 11, key: "a", timeMs: 12, x: 1 });
    t.same(driven.late, [0, 10]);
  },
);

t.test("window: what is held of a key, window by window; bytes are those of every open window", async (t) => {
  const driven = windowed();
  for (const [id, timeMs, x] of [
    [1, 25, 1],
    [2, 5, -1],
    [3, 9, 1],
  ] as const)
    for (const key of ["b", "a"]) driven.event({ id, key, timeMs, x });
  const row = (id: number, timeMs: number, x: number) => [timeMs, { id, key: "a", timeMs, x }];
  const wanted = [
    { startMs: 0, endMs: 10, value: { left: [row(2, 5, -1)], right: [row(3, 9, 1)] } },
    { startMs: 20, endMs: 30, value: { left: [], right: [row(1, 25, 1)] } },
  ];
  const one = windowed();
  one.event({ id: 1, key: "a", timeMs: 25, x: 1 });
  for (const found of [driven, windowed().load(driven.saved())]) {
    t.same(found.operator.held("a"), wanted);
    t.same(found.operator.held("c"), []);
    t.same([...found.operator.heldKeys()].sort(), ["a", "a", "b", "b"]);
    t.equal(found.operator.metrics().keys, 4);
    t.equal(found.operator.metrics().bytes, 2 * one.operator.metrics().bytes);
  }
});

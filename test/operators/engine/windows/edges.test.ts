import t from "tap";
import {
  count,
  countOf,
  hopping,
  max,
  min,
  pipeline,
  session,
  sum,
  sumIntegers,
  TestKit,
  type Topology,
  testSource,
  testTarget,
  tumbling,
  type WindowSpec,
} from "../../../../src/operators/engine/index.js";
import type { Reading } from "../support/arrivals.js";
import { readingOf } from "../support/run.js";

const AGGREGATES = { n: count(), total: sum("x" as const), low: min("x" as const), high: max("x" as const) };
const SUBTRACTED = { n: count(), total: sumIntegers("x" as const) };

/** What follows the window throws at x = 99: its changes are taken back. */
function windowed(spec: WindowSpec, aggregates: typeof AGGREGATES | typeof SUBTRACTED = AGGREGATES): Topology {
  const keyed = pipeline("test.edges")
    .from(testSource<Reading>())
    .map(readingOf)
    .keyBy(({ key }) => key);
  keyed
    .window("w", spec)
    .aggregate(aggregates as typeof SUBTRACTED)
    .to(testTarget());
  keyed
    .map(({ x }) => {
      if (x === 99) throw new Error("planted");
    })
    .to({ stream: "", write: () => undefined });
  return keyed.topology;
}

const kitOf = (...parameters: Parameters<typeof windowed>): TestKit<Reading> =>
  new TestKit<Reading>(windowed(...parameters));
const send = (kit: TestKit<Reading>, key: string, timeMs: number, x = 1): TestKit<Reading> =>
  kit.event(timeMs, { id: timeMs, key, timeMs, x });

interface Row {
  readonly key: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly kind: string;
  readonly revision: number;
  readonly n: number;
  readonly total: number;
}

const told = (kit: TestKit<Reading>): unknown[] =>
  kit
    .rows<Row>()
    .map(({ key, startMs, endMs, kind, revision, n, total }) => [key, startMs, endMs, kind, revision, n, total]);

t.test("keys that take turns in one window do not touch one another", async (t) => {
  for (const spec of [
    tumbling({ sizeMs: 100 }),
    tumbling({ sizeMs: 100, latenessMs: 10 }),
    hopping({ sizeMs: 100, slideMs: 100 }),
    session({ gapMs: 100 }),
    countOf(4),
  ]) {
    const kit = kitOf(spec);
    for (let turn = 0; turn < 4; turn++)
      for (const [i, key] of ["a", "b", "c", "d"].entries()) send(kit, key, turn + 1, (i + 1) * 10 + turn);
    kit.watermark(10_000);
    t.match(
      kit.rows(),
      [10, 20, 30, 40].map((x) => ({ n: 4, total: 4 * x + 6, low: x, high: x + 3 })),
      spec.kind,
    );
  }
});

t.test(
  "session: two that were said and are joined by one that came late are said anew when the whole ends",
  async (t) => {
    const kit = kitOf(session({ gapMs: 10, latenessMs: 20 }));
    send(kit, "a", 0);
    kit.watermark(12);
    send(send(kit, "a", 15), "a", 8);
    for (const atMs of [24, 25, 100]) kit.watermark(atMs);
    t.same(told(kit), [
      ["a", 0, 10, "final", 0, 1, 1],
      ["a", 0, 10, "retract", 0, 1, 1],
      ["a", 0, 25, "update", 1, 3, 3],
    ]);
  },
);

t.test("session: a failed event that would have joined or extended some leaves them as they were", async (t) => {
  for (const cut of [false, true]) {
    const [kit, twin] = [kitOf(session({ gapMs: 10 })), kitOf(session({ gapMs: 10 }))];
    for (const one of [kit, twin])
      for (const key of ["a", "b", "c"]) for (const timeMs of [0, 12, 30, 45]) send(one, key, timeMs, timeMs + 2);
    for (const key of ["c", "a", "b"]) for (const timeMs of [6, 20, 38, -5, 50, 90]) send(kit, key, timeMs, 99);
    if (cut) kit.cut();
    t.equal(kit.dead().length, 18);
    kit.watermark(1_000);
    twin.watermark(1_000);
    t.same(kit.rows(), twin.rows());
    t.equal(twin.rows().length, 12);
  }
});

t.test("hopping: a late value corrects just the windows that hold it and still take corrections", async (t) => {
  for (const aggregates of [AGGREGATES, SUBTRACTED]) {
    const kit = kitOf(hopping({ sizeMs: 20, slideMs: 5, latenessMs: 12 }), aggregates);
    send(kit, "a", 31);
    kit.watermark(47); // said: those to 35, 40 and 45; corrected are ends beyond 35
    send(kit, "a", 22, 5);
    t.same(told(kit), [
      ["a", 15, 35, "final", 0, 1, 1],
      ["a", 20, 40, "final", 0, 1, 1],
      ["a", 25, 45, "final", 0, 1, 1],
      ["a", 20, 40, "update", 1, 2, 6],
    ]);
    t.equal(kit.late().length, 0);
    send(kit, "a", 19, 7); // its last window ended at 35
    t.same(
      kit.late().map(({ lateByMs }) => lateByMs),
      [12],
    );
    kit.watermark(1_000);
    t.same(told(kit).slice(4), [["a", 30, 50, "final", 0, 1, 1]]);
    t.equal(kit.metrics()[0]?.keys, 0);
  }
});

t.test("hopping: with a long lateness nothing is said of windows that do not hold the late value", async (t) => {
  const kit = kitOf(hopping({ sizeMs: 20, slideMs: 5, latenessMs: 90 }));
  send(kit, "a", 31);
  kit.watermark(47);
  send(kit, "a", 22, 5);
  t.same(told(kit).slice(3), [
    ["a", 5, 25, "update", 1, 1, 5],
    ["a", 10, 30, "update", 1, 1, 5],
    ["a", 15, 35, "update", 1, 2, 6],
    ["a", 20, 40, "update", 1, 2, 6],
  ]);
});

t.test("hopping: a corrected window holds nothing of what came before it or comes behind it", async (t) => {
  const kit = kitOf(hopping({ sizeMs: 10, slideMs: 5, latenessMs: 90 }));
  for (const [timeMs, x] of [
    [14, 100],
    [15, 200],
    [24, 400],
    [25, 800],
    [30, 1_600],
  ] as const)
    send(kit, "a", timeMs, x);
  kit.watermark(114); // the pane from 15 takes corrections until 115
  send(kit, "a", 20, 5);
  t.same(told(kit).slice(6), [
    ["a", 15, 25, "update", 1, 3, 605],
    ["a", 20, 30, "update", 1, 3, 1_205],
  ]);
});

t.test("what a window holds of a key: each open one, with its time and its aggregates so far", async (t) => {
  const context = { task: "t/0", partition: 0, partitions: 1, inference: { run: async () => new Float32Array() } };
  for (const [spec, times] of [
    [
      tumbling({ sizeMs: 10 }),
      [
        [0, 10, 2],
        [10, 20, 1],
      ],
    ],
    [
      tumbling({ sizeMs: 10, latenessMs: 5 }),
      [
        [0, 10, 2],
        [10, 20, 1],
      ],
    ],
    [
      hopping({ sizeMs: 10, slideMs: 5 }),
      [
        [0, 5, 1],
        [5, 10, 1],
        [15, 20, 1],
      ],
    ],
    [
      session({ gapMs: 7 }),
      [
        [3, 16, 2],
        [18, 25, 1],
      ],
    ],
    [
      session({ gapMs: 7, maxLengthMs: 8 }),
      [
        [3, 11, 2],
        [18, 25, 1],
      ],
    ],
    [countOf(9), [[3, 19, 3]]],
  ] as const) {
    const topology = windowed(spec, SUBTRACTED);
    const kit = new TestKit<Reading>(topology);
    for (const timeMs of [18, 3, 9]) send(send(kit, "b", timeMs, 4), "a", timeMs, 70);
    const program = topology.create(context);
    program.load(kit.save());
    t.same(
      program.held("b"),
      times.map(([startMs, endMs, n]) => ({ operator: "w", startMs, endMs, value: { n, total: 4 * n } })),
      JSON.stringify(spec),
    );
    t.same(program.held("nobody"), []);
    t.same([...new Set(program.heldKeys())].sort(), ["a", "b"]);
  }
});
